"""``spack.yaml``, already parsed, to a request: everything that Spack's users can say there about an image.

Keys and defaults are those of Spack's ``schema/container.py``, ``schema/mirrors.py`` and ``container/writers.py``
(0.22 to 1.2). Reading YAML is left to the caller: Spack has its own reader, the command line uses PyYAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from hpc3.errors import InputError
from hpc3.request import GitSource, Images, Mirror, OsPackages, SpackRequest

from .documents import Place, as_object, as_text, get_list, get_text, kind_of
from .spack_files import environment_files

#: Package managers of Spack's schema (``os_packages:command``), and those that its images use but the schema forgot.
_COMMANDS = ("apt", "yum", "zypper", "apk", "yum_amazon", "dnf", "dnf_epel")

#: A word that no program takes for an option.
_WORD = re.compile(r"(?!-)[^\s\x00-\x1f\x7f\ud800-\udfff]{1,255}")
_LABEL = re.compile(r"(?!-)[^\s=\x00-\x1f\x7f\ud800-\udfff]{1,255}")
_LINE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,32768}")
_TEXT = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]{0,65536}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")

#: A password in a URL, or a token as the user of a web server; ``ssh://git@…`` is only a name.
_CREDENTIAL = re.compile(r"://[^/\s:@]*:[^/\s@]+@|https?://[^/\s@]+@")

#: Keys of Spack's schema, by section: what it does not have is a slip, and would be ignored without a word.
_KEYS = {
    "container": ("depfile", "docker", "format", "images", "labels", "os_packages", "singularity", "strip", "template"),
    "os_packages": ("build", "command", "final", "update"),
    "singularity": ("help", "runscript", "startscript", "test"),
}


def request_from_manifest(document: object, folder: Path, name: str = "spack.yaml") -> SpackRequest:
    """Return what a parsed ``spack.yaml`` asks for.

    Args:
        document: the parsed document.
        folder: the environment's folder, in which relative paths are looked up.
        name: the file's name, for errors.

    Raises:
        InputError: a value is not what Spack's schema allows, a path leaves the folder, or a secret stands in the file.
    """
    place = Place(name)
    top = as_object(document, place)
    if "spack" not in top:
        raise place.error("has no 'spack:' at the top")
    environment = _section(top, "spack", place)
    at = place / "spack"
    _refuse_credentials(environment, at)
    here = at / "container"
    container = _known_keys(_section(environment, "container", at), _KEYS["container"], here)
    singularity = _known_keys(_section(container, "singularity", here), _KEYS["singularity"], here / "singularity")
    folders, files = environment_files(environment, folder, at)
    return SpackRequest(
        format=_choice(container, "format", here, ("docker", "singularity")),
        images=_images(_section(container, "images", here), here / "images"),
        os_packages=_os_packages(_section(container, "os_packages", here), here / "os_packages"),
        strip=_flag(container, "strip", here, default=True),
        depfile=_flag(container, "depfile", here, default=False),
        labels=_labels(container, here),
        singularity={key: get_text(singularity, key, here / "singularity", _TEXT) for key in sorted(singularity)},
        packages=_packages_repository(environment, at),
        mirrors=_mirrors(environment, at),
        folders=folders,
        files=files,
        warnings=tuple(_warnings(environment, container)),
    )


def _section(mapping: Mapping[str, Any], key: str, place: Place) -> Mapping[str, Any]:
    value = mapping.get(key)
    return {} if value is None else as_object(value, place / key)


def _known_keys(section: Mapping[str, Any], known: Sequence[str], place: Place) -> Mapping[str, Any]:
    for key in section:
        if key not in known:
            raise place.error(f"has an unknown key {str(key)!r}; known are {', '.join(known)}")
    return section


def _refuse_credentials(environment: Mapping[str, Any], place: Place) -> None:
    """Raise where a URL holds a password or a token: the file is in a layer of the image."""
    pending: list[tuple[object, Place]] = [(environment, place)]
    seen: set[int] = set()  # an alias is one object, however often it is named
    while pending:
        value, at = pending.pop()
        if isinstance(value, str):
            if _CREDENTIAL.search(value):
                raise _credential(at)
        elif isinstance(value, (dict, list)) and id(value) not in seen:
            seen.add(id(value))
            entries = value.items() if isinstance(value, dict) else enumerate(value)
            pending.extend((inner, at / key) for key, inner in entries)


def _credential(place: Place) -> InputError:
    return place.error(
        "a credential stands in the file: it would be in a layer of the image",
        "name environment variables instead: id_variable, secret_variable, access_token_variable",
    )


def _choice(mapping: Mapping[str, Any], key: str, place: Place, choices: tuple[str, ...]) -> str:
    value = mapping.get(key, choices[0])
    if not isinstance(value, str):
        raise (place / key).error(f"a string is needed, not {kind_of(value)}")
    if value not in choices:
        raise (place / key).error(f"is {value!r}; it can be {' or '.join(choices)}")
    return value


def _flag(mapping: Mapping[str, Any], key: str, place: Place, *, default: bool) -> bool:
    value = mapping.get(key, default)
    if not isinstance(value, bool):
        raise (place / key).error(f"true or false is needed, not {kind_of(value)}")
    return value


def _images(section: Mapping[str, Any], place: Place) -> Images:
    custom = "build" in section or "final" in section
    _known_keys(section, ("build", "final") if custom else ("os", "spack"), place)
    if ("build" in section) != ("final" in section):
        raise place.error("names only one of 'build' and 'final'")
    if custom:
        return Images(build=get_text(section, "build", place, _WORD), final=get_text(section, "final", place, _WORD))
    if not section:
        return Images()
    spack = section.get("spack", "")
    fields = spack if isinstance(spack, dict) else {"ref": spack}
    return Images(
        os=get_text(section, "os", place, _WORD),
        spack_version=as_text(_as_written(fields.get("ref", "")), place / "spack", _LINE),
        spack_url=as_text(fields.get("url", ""), place / "spack" / "url", _LINE),
    )


def _as_written(value: object) -> object:
    """Return what YAML took for a number, a truth value or a date as text; anything else as it is."""
    if isinstance(value, bool):
        return str(value).lower()  # as YAML spells it, not as Python does
    return str(value) if isinstance(value, (int, float, date)) else value


def _os_packages(section: Mapping[str, Any], place: Place) -> OsPackages:
    _known_keys(section, _KEYS["os_packages"], place)
    return OsPackages(
        command=_choice(section, "command", place, _COMMANDS) if "command" in section else "",
        update=_flag(section, "update", place, default=True),
        build=_os_package_names(section, "build", place),
        final=_os_package_names(section, "final", place),
    )


def _os_package_names(section: Mapping[str, Any], key: str, place: Place) -> tuple[str, ...]:
    names = section.get(key) or []
    if not isinstance(names, list):
        raise (place / key).error(f"a list is needed, not {kind_of(names)}")
    return tuple(as_text(_as_written(name), place / key / index, _WORD) for index, name in enumerate(names))


def _labels(container: Mapping[str, Any], place: Place) -> Mapping[str, str]:
    labels: dict[str, str] = {}
    for key, value in _section(container, "labels", place).items():
        at = place / "labels"
        labels[as_text(key, at, _LABEL)] = as_text(_as_written(value), at / key, _LINE)
    return dict(sorted(labels.items()))


def _packages_repository(environment: Mapping[str, Any], place: Place) -> GitSource:
    """Spack 1.x: ``repos: {builtin: {git: URL, commit|tag|branch: REF}}`` pins the packages repository."""
    repos = environment.get("repos")
    builtin = repos.get("builtin") if isinstance(repos, dict) else None
    if not isinstance(builtin, dict):
        return GitSource()
    at = place / "repos" / "builtin"
    ref = next((builtin[key] for key in ("commit", "tag", "branch") if builtin.get(key)), "")
    return GitSource(as_text(builtin.get("git", ""), at / "git", _LINE), as_text(ref, at, _LINE))


def _mirrors(environment: Mapping[str, Any], place: Place) -> tuple[Mirror, ...]:
    found: list[Mirror] = []
    for name, value in _section(environment, "mirrors", place).items():
        at = place / "mirrors" / name
        fields = {} if isinstance(value, str) else as_object(value, at)
        parts = [fields, *(fields[key] for key in ("fetch", "pull", "push") if isinstance(fields.get(key), dict))]
        found.append(
            Mirror(
                name=as_text(name, place / "mirrors", _WORD),
                binary=_flag(fields, "binary", at, default=True),
                secrets=tuple(sorted({variable for part in parts for variable in _secret_variables(part, at)})),
            )
        )
    return tuple(sorted(found, key=lambda mirror: mirror.name))


def _secret_variables(connection: Mapping[str, Any], place: Place) -> list[str]:
    pair = connection.get("access_pair")
    fields = pair if isinstance(pair, dict) else {}
    if connection.get("access_token") or (isinstance(pair, list) and any(pair)):
        raise _credential(place)
    names = [fields.get("id_variable"), fields.get("secret_variable"), connection.get("access_token_variable")]
    return [as_text(name, place, _VARIABLE) for name in names if name is not None]


def _warnings(environment: Mapping[str, Any], container: Mapping[str, Any]) -> list[str]:
    said = []
    if container.get("template"):
        said.append("spack.yaml: container:template is not used: the recipe has one form, which is tested")
    if environment.get("view") not in (None, True):
        said.append("spack.yaml: view is set to /opt/views/view in the image, as Spack's own recipes do")
    if isinstance(environment.get("config"), dict) and environment["config"].get("install_tree"):
        said.append("spack.yaml: config:install_tree is set to /opt/software in the image, as Spack's own recipes do")
    return said


def asked_packages(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that the plain specs of a parsed ``spack.yaml`` begin with, in order.

    Matrices, references to definitions and anonymous specs are left out: only Spack can tell what they ask for.
    """
    place = Place("spack.yaml") / "spack"
    specs = get_list(_section(document, "spack", Place("spack.yaml")), "specs", place, default=())
    plain = [as_text(spec, place / "specs" / index, _LINE) for index, spec in enumerate(specs) if isinstance(spec, str)]
    names = (package_name(spec) for spec in plain)
    return tuple(name for name in names if name)


def package_name(spec: str) -> str:
    """Return the name that a spec begins with, without its namespace; empty where it begins with none."""
    match = re.match(r"(?:[A-Za-z0-9_-]+\.)*([A-Za-z0-9_][A-Za-z0-9_-]*)", spec)
    return match.group(1) if match else ""
