"""The JSON form of a fingerprint (``data/fingerprint.schema.json``): written exactly, read with tolerance.

A file may come from another version of this program, be cut short or be edited by hand. Fields that are not known
here are passed over; a field that is missing is unknown, with that as the reason; a field of the wrong type, or
another major version of the form, is an error that names the place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from typing import Any, TypeVar

from hpc3.errors import InputError
from hpc3.fingerprint import (
    SCHEMA,
    ContainerRuntime,
    Cpu,
    Fingerprint,
    HostFabric,
    HostGpu,
    HostLibc,
    HostLibrary,
    HostMpi,
    Kernel,
    Launcher,
    Limits,
)

T = TypeVar("T")

_MOST_CHARACTERS = 2**20
_MOST_ENTRIES = 4096
_ONE: Mapping[str, type[Any]] = {
    "cpu": Cpu,
    "kernel": Kernel,
    "libc": HostLibc,
    "launcher": Launcher,
    "limits": Limits,
}
_MANY: Mapping[str, type[Any]] = {
    "gpus": HostGpu,
    "fabrics": HostFabric,
    "libraries": HostLibrary,
    "mpis": HostMpi,
    "runtimes": ContainerRuntime,
}
_LISTS = {"flags", "modules", "pmi"}
_NUMBERS = {"page_size", "count", "memlock", "shm"}
_TRUTHS = {"user_namespaces"}


def fingerprint_to_json(host: Fingerprint) -> str:
    """Return the JSON form: two-space indent, keys in the order of the types, a line break at the end."""
    document = {"schema": SCHEMA, **asdict(host)}
    document["unknown"] = dict(sorted(host.unknown.items()))
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def fingerprint_from_json(text: str, where: str) -> Fingerprint:
    """Return the fingerprint that a JSON document states.

    Args:
        text: the document.
        where: the file's name, for errors.

    Raises:
        InputError: it is not JSON, not a fingerprint, of another major version, or a field has the wrong type.
    """
    document = _parsed(text, where)
    unknown = {str(k): str(v) for k, v in _mapping(document.get("unknown") or {}, f"{where}: unknown").items()}
    values: dict[str, Any] = {"name": _text(document.get("name", ""), f"{where}: name")}
    for name, kind in _ONE.items():
        values[name] = _optional(document, name, where, unknown, partial(_value, kind))
    for name, kind in _MANY.items():
        values[name] = _optional(document, name, where, unknown, partial(_values, kind))
    values["devices"] = _optional(document, "devices", where, unknown, _texts)
    return Fingerprint(**values, unknown=unknown)


def _parsed(text: str, where: str) -> Mapping[str, Any]:
    if len(text) > _MOST_CHARACTERS:
        raise InputError(f"is longer than {_MOST_CHARACTERS} characters", where=where)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", where=where, remedy="write it anew: hpc3 fingerprint") from error
    schema = document.get("schema", "") if isinstance(document, dict) else ""
    form, _, version = SCHEMA.partition("/")
    if not isinstance(schema, str) or schema.partition("/")[0] != form:
        raise InputError(f"is not a fingerprint: schema is not {SCHEMA}", where=where)
    if schema.partition("/")[2].partition(".")[0] != version:
        raise InputError(
            f"is a fingerprint of another version: {schema}", where=where, remedy=f"this program reads {SCHEMA}"
        )
    return _mapping(document, where)


def _optional(
    document: Mapping[str, Any], name: str, where: str, unknown: dict[str, str], read: Callable[[Any, str], T]
) -> T | None:
    value = document.get(name)
    if value is None:
        unknown.setdefault(name, f"{where} does not state it")
        return None
    unknown.pop(name, None)
    return read(value, f"{where}: {name}")


def _value(kind: type[T], value: Any, at: str) -> T:
    stated = _mapping(value, at)
    known = {f.name: stated[f.name] for f in fields(kind) if stated.get(f.name) is not None}  # type: ignore[arg-type]
    try:
        return kind(**{name: _field(name, v, f"{at}.{name}") for name, v in known.items()})
    except TypeError as error:
        missing = str(error).partition("argument")[2].strip(" s:")
        raise InputError(f"lacks {missing}", where=at) from error


def _values(kind: type[T], value: Any, at: str) -> tuple[T, ...]:
    if not isinstance(value, list) or len(value) > _MOST_ENTRIES:
        raise InputError(f"is not a list of at most {_MOST_ENTRIES} objects", where=at)
    return tuple(_value(kind, entry, f"{at}[{index}]") for index, entry in enumerate(value))


def _field(name: str, value: Any, at: str) -> Any:
    if name in _LISTS:
        return _texts(value, at)
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError("is not a whole number", where=at)
        return value
    if name in _TRUTHS:
        if not isinstance(value, bool):
            raise InputError("is neither true nor false", where=at)
        return value
    return _text(value, at)


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise InputError("is not a line of text", where=at)
    return value


def _texts(value: Any, at: str) -> tuple[str, ...]:
    """Return a sorted list; a person who edits the file may write one string with blanks or commas instead."""
    entries = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(entries, list) or len(entries) > _MOST_ENTRIES:
        raise InputError(f"is not a list of at most {_MOST_ENTRIES} words", where=at)
    return tuple(sorted({_text(entry, at) for entry in entries}))


def _mapping(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError("is not an object", where=at)
    return value
