"""One writer at a time: an advisory lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpc3.errors import StoreError

_PATIENCE = 30.0  # seconds; a writer holds the lock for milliseconds, a rewritten archive for longer
_PAUSE = 0.02


@contextmanager
def locked(path: Path, *, passing: bool = False) -> Iterator[int]:
    """Hold the lock on a file and yield its handle, open for reading and writing.

    Args:
        path: the file; one that is replaced by a rename while we wait is opened anew.
        passing: the file exists for the lock alone: made when missing, removed at the end.

    Raises:
        StoreError: another process kept the lock for too long.
    """
    handle = _acquire(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_NOFOLLOW if passing else 0))
    try:
        yield handle
    finally:
        if passing:
            path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path, flags: int) -> int:
    deadline = time.monotonic() + _PATIENCE
    while True:
        handle = os.open(path, flags, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
            os.close(handle)  # the former holder replaced or removed the file that we hold
        except BlockingIOError as error:
            os.close(handle)
            if time.monotonic() > deadline:
                raise StoreError("another process is writing", where=str(path), remedy="wait for it") from error
            time.sleep(_PAUSE)
