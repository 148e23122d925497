"""Facts as a JSON document, and back: what ``hpc3 facts`` prints is a source again.

The form follows the types of ``hpc3.facts``: a dataclass is an object with its fields, a known fact is
``{"value": …, "evidence": […]}``, an unknown one ``{"unknown": reason}``. Empty fields are left out.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpc3.facts import Component, Evidence, Facts, Known, Unknown

from .documents import Place, as_object, get_list, kind_of, parse_json_object, read_document
from .source import Source

FORMAT = "hpc3-facts-1"


def facts_document(facts: Facts) -> dict[str, Any]:
    """Return facts as plain JSON types, without empty fields; components are listed, not keyed."""
    document = {"format": FORMAT, **_plain(facts)}
    document["components"] = [_plain(component) for component in facts.components.values()]
    return document


def read_facts(path: Path, picks: Sequence[str] = ()) -> Source:
    """Read a facts document; roots were picked when it was made.

    Raises:
        InputError: it is not what `facts_document` gives, or roots are picked.
    """
    place = Place(str(path))
    if picks:
        raise place.error("roots cannot be picked from facts: pick them where the facts are made")
    return Source(facts_from_document(parse_json_object(read_document(path), place), place))


def facts_from_document(raw: Mapping[str, Any], place: Place) -> Facts:
    """Return the facts of a document.

    Raises:
        InputError: a field is missing, of the wrong type or unknown.
    """
    if raw.get("format") != FORMAT:
        raise (place / "format").error(f"is not {FORMAT!r}: this is no facts document")
    listed = get_list(raw, "components", place, default=())
    components = [_typed(Component, item, place / "components" / index) for index, item in enumerate(listed)]
    rest = {name: value for name, value in raw.items() if name not in ("format", "components")}
    rest["components"] = {}
    facts: Facts = _typed(Facts, rest, place)
    return dataclasses.replace(facts, components={component.id: component for component in components})


def _plain(value: object) -> Any:
    if isinstance(value, Known):
        return {"value": _plain(value.value), "evidence": [str(evidence) for evidence in value.evidence]}
    if isinstance(value, Unknown):
        return {"unknown": value.reason}
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        # None and "" mean not known; an empty tuple can mean "known to be none" and stays.
        return {name: _plain(item) for name, item in fields.items() if item not in (None, "", {}) and item != _EMPTY}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


_EMPTY = dataclasses.replace(Component("", "", "")).metadata


def _typed(wanted: Any, value: object, place: Place) -> Any:
    """Return ``value`` as the type that an annotation of ``hpc3.facts`` asks for."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        return _dataclass(wanted, as_object(value, place), place)
    if origin is not None and Unknown in arguments:
        return _fact(arguments, as_object(value, place), place)
    if origin is not None and type(None) in arguments:
        return _typed(arguments[0], value, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise place.error(f"a list is needed, not {kind_of(value)}")
        return tuple(_typed(arguments[0], item, place / index) for index, item in enumerate(value))
    if origin is not None:  # the only other generic is a mapping
        return {name: _typed(arguments[1], item, place / name) for name, item in as_object(value, place).items()}
    if wanted is object:
        return tuple(value) if isinstance(value, list) else value
    if not isinstance(value, wanted):
        raise place.error(f"{'a string' if wanted is str else 'true or false'} is needed, not {kind_of(value)}")
    return value


def _fact(arguments: tuple[Any, ...], value: Mapping[str, Any], place: Place) -> Known[Any] | Unknown:
    if "unknown" in value:
        return Unknown(_typed(str, value["unknown"], place / "unknown"))
    known = next(argument for argument in arguments if argument is not Unknown)
    texts = [_typed(str, text, place / "evidence") for text in get_list(value, "evidence", place)]
    evidence = tuple(Evidence(*text.split(":", 2)) for text in texts)
    return Known(_typed(typing.get_args(known)[0], value.get("value"), place / "value"), evidence)


def _dataclass(wanted: Any, value: Mapping[str, Any], place: Place) -> Any:
    hints = typing.get_type_hints(wanted)
    for name in value:
        if name not in hints:
            raise place.error(f"has an unknown field {name!r}")
    try:
        return wanted(**{name: _typed(hints[name], item, place / name) for name, item in value.items()})
    except TypeError:
        needed = [
            field.name
            for field in dataclasses.fields(wanted)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ]
        raise place.error(f"lacks {', '.join(name for name in needed if name not in value)}") from None
