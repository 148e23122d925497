"""Files of the site that an image build needs: what a fresh EasyBuild of the same version does not bring or fetch."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easybuild.framework.easyconfig.easyconfig import letter_dir_for
from easybuild.framework.easyconfig.tools import get_paths_for
from easybuild.tools.config import build_option, source_paths

from .compat import unquoted, unresolved_templates_allowed
from .materials import patches_of, sources_of

#: A source without a URL is copied into the folder up to this size; a larger one is only named.
SOURCE_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True)
class LocalFile:
    """A file and its place in the folder of the recipe.

    Attributes:
        place: relative to the folder, such as ``easyconfigs/toy-1.0.eb``.
        path: where it is on this machine; None where a source was not found.
    """

    place: str
    path: Path | None


def find_local_files(easyconfigs: Mapping[str, Any]) -> list[LocalFile]:
    """Return the local easyconfigs with their patches, sources without a URL, easyblocks and hooks, by place."""
    found: dict[str, LocalFile] = {}
    released = tuple(f"{path}/" for path in get_paths_for())
    for easyconfig in easyconfigs.values():
        path = Path(easyconfig.path)
        local = not str(path).startswith(released)
        if local:
            _add(found, "easyconfigs", path.name, path)
        for name, source in _materials(easyconfig, local=local):
            _add(found, "easyconfigs" if source is None else "sources", name, _find(name, easyconfig))
    for option, folder in (("include-easyblocks", "easyblocks"), ("hooks", "hooks")):
        for path in _paths_of_option(option):
            _add(found, folder, path.name, path)
    return [found[place] for place in sorted(found)]


def _materials(easyconfig: Any, *, local: bool) -> Iterator[tuple[str, str | None]]:
    with unresolved_templates_allowed(easyconfig):
        if local:
            yield from ((patch["name"], None) for patch in patches_of(easyconfig))
        yield from ((source["name"], "source") for source in sources_of(easyconfig) if not source["urls"])


def _add(found: dict[str, LocalFile], folder: str, name: str, path: Path | None) -> None:
    if name not in ("", ".", "..") and "/" not in name:
        found[f"{folder}/{name}"] = LocalFile(f"{folder}/{name}", path)


def _find(name: str, easyconfig: Any) -> Path | None:
    """Look where EasyBuild looks first: beside the easyconfig, then in the source paths."""
    letter = letter_dir_for(easyconfig.name)
    folders = [Path(easyconfig.path).parent]
    for root in map(Path, source_paths()):
        folders += [root / letter / easyconfig.name, root / easyconfig.name, root]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _paths_of_option(option: str) -> Iterable[Path]:
    own = Path(__file__).with_name("hooks.py")
    for argument in build_option("command_line") or []:
        name, _, value = argument.removeprefix("--").partition("=")
        if name == option:
            for pattern in unquoted(value).split(","):
                # EasyBuild takes patterns of absolute paths, which Path.glob does not.
                found = sorted(glob.glob(pattern))  # noqa: PTH207
                yield from (Path(path) for path in found if Path(path) != own)


def digest(file: LocalFile) -> str:
    """Return a file's SHA-256; empty for one that is not here, or too large to be copied."""
    if file.path is None or file.path.stat().st_size > SOURCE_LIMIT:
        return ""
    sha256 = hashlib.sha256()
    with file.path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            sha256.update(block)
    return sha256.hexdigest()
