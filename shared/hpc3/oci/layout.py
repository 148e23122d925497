"""OCI layouts: a folder with ``oci-layout``, ``index.json`` and ``blobs/`` (image-spec, image-layout.md).

Blobs are written beside their place and moved there; the last step replaces ``index.json`` by a rename. A lock file
keeps a second writer of this program out; that nobody else moved the name is checked under the lock. Killed at any
moment, the layout is whole: the old image or the new one, and perhaps a temporary file that the next writer removes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hpc3.errors import InputError, StoreError

from .layout_index import INDEX_FILE, blob_file, moved_index
from .layout_reader import LayoutReader
from .locking import locked
from .manifest import digest_of
from .store import Publication

_CHUNK = 1024 * 1024
_TEMPORARY = ".hpc3."
_LOCK_FILE = ".hpc3.lock"


class LayoutStore(LayoutReader):
    """One OCI layout on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(str(folder))

    def publish(self, publication: Publication) -> None:
        """Write the blobs, then replace ``index.json``."""
        try:
            with locked(self._folder / _LOCK_FILE, passing=True):
                self._remove_leftovers()
                content = moved_index(self._index(), publication)
                manifests = (*publication.manifests, publication.head, *publication.referrers)
                for blob in (*publication.blobs, *(manifest.raw for manifest in manifests)):
                    self._write_blob(blob)
                self._replace(self._folder / INDEX_FILE, content)
        except OSError as error:
            raise StoreError(f"cannot be written: {error.strerror}", where=self._where) from error

    def _chunks(self, name: str) -> Iterator[bytes]:
        path = self._folder / name
        try:
            with self._inside(path).open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError("is missing from the layout", where=str(path)) from error
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=str(path)) from error

    def _inside(self, path: Path) -> Path:
        """Return the file behind a path; a link must not lead out of the layout."""
        real = path.resolve()
        if not real.is_relative_to(self._folder.resolve()):
            raise InputError("leads out of the layout", where=str(path))
        return real

    def _write_blob(self, raw: bytes) -> None:
        path = self._folder / blob_file(digest_of(raw))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._inside(path.parent)
        if not (path.is_file() and path.stat().st_size == len(raw) and path.read_bytes() == raw):
            self._replace(path, raw)

    def _replace(self, path: Path, raw: bytes) -> None:
        """Make the file hold ``raw``, whole or not at all; temporary files stay out of ``blobs``."""
        handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(raw)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def _remove_leftovers(self) -> None:
        for path in self._folder.glob(f"{_TEMPORARY}*"):
            if path.name != _LOCK_FILE:
                path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
