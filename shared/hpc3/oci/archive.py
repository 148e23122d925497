"""OCI archives: a layout in an uncompressed tar. New content is appended, or the archive is rewritten compactly."""

from __future__ import annotations

import glob
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hpc3.errors import InputError, StoreError

from .layout_index import INDEX_FILE, LAYOUT_CONTENT, LAYOUT_FILE, blob_file, moved_index, parse_layout_index
from .layout_reader import LayoutReader
from .locking import locked
from .manifest import MANIFEST_LIMIT, Descriptor, digest_of, parse_manifest
from .store import Publication
from .tar_members import Members, append_members, has_end_mark, read_members, tar_header

_CHUNK = 1024 * 1024
_TEMPORARY = ".hpc3."


class ArchiveStore(LayoutReader):
    """One OCI archive.

    Args:
        path: the tar.
        compact: rewrite the archive with nothing but what its ``index.json`` needs, instead of appending to it.
    """

    holds_referrers = False  # podman load takes no archive that lists more than the image (4.3, tested)

    def __init__(self, path: Path, *, compact: bool = False) -> None:
        self._path = path
        self._compact = compact
        self._members = self._list()
        super().__init__(str(path))

    def publish(self, publication: Publication) -> None:
        """Append the new blobs and the new ``index.json``, or write the archive anew."""
        try:
            with locked(self._path) as handle:
                self._members = self._list()
                content = moved_index(self._index(), publication)
                files = self._missing(publication)
                if self._compact or not has_end_mark(handle, self._members.end):
                    self._rewrite(content, dict(files))
                else:
                    append_members(handle, self._members.end, [*files, (INDEX_FILE, content)])
                self._members = self._list()
        except OSError as error:
            raise StoreError(f"cannot be written: {error.strerror}", where=self._where) from error

    def _missing(self, publication: Publication) -> list[tuple[str, bytes]]:
        manifests = (*publication.manifests, publication.head, *publication.referrers)
        blobs = {blob_file(digest_of(b)): b for b in (*publication.blobs, *(m.raw for m in manifests))}
        return [(name, blob) for name, blob in blobs.items() if name not in self._members.places]

    def _list(self) -> Members:
        try:
            return read_members(self._path)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=str(self._path)) from error

    def _chunks(self, name: str) -> Iterator[bytes]:
        place = self._members.places.get(name)
        if place is None:
            raise InputError("is missing from the archive", where=f"{self._where}: {name}")
        try:
            with self._path.open("rb") as stream:
                stream.seek(place.offset)
                missing = place.size
                while missing:
                    chunk = stream.read(min(_CHUNK, missing))
                    if not chunk:
                        raise InputError("ends early", where=f"{self._where}: {name}")
                    missing -= len(chunk)
                    yield chunk
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=self._where) from error

    def _rewrite(self, index: bytes, added: Mapping[str, bytes]) -> None:
        """Replace the archive by one that holds only what ``index`` needs."""
        prefix = f"{_TEMPORARY}{self._path.name}."
        for leftover in self._path.parent.glob(f"{glob.escape(prefix)}*"):  # of a killed run: we hold the lock
            leftover.unlink(missing_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=prefix, dir=self._path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                for name, chunks in self._content(index, added):
                    size = len(added[name]) if name in added else self._size(name, index)
                    stream.write(tar_header(name, size))
                    for chunk in chunks:
                        stream.write(chunk)
                    stream.write(bytes(-size % tarfile.BLOCKSIZE))
                stream.write(bytes(2 * tarfile.BLOCKSIZE))
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(self._path.stat().st_mode & 0o777)
            Path(temporary).replace(self._path.resolve())
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _size(self, name: str, index: bytes) -> int:
        fixed = {LAYOUT_FILE: len(LAYOUT_CONTENT), INDEX_FILE: len(index)}
        return fixed[name] if name in fixed else self._members.places[name].size

    def _content(self, index: bytes, added: Mapping[str, bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
        yield LAYOUT_FILE, iter((LAYOUT_CONTENT,))
        yield INDEX_FILE, iter((index,))
        for name in sorted(self._reachable(parse_layout_index(index, INDEX_FILE).children, added)):
            yield name, iter((added[name],)) if name in added else self._chunks(name)

    def _reachable(self, roots: Sequence[Descriptor], added: Mapping[str, bytes]) -> set[str]:
        """Return the members that an image, its children and its referrers need."""
        names: set[str] = set()
        for descriptor in roots:
            name = blob_file(descriptor.digest)
            names.add(name)
            raw = added.get(name) or self._read_file(name, MANIFEST_LIMIT)
            manifest = parse_manifest(raw, descriptor.media_type, name)
            if manifest.is_index:
                names |= self._reachable(manifest.children, added)
            else:
                names |= {blob_file(blob.digest) for blob in (manifest.config, *manifest.layers)}
        return names
