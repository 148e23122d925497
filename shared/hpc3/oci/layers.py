"""Files of an image's root file system, read from its layers without unpacking them.

Layers are read newest first, each as a stream and to its end, so that its digest is checked; reading stops before the
next layer as soon as everything asked for is decided. Memory holds one chunk and the files that were asked for.
Whiteouts follow image-spec, layer.md: ``.wh.NAME`` hides NAME below, ``.wh..wh..opq`` what the folder holds below.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, Any, cast

from hpc3.errors import InputError

from .manifest import Descriptor

#: The largest file that is read; libc.so.6 and a large spack.lock stay below.
FILE_LIMIT = 64 * 1024 * 1024
_CHUNK = 1024 * 1024
_MEMBER_LIMIT = 20_000_000
_UNPACKED_LIMIT = 256 * 1024**3  # bytes of one layer; what a few packed ones can grow to has no end
_LINK_ROUNDS = 16
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"

LayerOpener = Callable[[Descriptor], Iterator[bytes]]


@dataclass(frozen=True)
class _Link:
    target: str


@dataclass
class _Search:
    """What a pass over the layers has found, and what can no longer be found."""

    wanted: set[str]
    found: dict[str, bytes | _Link] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)

    def open_paths(self) -> set[str]:
        return {path for path in self.wanted if not any(p in self.found or p in self.hidden for p in _upward(path))}


def read_files(layers: Sequence[Descriptor], open_layer: LayerOpener, paths: Collection[str]) -> Mapping[str, bytes]:
    """Return the files at ``paths``; absent ones, folders and devices are left out.

    Args:
        layers: lowest first, as a manifest lists them.
        open_layer: returns a layer's bytes in chunks, as stored.
        paths: without leading slash; links are followed inside the image.

    Raises:
        InputError: a layer that is no tar, is compressed in a way that cannot be read here, or has another digest.
    """
    search = _Search(set(paths))
    for _ in range(_LINK_ROUNDS):
        _scan(layers, open_layer, search)
        more = {hop for path in paths for hop in _hops(path, search.found)} - search.wanted
        if not more:
            break
        # A link led to a path that was not looked for: look again, for that too.
        search = _Search(search.wanted | more)
    resolved = {path: _follow(path, search.found) for path in paths}
    return {path: content for path, content in sorted(resolved.items()) if content is not None}


def _scan(layers: Sequence[Descriptor], open_layer: LayerOpener, search: _Search) -> None:
    for layer in reversed(layers):
        if not search.open_paths():
            return
        _scan_layer(layer, open_layer(layer), search)


def _scan_layer(layer: Descriptor, chunks: Iterator[bytes], search: _Search) -> None:
    where = f"layer {layer.digest}"
    checked = CheckedStream(chunks, layer, where)
    still_open = search.open_paths()
    ancestors = {folder for path in still_open for folder in _upward(path)}
    found: dict[str, bytes | _Link] = {}
    hidden: set[str] = set()
    try:
        with (
            closing(checked),
            tarfile.open(
                fileobj=cast(IO[bytes], unpacked(layer, checked, where)),
                mode="r|",
                tarinfo=BoundedMember,
            ) as tar,
        ):
            for member in _members(tar, where):
                _take(tar, member, ancestors, still_open, found, hidden)
            checked.finish()
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=where) from error
    search.found.update(found)
    search.hidden.update(hidden)


class BoundedMember(tarfile.TarInfo):
    """A tar header that states no metadata too large to hold: tarfile reads names and pax records as a whole."""

    @classmethod
    def frombuf(cls, *args: Any, **options: Any) -> Any:
        """Return the header in a block.

        Raises:
            tarfile.ReadError: what follows it is metadata that is too large.
        """
        member = super().frombuf(*args, **options)
        special = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, *tarfile.GNU_TYPES)
        if member.type in special and member.type != tarfile.GNUTYPE_SPARSE and member.size > _CHUNK:
            raise tarfile.ReadError("a header is too large")
        return member


def _members(tar: tarfile.TarFile, where: str) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(tar):
        if count >= _MEMBER_LIMIT:
            raise InputError("has too many members", where=where)
        cast(Any, tar).members.clear()  # tarfile would keep every header it saw
        yield member


def _take(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    ancestors: set[str],
    wanted: set[str],
    found: dict[str, bytes | _Link],
    hidden: set[str],
) -> None:
    """Note what a member of a layer decides about the wanted paths."""
    path = posixpath.normpath("/" + member.name).lstrip("/")
    folder, name = posixpath.split(path)
    if name == _OPAQUE:
        hidden.update(w for w in wanted if w.startswith(folder + "/") or not folder)
    elif name.startswith(_WHITEOUT):
        hidden.add(posixpath.join(folder, name[len(_WHITEOUT) :]))
    elif path not in ancestors:
        return
    elif member.issym():
        found[path] = _Link(posixpath.normpath(posixpath.join("/", folder, member.linkname)).lstrip("/"))
    elif member.islnk():
        found[path] = _Link(posixpath.normpath("/" + member.linkname).lstrip("/"))
    elif member.isreg() and path in wanted:
        if member.size > FILE_LIMIT:
            raise InputError(f"is larger than {FILE_LIMIT} bytes", where=path)
        found[path] = cast(IO[bytes], tar.extractfile(member)).read()
    elif not member.isdir():
        hidden.add(path)  # a device, or a file where a folder was


def _hops(path: str, found: Mapping[str, bytes | _Link]) -> Iterator[str]:
    """Yield every path that following ``path`` passes, itself included."""
    for _ in range(_LINK_ROUNDS):
        yield path
        through = next((p for p in _upward(path) if isinstance(found.get(p), _Link)), None)
        if through is None:
            return
        path = _beyond(path, through, cast(_Link, found[through]))


def _follow(path: str, found: Mapping[str, bytes | _Link]) -> bytes | None:
    *_, last = _hops(path, found)
    content = found.get(last)
    return content if isinstance(content, bytes) else None


def _beyond(path: str, through: str, link: _Link) -> str:
    rest = path[len(through) :].lstrip("/")
    return posixpath.join(link.target, rest) if rest else link.target


def _upward(path: str) -> Iterator[str]:
    """Yield the path's folders, outermost first, then the path."""
    parts = path.split("/")
    for i in range(1, len(parts) + 1):
        yield "/".join(parts[:i])


