"""Errors are one line, whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import CheckFailed, HostError, InputError, StoreError, UsageError, printable

TEXT = st.text(st.characters(codec=None), max_size=50)


@given(TEXT, TEXT, TEXT)
def test_error_is_one_printable_line(what: str, where: str, remedy: str) -> None:
    line = str(InputError(what, where=where, remedy=remedy))
    assert line.isprintable()
    line.encode("utf-8")


@given(st.text(st.characters(codec=None, min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_what_is_hostile_is_shown_as_escapes() -> None:
    assert printable("a\n\x1b[2J\u202e\ud800\x00é") == "a\\n\\x1b[2J\\u202e\\ud800\\x00é"


def test_what_is_long_is_cut() -> None:
    assert len(printable("x" * 10_000_000)) == 2001


def test_parts() -> None:
    assert str(InputError("is wrong", where="f: a.b", remedy="mend it")) == "f: a.b: is wrong (mend it)"
    assert str(InputError("is wrong")) == "is wrong"


@pytest.mark.parametrize(
    ("kind", "code"), [(CheckFailed, 1), (UsageError, 2), (InputError, 3), (StoreError, 4), (HostError, 5)]
)
def test_exit_codes(kind: type[InputError], code: int) -> None:
    assert kind("x").exit_code == code
