"""What every store of images can do: the one interface that everything above uses.

A store is opened for one place: a repository, a layout, an archive, a name in containers-storage. Reading changes
nothing. Writing is one call, `ImageStore.publish`: content first, then the last step that makes the name mean the new
image, which is atomic where the store has an atomic step. What was there before stays readable by its digest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hpc3.errors import StoreError

from .manifest import Descriptor, Manifest
from .reference import ImageReference

if TYPE_CHECKING:
    from .root_file_system import RootFileSystem

#: The largest blob that is read as a whole: image configs and attached documents, never layers.
BLOB_LIMIT = 64 * 1024 * 1024


class ImageNotFound(StoreError):
    """The store works and holds no image of that name."""


@dataclass(frozen=True)
class Publication:
    """Everything that one writing step puts into a store.

    Attributes:
        target: the name that shall mean `head`.
        head: the manifest or index.
        replaces: digest that `target` meant when it was read; the step fails where it means another by now. Empty:
            whatever is there is replaced.
        blobs: content that `manifests` and `head` need and the store may lack.
        manifests: children of `head`, children before parents.
        referrers: artifacts with a subject, published after `head`.
    """

    target: ImageReference
    head: Manifest
    replaces: str = ""
    blobs: tuple[bytes, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    referrers: tuple[Manifest, ...] = ()


class ImageStore(Protocol):
    """A place that holds images.

    Every method raises `StoreError` where the store or the way to it fails, and `InputError` where what it holds is
    not what it should be.
    """

    @property
    def holds_referrers(self) -> bool:
        """Whether artifacts can be attached to images here."""

    def resolve(self, reference: ImageReference) -> Manifest:
        """Return what the reference names now.

        Raises:
            ImageNotFound: it names nothing.
        """

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest by digest."""

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """Return a blob of at most `BLOB_LIMIT` bytes, its digest checked."""

    def read_files(self, image: Manifest, paths: Collection[str]) -> Mapping[str, bytes]:
        """Return the files at ``paths`` in the image's root file system; absent ones are left out.

        The paths have no leading slash; symbolic links are followed inside the image.
        """

    def open_root(self, image: Manifest) -> AbstractContextManager[RootFileSystem]:
        """Give access to every file of the image; nothing is unpacked."""

    def list_tags(self) -> tuple[str, ...]:
        """Return the names of the images here, sorted; not those that stand for referrers or signatures."""

    def list_referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the artifacts that refer to a digest, signatures among them."""

    def publish(self, publication: Publication) -> None:
        """Write everything, then make the name mean the new image.

        Raises:
            StoreError: among others, when the name moved since it was read; it is then left alone.
        """


def tag_moved(target: ImageReference, expected: str, found: str) -> StoreError:
    """Return the error for a name that means another image than it did when it was read."""
    return StoreError(
        f"moved from {expected} to {found or 'nothing'} while it was worked on; it was left alone",
        where=str(target),
        remedy="run again",
    )