class CheckedStream(io.RawIOBase):
    """A layer as a file, its size bounded and its digest checked at the end."""

    def __init__(self, chunks: Iterator[bytes], layer: Descriptor, where: str) -> None:
        self._chunks = chunks
        self._layer = layer
        self._where = where
        self._hash = hashlib.new(layer.digest.partition(":")[0])
        self._size = 0
        self._chunk = b""
        self._place = 0

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes; nothing at the end."""
        while self._place >= len(self._chunk):
            chunk = next(self._chunks, b"")
            if not chunk:
                return b""
            self._hash.update(chunk)
            self._size += len(chunk)
            if self._size > self._layer.size:
                raise InputError(f"is longer than the {self._layer.size} bytes it should have", where=self._where)
            self._chunk, self._place = chunk, 0
        end = len(self._chunk) if size < 0 else self._place + size
        piece, self._place = self._chunk[self._place : end], end
        return piece

    def finish(self) -> None:
        """Read to the end and check size and digest."""
        while self.read(_CHUNK):
            pass
        found = f"{self._layer.digest.partition(':')[0]}:{self._hash.hexdigest()}"
        if self._size != self._layer.size or found != self._layer.digest:
            raise InputError(f"has {self._size} bytes of digest {found}", where=self._where)

    def close(self) -> None:
        """Let go of the connection or file behind the chunks."""
        stop = getattr(self._chunks, "close", None)
        if stop is not None:
            stop()
        super().close()


def unpacked(layer: Descriptor, stream: CheckedStream, where: str) -> Any:
    """Return the tar inside a layer as a file that ends with an error at the limit for one layer.

    Raises:
        InputError: it is packed in a way that cannot be read here.
    """
    return _Bounded(_decompressed(layer, stream, where), where)


def _decompressed(layer: Descriptor, stream: CheckedStream, where: str) -> Any:
    """Return the tar inside a layer; what it is packed with is told by its first bytes, as containers/image does."""
    head = b""
    while len(head) < 4:
        piece = stream.read(4 - len(head))
        if not piece:
            break
        head += piece
    packed = _Prefixed(head, stream)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=cast(IO[bytes], packed), mode="rb")  # of any number of members, as eStargz has
    if head == b"\x28\xb5\x2f\xfd":
        return _zstd(packed, where)
    if layer.media_type.endswith(("+encrypted",)) or head.startswith((b"BZh", b"\xfd7zX")):
        raise InputError("is packed in a way that cannot be read", where=where)
    return packed


class _Prefixed:
    """A stream with bytes put back before it; gives short reads never but at the end."""

    def __init__(self, head: bytes, stream: CheckedStream) -> None:
        self._buffer = head
        self._stream = stream

    def read(self, size: int) -> bytes:
        parts, missing = [self._buffer[:size]], size - len(self._buffer[:size])
        self._buffer = self._buffer[size:]
        while missing > 0:
            piece = self._stream.read(missing)
            if not piece:
                break
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)


class _Bounded:
    """A stream that is not read beyond the limit for one layer."""

    def __init__(self, stream: Any, where: str) -> None:
        self._stream = stream
        self._where = where
        self._left = _UNPACKED_LIMIT

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise InputError(f"unpacks to more than {_UNPACKED_LIMIT} bytes", where=self._where)
        return piece


def _zstd(packed: _Prefixed, where: str) -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise InputError("is packed with zstd", where=where, remedy="pip install zstandard") from error
    stream = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(
        cast(IO[bytes], packed), read_across_frames=True
    )
    return _Unzstd(stream, zstandard.ZstdError)


class _Unzstd:
    """The content of zstd frames; their faults are told as every reader here tells them."""

    def __init__(self, stream: Any, fault: type[Exception]) -> None:
        self._stream = stream
        self._fault = fault

    def read(self, size: int) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except self._fault as error:
            raise ValueError(str(error)) from error
