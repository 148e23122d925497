"""Reading foreign documents: bounded in size, checked in type, every error with its place.

The getters follow one form: ``get_x(mapping, key, place)`` returns the value or raises an `InputError` that names
file and path, such as ``spack.lock: concrete_specs.abc….arch.target: a string is needed, not a list``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from hpc3.errors import InputError

#: A lock of 20,000 nodes has about 35 MB; what is larger is not a lock.
DOCUMENT_LIMIT = 128 * 1024 * 1024

_KINDS = ((dict, "an object"), (list, "a list"), (str, "a string"), (bool, "true or false"), (date, "a date"))


class Place:
    """Where in a document we are: the file's name and the path below its root.

    A large lock takes a hundred thousand steps down, and almost none of them is ever shown: a step only remembers
    where it came from, and the path is spelled when somebody asks for it.
    """

    __slots__ = ("_above", "_step", "document")

    def __init__(self, document: str, _above: Place | None = None, _step: object = "") -> None:
        self.document = document
        self._above = _above
        self._step = _step

    def __truediv__(self, step: object) -> Place:
        """Return the place one step further down; an integer is an index of a list."""
        return Place(self.document, self, step)

    def __str__(self) -> str:
        steps: list[str] = []
        place: Place | None = self
        while place is not None and place._above is not None:
            steps.append(f"[{place._step}]" if isinstance(place._step, int) else f".{place._step}")
            place = place._above
        path = "".join(reversed(steps)).lstrip(".")
        return f"{self.document}: {path}" if path else self.document

    def error(self, what: str, remedy: str = "") -> InputError:
        """Return an error for this place."""
        return InputError(what, where=str(self), remedy=remedy)


def read_document(path: Path, limit: int = DOCUMENT_LIMIT) -> bytes:
    """Return a file's bytes.

    Raises:
        InputError: there is no such file, it is not an ordinary file, it cannot be read or has over ``limit`` bytes.
    """
    place = Place(str(path))
    try:
        if not path.exists():
            raise place.error("there is no such file")
        if not path.is_file():
            raise place.error("is not a file")
        with path.open("rb") as stream:
            # Not read to be thrown away; and read with a bound, because it may still grow.
            is_large = os.fstat(stream.fileno()).st_size > limit
            data = b"" if is_large else stream.read(limit + 1)
    except OSError as error:
        raise place.error(f"cannot be read: {error.strerror}") from error
    if is_large or len(data) > limit:
        raise place.error(f"is larger than {limit // (1024 * 1024)} MiB: too large to be what it should be")
    return data


def parse_json_object(data: bytes, place: Place) -> Mapping[str, Any]:
    """Return the JSON object in ``data``.

    Raises:
        InputError: it is empty, binary, cut off, nested too deeply, or not an object.
    """
    if not data.strip():
        raise place.error("is empty")
    try:
        document = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise place.error(f"is not text: byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise place.error(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise place.error("is nested too deeply") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise place.error(f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise place.error(f"an object is needed, not {kind_of(document)}")
    return document


def kind_of(value: object) -> str:
    """Return what JSON calls a value, with its article."""
    if value is None:
        return "nothing"
    # Not by the type itself: Spack's YAML reader gives subclasses, which know their line.
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "a number")


def get_object(mapping: Mapping[str, Any], key: str, place: Place) -> Mapping[str, Any]:
    """Return the object under ``key``."""
    value = _get(mapping, key, place)
    if not isinstance(value, dict):
        raise (place / key).error(f"an object is needed, not {kind_of(value)}")
    return value


def get_list(
    mapping: Mapping[str, Any], key: str, place: Place, *, default: Sequence[Any] | None = None
) -> Sequence[Any]:
    """Return the list under ``key``; ``default`` where the key is missing."""
    value = mapping.get(key, default) if default is not None else _get(mapping, key, place)
    if not isinstance(value, (list, tuple)):
        raise (place / key).error(f"a list is needed, not {kind_of(value)}")
    return value


def get_text(mapping: Mapping[str, Any], key: str, place: Place, grammar: re.Pattern[str] | None) -> str:
    """Return the string under ``key``, which must match ``grammar`` in full; None: any string will do."""
    value = _get(mapping, key, place)
    if isinstance(value, str) and (grammar is None or grammar.fullmatch(value)):
        return value
    return as_text(value, place / key, grammar)


def get_integer(mapping: Mapping[str, Any], key: str, place: Place) -> int:
    """Return the whole number under ``key``."""
    value = _get(mapping, key, place)
    if not isinstance(value, int) or isinstance(value, bool):
        raise (place / key).error(f"a whole number is needed, not {kind_of(value)}")
    return value


def as_text(value: object, place: Place, grammar: re.Pattern[str] | None) -> str:
    """Return ``value`` if it is a string that matches ``grammar`` in full; None: any string will do."""
    if not isinstance(value, str):
        raise place.error(f"a string is needed, not {kind_of(value)}")
    if grammar is not None and not grammar.fullmatch(value):
        shown = value if len(value) <= 80 else value[:80] + "…"
        raise place.error(f"is ill-formed: {shown!r}")
    return value


def as_object(value: object, place: Place) -> Mapping[str, Any]:
    """Return ``value`` if it is an object."""
    if not isinstance(value, dict):
        raise place.error(f"an object is needed, not {kind_of(value)}")
    return value


def _get(mapping: Mapping[str, Any], key: str, place: Place) -> Any:
    try:
        return mapping[key]
    except KeyError:
        raise place.error(f"has no {key!r}") from None
