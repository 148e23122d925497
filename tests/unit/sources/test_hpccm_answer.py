"""What HPCCM answers is read as a stranger's document: a recipe can write into it what it likes."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import InputError
from hpc3.sources.hpccm_answer import parse_answer
from unit.conftest import Refused
from unit.hpccm_answers import RECIPE, answer, base, document, layer


def test_fields_arrive() -> None:
    found = answer([base()], [base("debian:12"), layer("ucx", "RUN x", version="1.15.0", runtime=True)])
    assert found.hpccm == "26.5.0"
    assert found.cpu_target == ""
    ucx = found.stages[1][1]
    assert (ucx.kind, ucx.name, ucx.text, ucx.runtime) == ("block", "ucx", "RUN x", True)
    assert ucx.word("version") == "1.15.0"


def test_a_parameter_of_another_type_is_none() -> None:
    odd = answer([base(), layer("ucx", version=["1.15.0"], url=None, ospackages="wget", apt=["make", 1, None])]).stages[
        0
    ][1]
    assert odd.word("version") == odd.word("url") == ""
    assert odd.words("ospackages", "apt") == ("make",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ("is empty",)),
        (b"[]", ("an object is needed",)),
        (b"\xff", ("is not text",)),
        (b"[" * 100_000, ("nested too deeply",)),
        (json.dumps({"fault": "NameError: \x1b[2J\nname"}).encode(), ("HPCCM says", r"\x1b[2J name")),
        (document(), ("adds no baseimage",)),
        (document([layer("gnu")]), ("adds no baseimage",)),
        (document([base()], hpccm="26.5.0\n"), ("hpccm", "ill-formed")),
        (document([base()], cpu_target="../zen3"), ("cpu_target", "ill-formed")),
        (document([base()], cpu_target=3), ("cpu_target", "a string is needed")),
        (document([base()], dockerfile=None), ("dockerfile", "a string is needed")),
        (document([base()], included="all"), ("included", "a list is needed")),
        (document([base()], stages={"0": []}), ("stages", "a list is needed")),
        (document([base()], stages=["text"]), ("stages[0]", "a list is needed")),
        (document([base()], stages=[["text"]]), ("stages[0][0]", "an object is needed")),
        (document([{**base(), "name": "base image"}]), ("stages[0][0].name", "ill-formed")),
        (document([{**base(), "kind": "other"}]), ("stages[0][0].kind", "ill-formed")),
        (document([base(), *[layer("gnu")] * 10_000]), ("more than 10,000 layers",)),
    ],
)
def test_what_it_should_not_be_is_refused(data: bytes, words: tuple[str, ...], refused: Refused) -> None:
    with refused(RECIPE, *words):
        parse_answer(data, RECIPE)


def values() -> st.SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    return st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@given(key=st.sampled_from(sorted(json.loads(document([base()])))), value=values())
def test_any_value_is_read_or_refused(key: str, value: Any) -> None:
    with suppress(InputError):
        assert parse_answer(document([base()], **{key: value}), RECIPE).stages
