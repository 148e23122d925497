"""A folder with ``spack.yaml`` and ``spack.lock``, or a lock alone, to a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hpc3.errors import InputError
from hpc3.request import SpackRequest
from hpc3.vocabulary import OCI_PREFIX, PREFIX, is_reserved

from .documentation import documentation_beside
from .documents import Place, as_object, read_document
from .source import Source
from .spack_facts import facts_from_lock
from .spack_files import environment_document
from .spack_lock import Lock, lock_from_bytes
from .spack_manifest import asked_packages, package_name, request_from_manifest
from .spack_metadata import METADATA_LIMIT, METADATA_NAME, SpackMetadata, metadata_from_bytes
from .yaml_document import load_yaml

_MANIFEST_LIMIT = 4 * 1024 * 1024

YamlLoader = Callable[[bytes, str], object]


def read_environment(path: Path, picks: Sequence[str] = ()) -> Source:
    """Read an environment from its folder or from one of its two files.

    A lock without ``spack.yaml`` beside it gives facts, but no request.

    Raises:
        InputError: a file is missing or not what it should be.
    """
    return environment_source(path, picks, load_yaml)


def environment_source(
    path: Path, picks: Sequence[str], load: YamlLoader, metadata: SpackMetadata | None = None
) -> Source:
    """Read an environment with a given YAML reader: Spack has its own.

    ``metadata`` stands for the file beside the lock, where whoever calls knows better.
    """
    folder = path if path.is_dir() else path.parent
    lock_path = path if path.suffix == ".lock" else folder / "spack.lock"
    if not lock_path.exists():
        raise InputError(
            "there is no such file", where=str(lock_path), remedy="concretize first: spack -e . concretize"
        )
    data = read_document(lock_path)
    lock = lock_from_bytes(data, lock_path.name, picks)
    manifest = environment_document(folder, "spack.yaml", _MANIFEST_LIMIT)
    request = None
    if manifest is not None:
        document = load(manifest, "spack.yaml")
        request = request_from_manifest(document, folder)
        _check_lock(document, lock, lock_path.name)
    metadata = metadata or _metadata(folder, lock)
    return Source(
        facts=facts_from_lock(
            lock,
            document=lock_path.name,
            metadata=metadata,
            stated=_stated(request) if request else {},
            documentation=documentation_beside(folder) if manifest is not None else {},
        ),
        request=request,
        metadata=metadata,
        files={"spack.lock": data},
    )


def _check_lock(document: object, lock: Lock, name: str) -> None:
    """Raise where ``spack.yaml`` asks for a package that no root of the lock was asked for as.

    Whether constraints changed, only Spack can tell; a build with an older lock is stopped by the recipe in any case.
    """
    held = {package_name(spec) for spec in lock.specs}
    new = [name for name in asked_packages(as_object(document, Place("spack.yaml"))) if name not in held]
    if new:
        raise InputError(
            f"is older than spack.yaml, which asks for {', '.join(new)}",
            where=name,
            remedy="concretize again: spack -e . concretize",
        )


def _metadata(folder: Path, lock: Lock) -> SpackMetadata | None:
    data = environment_document(folder, METADATA_NAME, METADATA_LIMIT)
    if data is None:
        return None
    metadata = metadata_from_bytes(data)
    return metadata if metadata.lock == lock.digest else None


def _stated(request: SpackRequest) -> dict[str, str]:
    """Labels under OCI's or our prefix are statements about the image; all others are only labels."""
    return {
        name: value
        for name, value in request.labels.items()
        if name.startswith((PREFIX, OCI_PREFIX)) or is_reserved(name)
    }
