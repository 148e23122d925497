"""Reading the files of a layout, wherever they lie: in a folder or in a tar."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from hpc3.errors import InputError

from .edit import referrer_entry
from .layout_index import (
    INDEX_FILE,
    LAYOUT_FILE,
    REF_NAME,
    blob_file,
    check_layout_file,
    entry_named,
    names_in,
    parse_layout_index,
)
from .manifest import MANIFEST_LIMIT, Descriptor, Manifest, check_digest, parse_manifest
from .reference import ImageReference
from .store import BLOB_LIMIT

if TYPE_CHECKING:
    from .root_file_system import RootFileSystem


class LayoutReader(ABC):
    """The reading half of a layout store; a subclass says how a file of the layout is read.

    Args:
        where: the layout's path, for errors.
    """

    holds_referrers: bool = True

    def __init__(self, where: str) -> None:
        self._where = where
        check_layout_file(self._read_file(LAYOUT_FILE, MANIFEST_LIMIT), f"{where}: {LAYOUT_FILE}")

    @abstractmethod
    def _chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file of the layout; `InputError` where it is missing or leads out."""

    def resolve(self, reference: ImageReference) -> Manifest:
        """Return what the reference names now."""
        index = self._index()
        if not reference.tag and not reference.digest:
            index = self._without_artifacts(index)
        if reference.digest and all(entry.digest != reference.digest for entry in index.children):
            raw = self._read_file(blob_file(reference.digest), MANIFEST_LIMIT)  # a child of an index
            check_digest(raw, reference.digest, str(reference))
            return parse_manifest(raw, "", str(reference))
        return self.read_manifest(entry_named(index, reference))

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest by digest."""
        where = f"{self._where}: manifest {descriptor.digest}"
        if descriptor.size > MANIFEST_LIMIT:
            raise InputError(f"is larger than {MANIFEST_LIMIT} bytes", where=where)
        return parse_manifest(self.read_blob(descriptor), descriptor.media_type, where)

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """Return a blob, its size and digest checked."""
        name = blob_file(descriptor.digest)
        if descriptor.size > BLOB_LIMIT:
            raise InputError(f"is larger than {BLOB_LIMIT} bytes", where=f"{self._where}: {name}")
        raw = self._read_file(name, descriptor.size)
        check_digest(raw, descriptor.digest, f"{self._where}: {name}")
        return raw

    def read_files(self, image: Manifest, paths: Collection[str]) -> Mapping[str, bytes]:
        """Return files of the image's root file system."""
        from .layers import read_files  # the tar and zip readers, which manifests do without

        return read_files(image.layers, self._open_layer, paths)

    def open_root(self, image: Manifest) -> AbstractContextManager[RootFileSystem]:
        """Give access to every file of the image, layer by layer."""
        from .root_file_system import root_of_layers

        return root_of_layers(image.layers, self._open_layer)

    def list_tags(self) -> tuple[str, ...]:
        """Return the names in the layout."""
        return names_in(self._index())

    def list_referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the artifacts in ``index.json`` that refer to a digest; one that cannot be told refers to nothing."""
        artifacts = (self._artifact(entry) for entry in self._index().children)
        subjects = ((a, a.subject) for a in artifacts if a is not None)
        return tuple(referrer_entry(a) for a, subject in subjects if subject is not None and subject.digest == digest)

    def _artifact(self, entry: Descriptor) -> Manifest | None:
        """Return the manifest of an entry that is no image; None of one that is damaged or missing.

        Its manifest says so where the descriptor does not: there ``artifactType`` may be left out (descriptor.md).
        """
        try:
            manifest = self.read_manifest(entry)
        except InputError:
            return None  # most likely another image's, which must not stop what is done with this one
        is_artifact = entry.artifact_type or manifest.artifact_type or manifest.subject is not None
        return manifest if is_artifact else None

    def _without_artifacts(self, index: Manifest) -> Manifest:
        """Return the index without artifacts that have no name: whoever gives none means the one image."""
        if len(index.children) < 2:
            return index
        kept = [
            entry
            for entry, child in zip(index.document["manifests"], index.children)
            if REF_NAME in child.annotations or self._artifact(child) is None
        ]
        return replace(index, document={**index.document, "manifests": kept})

    def _open_layer(self, layer: Descriptor) -> Iterator[bytes]:
        return self._chunks(blob_file(layer.digest))

    def _index(self) -> Manifest:
        return parse_layout_index(self._read_file(INDEX_FILE, MANIFEST_LIMIT), f"{self._where}: {INDEX_FILE}")

    def _read_file(self, name: str, limit: int) -> bytes:
        """Return a whole file of at most ``limit`` bytes."""
        parts: list[bytes] = []
        size = 0
        for chunk in self._chunks(name):
            size += len(chunk)
            if size > limit:
                raise InputError(f"is longer than {limit} bytes", where=f"{self._where}: {name}")
            parts.append(chunk)
        return b"".join(parts)
