"""The whole root file system of an image, for those who look at every file: its layers, or a folder that is mounted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Union, cast

from .layers import CheckedStream, LayerOpener, unpacked
from .manifest import Descriptor

#: Layers lowest first, each opened as the bytes of its tar; or a folder.
RootFileSystem = Union[Path, "tuple[Callable[[], IO[bytes]], ...]"]


@contextmanager
def root_of_layers(layers: Sequence[Descriptor], open_layer: LayerOpener) -> Iterator[RootFileSystem]:
    """Give access to the files of an image layer by layer; nothing is unpacked.

    Args:
        layers: lowest first, as a manifest lists them.
        open_layer: returns a layer's bytes in chunks, as stored.

    Raises:
        InputError: while it is read: a layer is not what its descriptor says.
        StoreError: the store fails.
    """
    yield tuple(partial(_open_tar, layer, open_layer) for layer in layers)


def _open_tar(layer: Descriptor, open_layer: LayerOpener) -> IO[bytes]:
    return cast(IO[bytes], _LayerFile(layer, open_layer))


class _LayerFile:
    """A layer's tar as a file to read from; its digest is checked when the context ends without an error."""

    def __init__(self, layer: Descriptor, open_layer: LayerOpener) -> None:
        where = f"layer {layer.digest}"
        self._checked = CheckedStream(open_layer(layer), layer, where)
        self._tar: Any = unpacked(layer, self._checked, where)

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
