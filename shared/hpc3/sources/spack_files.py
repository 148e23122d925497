"""Which files beside ``spack.yaml`` the build needs, so that the recipe can copy them and nothing else.

Copied are: package repositories, included configuration, included environments and development sources that lie in
the environment's folder, local mirrors in it, and source archives that a private package names by the path that they
have in the image.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hpc3.errors import InputError
from hpc3.request import ENVIRONMENT_PATH

from .documents import Place, as_object, as_text, get_list, read_document

_PATH = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,1024}")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ENVIRONMENT_VARIABLE = re.compile(r"^(?:\$env|\$\{env\}|\$SPACK_ENV|\$\{SPACK_ENV\})/")
_LOCAL_SOURCE = re.compile(r"file://" + re.escape(ENVIRONMENT_PATH) + r"/([A-Za-z0-9_./+-]+)")
_PACKAGE_LIMIT = 1024 * 1024
_PACKAGE_COUNT = 2000


def environment_files(
    environment: Mapping[str, Any], folder: Path, place: Place
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the folders and the files that the build needs beside ``spack.yaml`` and ``spack.lock``.

    Both are relative and sorted.

    Raises:
        InputError: a path leaves the folder: it is not in the build's context.
    """
    repositories = list(_repositories(environment, place))
    named = [
        *repositories,
        *_includes(environment, place),
        *_development_sources(environment, place),
        *_local_mirrors(environment, place),
    ]
    found = (_inside(path, folder, at, must_exist=needed) for path, at, needed in named)
    paths = {path for path in found if path}
    for path, at, _ in repositories:
        paths.update(_local_archives(folder / _inside(path, folder, at, must_exist=True), folder))
    kept = sorted(path for path in paths if not any(_is_below(path, other) for other in paths))
    return (
        tuple(path for path in kept if (folder / path).is_dir()),
        tuple(path for path in kept if not (folder / path).is_dir()),
    )


def _is_below(path: str, other: str) -> bool:
    return path != other and (other == "." or path.startswith(other + "/"))


#: A path, where it is named, and whether it must be there.
_Named = tuple[str, Place, bool]


def _repositories(environment: Mapping[str, Any], place: Place) -> Iterable[_Named]:
    at = place / "repos"
    repos = environment.get("repos") or {}
    entries = enumerate(repos) if isinstance(repos, list) else as_object(repos, at).items()
    for key, value in entries:
        if isinstance(value, str) and not value.startswith("$spack/") and not _REMOTE.match(value):
            yield as_text(value, at / key, _PATH), at / key, True


def _includes(environment: Mapping[str, Any], place: Place) -> Iterable[_Named]:
    for section in ("include", "include_concrete"):
        listed = get_list(environment, section, place) if environment.get(section) else ()
        for index, entry in enumerate(listed):
            at = place / section / index
            fields = entry if isinstance(entry, dict) else {"path": entry}
            if "path" not in fields and "git" in fields:
                continue
            value = as_text(fields.get("path"), at, _PATH)
            if not _REMOTE.match(value):
                yield value, at, not (fields.get("optional") or fields.get("when"))


def _development_sources(environment: Mapping[str, Any], place: Place) -> Iterable[_Named]:
    for name, entry in as_object(environment.get("develop") or {}, place / "develop").items():
        at = place / "develop" / name
        path = as_object(entry, at).get("path", name)
        yield as_text(path, at / "path", _PATH), at, True


def _local_mirrors(environment: Mapping[str, Any], place: Place) -> Iterable[_Named]:
    """Only mirrors in the environment's folder are copied; a local path elsewhere is the site's, and skipped."""
    for name, entry in as_object(environment.get("mirrors") or {}, place / "mirrors").items():
        at = place / "mirrors" / name
        fields = entry if isinstance(entry, dict) else {"url": entry}
        for part in (fields, fields.get("fetch"), fields.get("pull")):
            value = part.get("url") if isinstance(part, dict) else part
            if isinstance(value, str) and not _REMOTE.match(value) and not value.startswith("/"):
                yield as_text(value, at, _PATH), at, True


def _inside(path: str, folder: Path, place: Place, *, must_exist: bool) -> str:
    """Return a path relative to the environment's folder, without leaving it through ``..`` or a link.

    Empty where there is no such file and none is needed.
    """
    plain = _ENVIRONMENT_VARIABLE.sub("", path)
    if plain.startswith(("$", "~")):
        raise place.error(f"{path!r} is not in the environment's folder", "move it there: the build sees nothing else")
    try:
        if not _is_inside(folder / plain, folder):
            raise place.error(f"{path!r} leaves the environment's folder", "move it there: the build sees nothing else")
        exists = (folder / plain).exists()
    except (OSError, RuntimeError) as error:  # too long a name; a loop of links, up to Python 3.12
        raise place.error(f"{path!r} cannot be looked up") from error
    if not exists:
        if must_exist:
            raise place.error(f"{path!r} does not exist")
        return ""
    relative = os.path.normpath(os.path.join(folder.resolve(), plain))  # noqa: PTH118 - a link's own name is kept
    return os.path.relpath(relative, folder.resolve())


def _is_inside(path: Path, folder: Path) -> bool:
    root = folder.resolve()
    found = path.resolve()
    return found == root or root in found.parents


def _local_archives(repository: Path, folder: Path) -> set[str]:
    """Return the source archives that packages of a private repository expect below the environment's path.

    A package may build the archive's name from its version: all files that share the name up to the first number are
    copied.
    """
    found: set[str] = set()
    for package in sorted(repository.rglob("package.py"))[:_PACKAGE_COUNT]:
        text = read_document(package, _PACKAGE_LIMIT).decode("utf-8", "replace")
        for match in _LOCAL_SOURCE.finditer(text):
            named = folder / match.group(1).lstrip("/")
            stem = re.match(r"[^0-9]*", named.name)
            beginning = stem.group() if stem else ""
            if beginning and named.parent.is_dir() and _is_inside(named.parent, folder):
                siblings = (p for p in sorted(named.parent.iterdir()) if p.is_file() and p.name.startswith(beginning))
                found.update(os.path.relpath(sibling, folder) for sibling in siblings)
    return found


def environment_document(folder: Path, name: str, limit: int) -> bytes | None:
    """Return a file of the environment's folder, or None where there is none.

    Raises:
        InputError: it is larger than ``limit`` bytes or cannot be read.
    """
    path = folder / name
    try:
        return read_document(path, limit) if path.is_file() else None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
