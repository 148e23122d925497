"""The whole root file system of an image, for those who look at every file: its layers, or the folder podman mounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Union, cast

from hpc3.errors import UsageError

from .inspection import _chosen
from .layers import LayerOpener, _CheckedStream, _decompressed
from .layout_index import blob_file
from .layout_reader import LayoutReader
from .manifest import Descriptor, Manifest
from .reference import ImageReference
from .storage import StorageStore
from .store import ImageStore

#: Layers lowest first, each opened as the bytes of its tar; or a folder.
RootFileSystem = Union[Path, "tuple[Callable[[], IO[bytes]], ...]"]


def choose_image(store: ImageStore, reference: ImageReference, platform: str = "") -> Manifest:
    """Return the image manifest that a reference means; of an index the one for ``os/architecture[/variant]``.

    Raises:
        UsageError: the index holds no image for the platform.
    """
    return _chosen(store, store.resolve(reference), reference, platform, {})


@contextmanager
def open_root_file_system(store: ImageStore, image: Manifest) -> Iterator[RootFileSystem]:
    """Give access to the files of an image; nothing is unpacked.

    Raises:
        InputError: while it is read: a layer is not what its descriptor says.
        StoreError: the store fails.
        UsageError: the store does not give out layers.
    """
    if isinstance(store, StorageStore):
        with store._mounted() as root:
            yield root
    else:
        opener = _opener(store)
        yield tuple(partial(_open_layer, layer, opener) for layer in image.layers)


def _opener(store: ImageStore) -> LayerOpener:
    if isinstance(store, LayoutReader):
        return lambda layer: store._chunks(blob_file(layer.digest))
    opener = getattr(store, "_open_layer", None)
    if opener is None:
        raise UsageError("this store does not give out layers", remedy="copy the image into an OCI layout")
    return cast(LayerOpener, opener)


def _open_layer(layer: Descriptor, opener: LayerOpener) -> IO[bytes]:
    return cast(IO[bytes], _LayerFile(layer, opener))


class _LayerFile:
    """A layer's tar as a file to read from; its digest is checked when the context ends without an error."""

    def __init__(self, layer: Descriptor, opener: LayerOpener) -> None:
        where = f"layer {layer.digest}"
        self._checked = _CheckedStream(opener(layer), layer, where)
        self._tar: Any = _decompressed(layer, self._checked, where)

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes of the tar."""
        return cast(bytes, self._tar.read(size))

    def __enter__(self) -> _LayerFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._checked.finish()
        self._checked.close()
