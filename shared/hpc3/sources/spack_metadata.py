"""What only a running Spack knows of a lock, kept in a file beside it.

Licences, homepages, source archives, the commit of the packages repository and the environment that the packages ask
for are not in ``spack.lock``. ``spack containerize --annotate`` asks Spack once and writes ``hpc3-metadata.json``, so
that later runs, with or without Spack, are quick and give the same. The file names the lock that it was made for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from hpc3.facts import PackageMetadata
from hpc3.request import EnvironmentChange, GitSource

from .documents import Place, as_object, get_list, get_object, get_text, parse_json_object

METADATA_NAME = "hpc3-metadata.json"
METADATA_LIMIT = 32 * 1024 * 1024

_FORMAT = 1
_LINE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,8192}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ACTION = re.compile(r"set|prepend")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_HASH = re.compile(r"[a-z0-9]{7,64}")


@dataclass(frozen=True)
class SpackMetadata:
    """What Spack knows of one lock.

    Attributes:
        lock: digest of the lock that it belongs to.
        packages: metadata by Spack hash.
        repository: the packages repository and its commit.
        environments: by hash of a root what ``spack env activate`` would do for it, with paths of the image; one
            change per variable, sorted by name; empty when not asked.
    """

    lock: str
    packages: Mapping[str, PackageMetadata] = field(default_factory=dict)
    repository: GitSource = field(default_factory=GitSource)
    environments: Mapping[str, tuple[EnvironmentChange, ...]] = field(default_factory=dict)

    def environment(self, roots: Sequence[str]) -> tuple[EnvironmentChange, ...]:
        """Return what some of the roots need together, in the order in which it is done: the first root has its way."""
        return tuple(change for root in reversed(roots) for change in self.environments.get(root, ()))


def metadata_document(metadata: SpackMetadata) -> str:
    """Return the text of ``hpc3-metadata.json``: sorted, without empty fields."""
    packages = {
        id_: {name: value for name, value in asdict(package).items() if value}
        for id_, package in metadata.packages.items()
    }
    document = {
        "format": _FORMAT,
        "lock": metadata.lock,
        "repository": asdict(metadata.repository),
        "environments": {
            root: [asdict(change) for change in changes] for root, changes in metadata.environments.items()
        },
        "packages": {id_: fields for id_, fields in packages.items() if fields},
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def metadata_from_bytes(data: bytes, name: str = METADATA_NAME) -> SpackMetadata:
    """Read ``hpc3-metadata.json``.

    Raises:
        InputError: it is not what `metadata_document` writes.
    """
    place = Place(name)
    raw = parse_json_object(data, place)
    if raw.get("format") != _FORMAT:
        raise (place / "format").error(f"is not {_FORMAT}", "delete the file: it is written anew")
    repository = get_object(raw, "repository", place)
    environments = get_object(raw, "environments", place)
    return SpackMetadata(
        lock=get_text(raw, "lock", place, _DIGEST),
        repository=GitSource(
            get_text(repository, "url", place / "repository", _LINE),
            get_text(repository, "ref", place / "repository", _LINE),
        ),
        environments={
            root: _changes(get_list(environments, root, place / "environments"), place / "environments" / root)
            for root in environments
        },
        packages={
            id_: _package(as_object(fields, place / "packages" / id_), place / "packages" / id_)
            for id_, fields in get_object(raw, "packages", place).items()
            if _HASH.fullmatch(id_)
        },
    )


def _changes(values: Sequence[object], place: Place) -> tuple[EnvironmentChange, ...]:
    return tuple(_change(as_object(value, place / index), place / index) for index, value in enumerate(values))


def _change(fields: Mapping[str, object], place: Place) -> EnvironmentChange:
    return EnvironmentChange(
        action=get_text(fields, "action", place, _ACTION),
        name=get_text(fields, "name", place, _VARIABLE),
        value=get_text(fields, "value", place, _LINE),
        separator=get_text(fields, "separator", place, _LINE),
    )


def _package(fields: Mapping[str, object], place: Place) -> PackageMetadata:
    names = ("license", "homepage", "description", "source_url", "source_sha256")
    return PackageMetadata(**{name: get_text(fields, name, place, _LINE) for name in names if name in fields})
