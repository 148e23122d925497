"""A file tree as evidence reads it: an unpacked root file system, an install tree, the layers of an image.

A tree is walked once, in its own order; an entry can be opened until the next one is asked for, so that a tar stream
can be a tree. Paths are relative, without a leading slash; links are never followed by a tree, only by `resolve`,
which stays inside.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from hpc3.errors import InputError
from hpc3.observed import Skipped

_MOST_LINKS = 40  # as Linux: more links in one path are a loop


@dataclass(frozen=True)
class Entry:
    """A name in the tree: ``kind`` is ``file``, ``link`` (to ``target``) or ``directory``."""

    path: str
    kind: str
    size: int = 0
    executable: bool = False
    target: str = ""


class Tree(Protocol):
    """What evidence needs of a file tree."""

    def entries(self) -> Iterator[Entry | Skipped]:
        """Yield every name once; what cannot be looked at comes as `Skipped`."""

    def open(self, entry: Entry, magic: bytes = b"") -> BinaryIO | None:
        """Open a regular file for reading from any place; valid until the next entry is asked for.

        Args:
            entry: the one that was yielded last.
            magic: bytes with which it must begin; None is returned where it does not.

        Raises:
            OSError: the file cannot be read.
        """


class DirectoryTree:
    """An unpacked root file system or install tree on this host.

    Devices, sockets and other file systems mounted inside are skipped: a root file system on disk has none.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise InputError("is not a directory", where=str(root))
        self.root = root
        self._device = root.stat().st_dev

    def entries(self) -> Iterator[Entry | Skipped]:
        """Yield every name below the root, folders depth-first, sorted by name."""
        pending = [""]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(self.root / folder) as listed:
                    names = sorted(listed, key=lambda found: found.name)
            except OSError as error:
                yield Skipped(f"/{folder}", f"cannot be read: {error.strerror}")
                continue
            below = []
            for found in names:
                entry = self._entry(f"{folder}/{found.name}" if folder else found.name, found)
                if isinstance(entry, Entry) and entry.kind == "directory":
                    below.append(entry.path)
                yield entry
            pending.extend(reversed(below))

    def open(self, entry: Entry, magic: bytes = b"") -> BinaryIO | None:
        """Open a regular file that begins with ``magic``; a link that took its place meanwhile is refused."""
        # NONBLOCK: were it a pipe by now, opening it would wait for a writer
        handle = os.open(f"{self.root}/{entry.path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "is no regular file any more", entry.path)
        if magic and os.pread(handle, len(magic), 0) != magic:
            os.close(handle)
            return None
        return os.fdopen(handle, "rb")

    def _entry(self, path: str, found: os.DirEntry[str]) -> Entry | Skipped:
        try:
            status = found.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                return Entry(path, "link", target=str(Path(found.path).readlink()))
        except OSError as error:
            return Skipped(f"/{path}", f"cannot be read: {error.strerror}")
        if status.st_dev != self._device:
            return Skipped(f"/{path}", "lies on another file system")
        if stat.S_ISDIR(status.st_mode):
            return Entry(path, "directory")
        if stat.S_ISREG(status.st_mode):
            return Entry(path, "file", size=status.st_size, executable=bool(status.st_mode & 0o111))
        return Skipped(f"/{path}", "is a device, pipe or socket")


def resolve(path: str, links: Mapping[str, str]) -> str:
    """Return the path that ``path`` names once every link in it is followed inside the tree.

    Absolute targets start at the tree's root and ``..`` never leaves it, as in a chroot. ``links`` maps each link's
    path to its target. A loop gives an empty string.
    """
    done: list[str] = []
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    followed = 0
    while todo:
        part = todo.pop()
        if part == "..":
            del done[-1:]
            continue
        target = links.get("/".join((*done, part)))
        if target is None:
            done.append(part)
            continue
        followed += 1
        if followed > _MOST_LINKS:
            return ""
        if target.startswith("/"):
            done.clear()
        todo.extend(piece for piece in reversed(target.split("/")) if piece not in ("", "."))
    return "/".join(done)


def suffix_of(path: str, stem: str) -> str:
    """Return what follows ``stem.so.`` in a library's file name (``40.30.4``); empty where nothing does."""
    name = posixpath.basename(path)
    return name[len(stem) + 4 :] if name.startswith(f"{stem}.so.") else ""
