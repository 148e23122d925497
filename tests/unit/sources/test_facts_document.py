"""Facts as a document and back: what ``hpc3 facts`` prints is a source again."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpc3.annotations import annotations_for
from hpc3.errors import InputError
from hpc3.facts import Component, Evidence, Facts, Known, Unknown
from hpc3.sbom.cyclonedx import cyclonedx_sbom
from hpc3.sources import read_source
from hpc3.sources.documents import Place
from hpc3.sources.facts_document import facts_document, facts_from_document
from unit.conftest import Refused
from unit.locks import mpi, node
from unit.mutations import mutations, paths, without
from unit.sources.test_spack_facts import facts

AT = Place("facts.json")
#: What may stand in a fact: any text of a person, line breaks included.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",), include_characters="\n\t"), max_size=12)
WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=12)


def values_of(wanted: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a type of ``hpc3.facts``, by its annotation."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Evidence:
        return st.builds(Evidence, document=WORD, node=WORD, field=WORD)
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        hints = typing.get_type_hints(wanted)
        return st.builds(wanted, **{name: values_of(hint) for name, hint in hints.items() if name != "components"})
    if origin is typing.Union and Unknown in arguments:
        inner = typing.get_args(next(a for a in arguments if a is not Unknown))[0]
        known = st.builds(Known, value=values_of(inner), evidence=values_of(typing.Tuple[Evidence, ...]))  # noqa: UP006
        return known | st.builds(Unknown, TEXT)
    if origin is typing.Union:
        return st.none() | values_of(arguments[0])
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is not None:
        return st.dictionaries(WORD, values_of(arguments[1]), max_size=3)
    if wanted is object:
        return TEXT | st.booleans() | st.integers(-9, 9) | st.lists(TEXT, max_size=2).map(tuple)
    return {str: TEXT, bool: st.booleans()}[wanted]


COMPONENTS = st.lists(values_of(Component), max_size=3, unique_by=lambda component: component.id)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(values_of(Facts), COMPONENTS)
def test_any_facts_come_back(facts: Facts, components: list[Component]) -> None:
    whole = dataclasses.replace(facts, components={component.id: component for component in components})
    document = json.loads(json.dumps(facts_document(whole)))
    assert facts_from_document(document, AT) == whole


def test_real_locks_come_back_with_the_same_annotations(environment: Path, tmp_path: Path) -> None:
    picks = ["zlib"] if environment.name == "multi-mpi-multi-target" else []
    found = read_source(environment, picks).facts
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(facts_document(found)), "utf-8")
    again = read_source(path).facts
    assert again == found
    assert annotations_for(again) == annotations_for(found)
    assert cyclonedx_sbom(again) == cyclonedx_sbom(found)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return a facts document with something of everything in it."""
    nodes = (
        node("app", "1", mpi("openmpi"), target="x86_64", variants={"a": True, "b": ["c"], "d": "e"},
             extra={"patches": ["a" * 64]}),
        node("openmpi", "5.0.8", external="/usr", variants={"fabrics": ["ucx"]}),
    )  # fmt: skip
    whole = dataclasses.replace(facts(*nodes), documentation={"readme": "# x"}, stated={"a": "b"})
    found = json.loads(json.dumps(facts_document(whole)))
    assert isinstance(found, dict)
    return found


def test_any_wrong_or_missing_value_anywhere(document: dict[str, Any]) -> None:
    outcomes = set()
    wrong = [mutated for _, _, mutated in mutations(document)]
    for mutated in [*wrong, *(without(document, path) for path in paths(document) if path)]:
        try:
            found = facts_from_document(mutated, AT) if isinstance(mutated, dict) else None
            if found is not None:
                annotations_for(found)
                cyclonedx_sbom(found).encode("utf-8")
            outcomes.add(True)
        except InputError as error:
            outcomes.add(False)
            line = str(error)
            assert line.isprintable(), ascii(line)
            assert len(line) < 3000
    assert outcomes == {True, False}


def test_unknown_field_is_named(document: dict[str, Any], refused: Refused) -> None:
    with refused("facts.json", "'targett'"):
        facts_from_document({**document, "targett": {}}, AT)


@pytest.mark.parametrize("raw", [{}, {"format": "hpc3-facts-2"}, {"format": None}])
def test_other_format(raw: dict[str, Any], refused: Refused) -> None:
    with refused("facts.json: format", "hpc3-facts-1"):
        facts_from_document(raw, AT)


def test_missing_fields_are_named(refused: Refused) -> None:
    with refused("facts.json", "software", "target", "mpi"):
        facts_from_document({"format": "hpc3-facts-1"}, AT)


def test_two_components_of_one_id(document: dict[str, Any], refused: Refused) -> None:
    twice = {**document, "components": [document["components"][0]] * 2}
    with refused("facts.json: components[1]", "twice"):
        facts_from_document(twice, AT)


def test_roots_cannot_be_picked_from_facts(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "facts.json"
    path.write_text("{}")
    with refused(str(path), "roots"):
        read_source(path, ["app"])
