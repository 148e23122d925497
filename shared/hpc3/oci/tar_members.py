"""The members of an OCI archive: where they lie in the tar, and how more are added without a moment of damage.

A tar ends with two zero blocks; readers stop there. New members are therefore written *behind* that mark first, where
nobody sees them, and shown by one last write over the mark. Killed before it, the archive is the old one; after it,
the new one. Readers take the last of several ``index.json``, as everybody who unpacks does (skopeo, podman: tested).
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpc3.errors import InputError

from .layout_index import INDEX_FILE

_BLOCK = 512
_PAGE = 4096  # a write inside one page is not torn by a signal
_MEMBER_LIMIT = 1_000_000


@dataclass(frozen=True)
class Place:
    """Where a member's content lies in the archive file, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class Members:
    """What an archive holds.

    Attributes:
        places: member name to place; regular files only.
        end: offset of the end mark.
    """

    places: Mapping[str, Place]
    end: int


def read_members(path: Path) -> Members:
    """List the members of an uncompressed tar.

    Raises:
        InputError: it is none, or has a member that leads out of it, is a link, or occurs twice.
    """
    places: dict[str, Place] = {}
    end = 0
    try:
        with tarfile.open(path, "r:") as tar:
            for count, member in enumerate(tar):
                where = f"{path}: {member.name}"
                if count > _MEMBER_LIMIT:
                    raise InputError("has too many members", where=str(path))
                end = max(end, member.offset_data + (_padded(member.size) if member.isreg() else 0))
                name = member.name[2:] if member.name.startswith("./") else member.name
                if name.startswith("/") or ".." in name.split("/"):
                    raise InputError("leads out of the archive", where=where)
                if member.isdir():
                    continue
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    raise InputError("is neither file nor folder", where=where)
                if name in places and name != INDEX_FILE:
                    raise InputError("occurs twice", where=where)
                places[name] = Place(member.offset_data, member.size)
    except (tarfile.TarError, EOFError, ValueError) as error:
        remedy = "a compressed archive must be unpacked first"
        raise InputError(f"is no uncompressed tar: {error}", where=str(path), remedy=remedy) from error
    return Members(places, end)


def has_end_mark(handle: int, end: int) -> bool:
    """Whether the archive ends as it should, so that members can be appended."""
    return os.pread(handle, 2 * _BLOCK, end) == bytes(2 * _BLOCK)


def append_members(handle: int, end: int, files: Sequence[tuple[str, bytes]]) -> None:
    """Add files at the end mark; the archive is whole at every moment.

    Args:
        handle: the archive, open for reading and writing; it must have an end mark.
        end: offset of the end mark.
        files: name and content, at least one and the first not empty.
    """
    body = b"".join(tar_header(name, len(content)) + _block_filled(content) for name, content in files)
    mark = 2 * _BLOCK
    folder = b""
    if end % _PAGE == _PAGE - _BLOCK:
        # The write that shows the members would span two pages. An empty folder, shown first by a write of its own,
        # moves it to the next page.
        folder = tar_header("blobs/", 0, tarfile.DIRTYPE)
        _write_at(handle, bytes(_BLOCK), end + mark)
    start = end + len(folder)
    _write_at(handle, body[mark:] + bytes(mark), start + mark)
    os.fsync(handle)
    if folder:
        _write_at(handle, folder, end)
    _write_at(handle, body[:mark], start)
    os.ftruncate(handle, start + len(body) + mark)  # what an interrupted run left behind
    os.fsync(handle)


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return one tar header block, without time and owner."""
    member = tarfile.TarInfo(name)
    member.size, member.type, member.mode = size, kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
    return member.tobuf(tarfile.USTAR_FORMAT)


def _block_filled(content: bytes) -> bytes:
    return content + bytes(_padded(len(content)) - len(content))


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _write_at(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written
