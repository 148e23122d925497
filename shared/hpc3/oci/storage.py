"""Images in the storage of podman, buildah and CRI-O, by way of skopeo; no byte of a layer is moved.

The new manifest and config go into a temporary layout without layers; skopeo copies from there and finds every layer in
the storage by digest. Where it does not, it fails before it changes anything, since the layout has no layer to offer.

Two names of one image ID share one manifest in this storage: whoever edits annotations alone changes both.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from hpc3.errors import InputError, StoreError, UsageError, printable

from .layout import LayoutStore
from .layout_index import INDEX_FILE, LAYOUT_CONTENT, LAYOUT_FILE
from .manifest import OCI_INDEX, Descriptor, Manifest, check_digest, parse_manifest
from .reference import ImageReference
from .store import BLOB_LIMIT, Publication, tag_moved

_TIMEOUT = 600  # seconds
_LINK_ROUNDS = 40  # as many as Linux follows
_SPEC = re.compile(r"\[(?P<driver>[a-z0-9]+)@(?P<root>[^+\]]+)\+(?P<run>[^:\]]+)[^\]]*\]")


class StorageStore:
    """One image in containers-storage."""

    holds_referrers = False

    def __init__(self, reference: ImageReference) -> None:
        self._reference = reference

    def resolve(self, reference: ImageReference) -> Manifest:
        """Return the manifest of an image in the storage."""
        raw = _skopeo("inspect", "--raw", str(reference))
        manifest = parse_manifest(raw, "", str(reference))
        if manifest.is_index:
            raise UsageError("is a manifest list", where=str(reference), remedy="push it and annotate it there")
        return manifest

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return the image's manifest; the storage has no other to offer."""
        manifest = self.resolve(self._reference)
        if manifest.digest != descriptor.digest:
            raise InputError(f"has no manifest {descriptor.digest}", where=str(self._reference))
        return manifest

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """Return the config blob, the only one that the storage gives out."""
        if descriptor.size > BLOB_LIMIT:
            raise InputError(f"is larger than {BLOB_LIMIT} bytes", where=f"blob {descriptor.digest}")
        raw = _skopeo("inspect", "--raw", "--config", str(self._reference))
        check_digest(raw, descriptor.digest, f"{self._reference}: config")
        return raw

    def read_files(self, image: Manifest, paths: Collection[str]) -> Mapping[str, bytes]:
        """Return files of the root file system, which podman mounts read-only."""
        with self.open_root(image) as root:
            found = {path: _read_below(root, path) for path in paths}
        return {path: content for path, content in sorted(found.items()) if content is not None}

    @contextmanager
    def open_root(self, image: Manifest) -> Iterator[Path]:
        """Give access to the root file system, which podman mounts read-only."""
        base = ["podman", *_podman_storage(self._reference)]
        name = str(self._reference).removeprefix(f"containers-storage:{self._reference.location}")
        root = _run([*base, "image", "mount", name]).decode().strip()
        try:
            yield Path(root)
        finally:
            _run([*base, "image", "umount", name])

    def list_tags(self) -> tuple[str, ...]:
        """Return nothing: a name in the storage stands for itself."""
        return ()

    def list_referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return nothing: the storage keeps no artifacts."""
        return ()

    def publish(self, publication: Publication) -> None:
        """Give the image its new manifest and config."""
        if publication.manifests or publication.referrers:
            raise UsageError("keeps single images only", where=str(publication.target), remedy="push first")
        if publication.replaces:
            present = self.resolve(publication.target).digest
            if present != publication.replaces:
                raise tag_moved(publication.target, publication.replaces, present)
        config = publication.head.config
        blobs = publication.blobs or (self.read_blob(config),)
        with tempfile.TemporaryDirectory(prefix="hpc3-") as name:
            source = _sparse_layout(Path(name), Publication(ImageReference("oci", name), publication.head, blobs=blobs))
            _skopeo("copy", "--quiet", "--preserve-digests", f"oci:{source}", str(publication.target))
        stored = self.resolve(publication.target)
        if stored.digest != publication.head.digest:
            raise StoreError(f"stored {stored.digest}, not {publication.head.digest}", where=str(publication.target))


def _sparse_layout(folder: Path, publication: Publication) -> Path:
    """Write a layout that holds manifest and config, and no layer."""
    (folder / LAYOUT_FILE).write_bytes(LAYOUT_CONTENT)
    (folder / INDEX_FILE).write_text(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}))
    LayoutStore(folder).publish(publication)
    return folder


def _podman_storage(reference: ImageReference) -> list[str]:
    match = _SPEC.fullmatch(reference.location)
    if not match:
        return []
    return ["--storage-driver", match["driver"], "--root", match["root"], "--runroot", match["run"]]


def _skopeo(*arguments: str) -> bytes:
    return _run(["skopeo", *arguments])


def _run(command: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise StoreError(f"{command[0]} is not installed", remedy="containers-storage is reached through it") from error
    except subprocess.TimeoutExpired as error:
        raise StoreError(f"{command[0]} took longer than {_TIMEOUT} seconds") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise StoreError(f"{command[0]} failed: {printable(lines[-1], 500)}")
    return done.stdout


def _read_below(root: Path, path: str) -> bytes | None:
    """Return a file below ``root``, links resolved as a process inside would resolve them."""
    parts, resolved = list(PurePosixPath(path).parts), Path()
    for _ in range(_LINK_ROUNDS * len(parts)):
        if not parts:
            break
        part = parts.pop(0)
        if part == "..":
            resolved = resolved.parent
            continue
        here = root / resolved / part
        try:
            if not here.is_symlink():
                resolved = resolved / part
                continue
            target = PurePosixPath(here.readlink())
        except OSError:
            return None
        parts = [p for p in (*target.parts, *parts) if p != "/"]
        resolved = Path() if target.is_absolute() else resolved
    return _read_regular(root / resolved)


def _read_regular(path: Path) -> bytes | None:
    """Return a regular file; anything else (a fifo would block) counts as absent."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > BLOB_LIMIT:
            return None
        return path.read_bytes()
    except FileNotFoundError:
        return None
