"""Reading a record that the EasyBuild hooks wrote; see ``data/easybuild_record.schema.json``.

Whoever gives us a record is a stranger: every field is checked for type and grammar here, so that nothing to the right
of it needs to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .documents import Place, as_object, as_text, get_list, get_object, get_text, kind_of, parse_json_object
from .easybuild_types import Built, Edge, Material, Module, Optarch, Part, Record, Toolchain

FORMAT = "hpc3-easybuild-record"
FORMAT_VERSION = 1

_TEXT = re.compile(r"[^\0]{0,4096}", re.DOTALL)
#: A module's name, a path below the installations: no step upwards, no blank, no option, nothing that a shell reads.
_PATH = re.compile(r"(?!.*(?:^|/)\.\.(?:/|$))(?![/-])[A-Za-z0-9_.+@~:=,/-]{0,512}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,255}")
_VERSION = re.compile(r"[A-Za-z0-9_.+~-]{0,255}")
_FILE = re.compile(r"(?!.*\.\.)(?!-)[A-Za-z0-9_.+~@-]{1,255}")
_FLAGS = re.compile(r"[A-Za-z0-9_.+=,;: -]{0,512}")
_SHA256 = re.compile(r"[0-9a-f]{64}|")
_OPTION = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_CAPABILITY = re.compile(r"[0-9]{1,2}\.[0-9][af]?")
_AMDGCN = re.compile(r"gfx[0-9a-f]{3,5}")
_OS_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")
_FLAG = re.compile(r"planned|installed")


def is_record(raw: Mapping[str, Any]) -> bool:
    """Whether a JSON object says that it is a record."""
    return raw.get("format") == FORMAT


def parse_record(data: bytes, document: str = "record.json") -> Record:
    """Return a checked record.

    Raises:
        InputError: it is no record, of another version, or a field is not what the schema says.
    """
    place = Place(document)
    raw = parse_json_object(data, place)
    if not is_record(raw):
        raise (place / "format").error(f"is not {FORMAT!r}: this is no record of the EasyBuild hooks")
    if raw.get("version") != FORMAT_VERSION:
        raise (place / "version").error(
            f"is not {FORMAT_VERSION}", "this hpc3 does not know that version of the record"
        )
    modules = [
        _module(as_object(item, place / "modules" / index), place / "modules" / index)
        for index, item in enumerate(get_list(raw, "modules", place))
    ]
    by_name = {module.module: module for module in modules}
    session, session_place = get_object(raw, "session", place), place / "session"
    load, load_place = get_object(raw, "load", place), place / "load"
    files = _files(raw, place)
    return Record(
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        state=get_text(raw, "state", place, _FLAG),
        easybuild=get_text(get_object(raw, "easybuild", place), "version", place / "easybuild", _VERSION),
        session=_session(session, session_place),
        host_family=get_text(get_object(session, "host", session_place), "family", session_place / "host", _VERSION),
        host_os=_host_os(get_object(session, "host", session_place), session_place / "host"),
        options=_texts_by_name(get_object(session, "options", session_place), session_place / "options", _OPTION),
        requested=_requested(raw, by_name, place),
        modules=by_name,
        load_paths=_list_of(load, "paths", load_place, _PATH),
        load_modules=_list_of(load, "modules", load_place, _PATH),
        environment=_environment(raw.get("environment"), place / "environment"),
        files=tuple(name for name, digest in files if digest),
        missing=tuple(name for name, digest in files if not digest),
    )


def _requested(raw: Mapping[str, Any], modules: Mapping[str, Module], place: Place) -> str:
    names = _list_of(raw, "requested", place, _PATH)
    if len(names) != 1 or names[0] not in modules:
        raise (place / "requested").error("must name one of the modules")
    return names[0]


def _session(raw: Mapping[str, Any], place: Place) -> Built:
    host = get_object(raw, "host", place)
    return Built(
        _optarch(raw.get("optarch"), place / "optarch"), get_text(host, "target", place / "host", _VERSION), "session"
    )


def _host_os(raw: Mapping[str, Any], place: Place) -> tuple[str, str] | None:
    name = get_text(raw, "os", place, _VERSION)
    return (name, get_text(raw, "os_version", place, _VERSION)) if name else None


def _optarch(value: object, place: Place) -> Optarch:
    if isinstance(value, dict):
        return {as_text(key, place, _NAME): as_text(flags, place / key, _FLAGS) for key, flags in value.items()}
    return as_text(value, place, _FLAGS)


def _module(raw: Mapping[str, Any], place: Place) -> Module:
    built = raw.get("built")
    return Module(
        module=get_text(raw, "module", place, _PATH),
        short_module=get_text(raw, "short_module", place, _PATH),
        subdir=get_text(raw, "subdir", place, _PATH),
        install_subdir=get_text(raw, "install_subdir", place, _PATH),
        easyconfig=get_text(raw, "easyconfig", place, _FILE),
        name=get_text(raw, "name", place, _NAME),
        version=get_text(raw, "version", place, _VERSION),
        versionsuffix=get_text(raw, "versionsuffix", place, _VERSION),
        moduleclass=get_text(raw, "moduleclass", place, _VERSION),
        easyblock=get_text(raw, "easyblock", place, _TEXT),
        wrapper=_flag(raw, "wrapper", place),
        runtime=_flag(raw, "runtime", place),
        installed=_flag(raw, "installed", place),
        built=None if built is None else _built(as_object(built, place / "built"), place / "built"),
        toolchain=_toolchain(get_object(raw, "toolchain", place), place / "toolchain"),
        dependencies=tuple(
            _edge(as_object(item, place / "dependencies" / index), place / "dependencies" / index)
            for index, item in enumerate(get_list(raw, "dependencies", place))
        ),
        cuda=_list_of(raw, "cuda_compute_capabilities", place, _CAPABILITY),
        amdgcn=_list_of(raw, "amdgcn_capabilities", place, _AMDGCN),
        homepage=get_text(raw, "homepage", place, _TEXT),
        description=get_text(raw, "description", place, _TEXT),
        license=get_text(raw, "license", place, _TEXT),
        sources=_materials(raw, "sources", place),
        patches=_materials(raw, "patches", place),
        parts=_parts(raw, place),
        extensions=_extensions(raw, place),
        osdependencies=tuple(
            _texts(item, place / "osdependencies" / index, _OS_PACKAGE)
            for index, item in enumerate(get_list(raw, "osdependencies", place))
        ),
        module_variables=_texts_by_name(
            get_object(raw, "module_variables", place), place / "module_variables", _VARIABLE
        ),
        module_paths=_lists_by_name(get_object(raw, "module_paths", place), place / "module_paths"),
    )


def _built(raw: Mapping[str, Any], place: Place) -> Built:
    optarch = _optarch(raw.get("optarch"), place / "optarch")
    return Built(optarch, get_text(raw, "target", place, _VERSION), get_text(raw, "evidence", place, _TEXT))


def _toolchain(raw: Mapping[str, Any], place: Place) -> Toolchain:
    options = get_object(raw, "options", place)
    for name, value in options.items():
        if not isinstance(value, (bool, str)):
            raise (place / "options" / name).error(f"true, false or a string is needed, not {kind_of(value)}")
    return Toolchain(
        name=get_text(raw, "name", place, _NAME),
        version=get_text(raw, "version", place, _VERSION),
        system=_flag(raw, "system", place),
        compiler_family=get_text(raw, "compiler_family", place, _VERSION),
        compiler_modules=_list_of(raw, "compiler_modules", place, _NAME),
        mpi_family=get_text(raw, "mpi_family", place, _VERSION),
        mpi_modules=_list_of(raw, "mpi_modules", place, _NAME),
        options=options,
    )


def _edge(raw: Mapping[str, Any], place: Place) -> Edge:
    types = _list_of(raw, "types", place, re.compile("build|run"))
    external, prefix = raw.get("external"), ""
    provides: tuple[tuple[str, str], ...] | None = None
    if external is not None:
        external_place = place / "external"
        external = as_object(external, external_place)
        prefix = get_text(external, "prefix", external_place, _TEXT)
        provides = tuple(
            (get_text(item, "name", external_place, _NAME), get_text(item, "version", external_place, _VERSION))
            for item in (as_object(item, external_place) for item in get_list(external, "provides", external_place))
        )
    return Edge(get_text(raw, "module", place, _PATH), types, _flag(raw, "toolchain", place), provides, prefix)


def _materials(raw: Mapping[str, Any], key: str, place: Place) -> tuple[Material, ...]:
    found = []
    for index, item in enumerate(get_list(raw, key, place)):
        here = place / key / index
        entry = as_object(item, here)
        urls = _texts(entry.get("urls", []), here / "urls", _TEXT)
        found.append(Material(get_text(entry, "name", here, _TEXT), urls, get_text(entry, "sha256", here, _SHA256)))
    return tuple(found)


def _parts(raw: Mapping[str, Any], place: Place) -> tuple[Part, ...]:
    found = []
    for index, item in enumerate(get_list(raw, "parts", place)):
        here = place / "parts" / index
        entry = as_object(item, here)
        sources = _materials(entry, "sources", here)
        first = sources[0] if sources else Material("", (), "")
        name, version = get_text(entry, "name", here, _TEXT), get_text(entry, "version", here, _TEXT)
        found.append(Part(name, version, "", first.urls, first.sha256))
    return tuple(found)


def _extensions(raw: Mapping[str, Any], place: Place) -> tuple[Part, ...]:
    found = []
    for index, item in enumerate(get_list(raw, "extensions", place)):
        here = place / "extensions" / index
        entry = as_object(item, here)
        name, version, class_ = (get_text(entry, key, here, _TEXT) for key in ("name", "version", "class"))
        urls = _list_of(entry, "source_urls", here, _TEXT)
        found.append(Part(name, version, class_, urls, get_text(entry, "sha256", here, _SHA256)))
    return tuple(found)


def _environment(raw: object, place: Place) -> Mapping[str, tuple[str, ...]] | None:
    if raw is None:
        return None
    if not isinstance(raw, list):
        raise place.error(f"a list is needed, not {kind_of(raw)}")
    found = {}
    for index, item in enumerate(raw):
        entry = as_object(item, place / index)
        found[get_text(entry, "name", place / index, _VARIABLE)] = _list_of(entry, "values", place / index, _TEXT)
    return found


def _files(raw: Mapping[str, Any], place: Place) -> list[tuple[str, str]]:
    found = []
    for index, item in enumerate(get_list(raw, "files", place)):
        here = place / "files" / index
        entry = as_object(item, here)
        found.append((get_text(entry, "place", here, _PLACE), get_text(entry, "sha256", here, _SHA256)))
    return found


_PLACE = re.compile(r"(easyconfigs|sources|easyblocks|hooks)/(?!\.{1,2}$)[^\0-\x1f\x7f/]{1,255}")


def _flag(raw: Mapping[str, Any], key: str, place: Place) -> bool:
    value = raw.get(key)
    if not isinstance(value, bool):
        raise (place / key).error(f"true or false is needed, not {kind_of(value)}")
    return value


def _list_of(raw: Mapping[str, Any], key: str, place: Place, grammar: re.Pattern[str]) -> tuple[str, ...]:
    return _texts(get_list(raw, key, place), place / key, grammar)


def _texts(value: object, place: Place, grammar: re.Pattern[str]) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise place.error(f"a list is needed, not {kind_of(value)}")
    items: Sequence[object] = value
    return tuple(as_text(item, place / index, grammar) for index, item in enumerate(items))


def _texts_by_name(raw: Mapping[str, Any], place: Place, names: re.Pattern[str]) -> Mapping[str, str]:
    return {as_text(name, place, names): as_text(value, place / name, _TEXT) for name, value in raw.items()}


def _lists_by_name(raw: Mapping[str, Any], place: Place) -> Mapping[str, tuple[str, ...]]:
    return {as_text(name, place, _VARIABLE): _texts(value, place / name, _TEXT) for name, value in raw.items()}
