"""The layers of an image as a file tree, read as streams: nothing is unpacked but one file at a time.

Layers are read from the newest down, so that a name that was seen, or hidden by a whiteout, is final. Whiteouts
follow image-spec, layer.md: ``.wh.NAME`` hides NAME in the layers below, ``.wh..wh..opq`` what its folder holds there.
"""

from __future__ import annotations

import gzip
import posixpath
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, BinaryIO, cast

from hpc3.errors import InputError
from hpc3.observed import Skipped
from hpc3.oci.layers import BoundedMember

from .tree import Entry

#: Opens one layer as the bytes of its tar, decompressed.
LayerStream = Callable[[], IO[bytes]]

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_IN_MEMORY = 16 << 20
_FILE_LIMIT = 8 << 30
_SPARSE_LIMIT = 64 << 20  # a header is enough for a giant of holes; builders of images write none
_COPY = 1 << 20
_BUFFER = 1 << 16  # tarfile copies what is left of its buffer at each header
_UNREADABLE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError)


class LayerTree:
    """The root file system that a stack of layers makes.

    A hard link comes as a link to the name that it shares its content with.
    """

    def __init__(self, layers: Sequence[LayerStream]) -> None:
        """Take the layers, lowest first, as a manifest lists them."""
        self._layers = layers
        self._tar: tarfile.TarFile | None = None
        self._member: tarfile.TarInfo | None = None

    def entries(self) -> Iterator[Entry | Skipped]:
        """Yield every name that the uppermost layer holding it holds, layer by layer.

        Raises:
            InputError: a layer is no tar.
        """
        final: set[str] = set()
        hidden: set[str] = set()
        for number in reversed(range(len(self._layers))):
            seen: set[str] = set()
            hides: set[str] = set()
            for entry in self._layer(number, seen, hides):
                path = entry.path.lstrip("/")
                if path not in final and not _is_below(path, hidden):
                    yield entry
            final |= seen
            hidden |= hides

    def open(self, entry: Entry, magic: bytes = b"") -> BinaryIO | None:
        """Return the content of the entry that was yielded last, in memory or, if large, in a temporary file.

        None: it does not begin with ``magic``.

        Raises:
            OSError: it is larger than any honest file, or the layer ends inside it.
        """
        if self._tar is None or self._member is None or _clean(self._member.name) != entry.path:
            raise OSError(f"/{entry.path} is not the entry of the moment")
        stream = self._tar.extractfile(self._member) if self._member.isreg() else None
        if stream is None:
            raise OSError("its content is not in this layer")
        if self._member.size > (_SPARSE_LIMIT if self._member.issparse() else _FILE_LIMIT):
            raise OSError("is too large")
        try:
            return _spooled(stream, magic)
        except _UNREADABLE as error:
            raise OSError(f"the layer ends inside it: {error}") from error

    def _layer(self, number: int, seen: set[str], hides: set[str]) -> Iterator[Entry | Skipped]:
        where = f"layer {number + 1} of {len(self._layers)}"
        try:
            with (
                self._layers[number]() as stream,
                tarfile.open(fileobj=stream, mode="r|", bufsize=_BUFFER, tarinfo=BoundedMember) as tar,
            ):
                self._tar = tar
                for member in tar:
                    cast(Any, tar).members.clear()  # tarfile would keep every header it saw
                    self._member = member
                    path = _clean(member.name)
                    if _takes_whiteout(path, hides) or path in seen or not path:
                        continue
                    if not member.isdir():
                        seen.add(path)
                    yield _entry(path, member)
        except _UNREADABLE as error:
            raise InputError(f"cannot be read: {error}", where=where) from error
        finally:
            self._tar = self._member = None


def _spooled(stream: IO[bytes], magic: bytes) -> BinaryIO | None:
    """Return a copy of a stream to read from any place; None where it does not begin with ``magic``."""
    chunk = stream.read(_COPY)
    if not chunk.startswith(magic):
        return None
    spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by the caller
    try:
        spool.write(chunk)
        shutil.copyfileobj(stream, spool, _COPY)
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return cast(BinaryIO, spool)


def _takes_whiteout(path: str, hides: set[str]) -> bool:
    folder, name = posixpath.split(path)
    if name == _OPAQUE:
        hides.add(folder)
    elif name.startswith(_WHITEOUT):
        hides.add(posixpath.join(folder, name[len(_WHITEOUT) :]))
    else:
        return False
    return True


def _entry(path: str, member: tarfile.TarInfo) -> Entry | Skipped:
    if member.issym():
        return Entry(path, "link", target=member.linkname)
    if member.islnk():  # one file under two names: a link serves those who look it up
        return Entry(path, "link", target="/" + _clean(member.linkname))
    if member.isdir():
        return Entry(path, "directory")
    if member.isreg():
        return Entry(path, "file", size=member.size, executable=bool(member.mode & 0o111))
    return Skipped(f"/{path}", "is a device, pipe or socket")


def _clean(name: str) -> str:
    """Return a member's path without a leading slash; ``..`` cannot lead out of the root."""
    return posixpath.normpath("/" + name).lstrip("/")


def _is_below(path: str, folders: set[str]) -> bool:
    while True:
        if path in folders:
            return True
        if not path:
            return False
        path = posixpath.dirname(path)
