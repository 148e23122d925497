"""Quoting for a shell: a real /bin/sh gets every word as it went in."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.recipe.plan import Run, Shell, Write
from hpc3.recipe.shell import LINE_LIMIT, quote, run_lines, statement_text, write_lines
from unit.conftest import Refused

WORD = st.text(
    st.sampled_from("\\\"'$`{}:#<>-+=&|;*?[]%!~ ") | st.characters(codec="utf-8", exclude_categories=("Cc",)),
    max_size=30,
)


def sh(script: str) -> str:
    return subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, text=True).stdout


@settings(max_examples=40, deadline=None)  # each starts a shell
@given(st.lists(WORD, min_size=1, max_size=8))
def test_words_come_out_as_they_went_in(words: list[str]) -> None:
    statement = ("printf", Shell("'<%s>'"), *words)
    assert sh(statement_text(statement)) == "".join(f"<{word}>" for word in words)


@settings(max_examples=40, deadline=None)  # each starts a shell
@given(WORD)
def test_variables_come_out_as_they_went_in(value: str) -> None:
    run = Run("x", (Shell('printf %s "${v}"'),), variables={"v": value})
    assert sh(" && ".join(run_lines(run))) == value


@pytest.mark.parametrize(
    "word", ["a\nb", "a\x00b", "\x1b[2J", "a\tb", "\x7f", "x" * (LINE_LIMIT + 1)], ids=lambda w: ascii(w[:5])
)
def test_words_that_no_line_of_a_recipe_can_hold(word: str, refused: Refused) -> None:
    with refused("cannot be written in a recipe"):
        quote(word)


def test_first_failure_ends_the_step() -> None:
    run = Run("x", (("false",), ("echo", "on")))
    result = subprocess.run(["/bin/sh", "-c", " && ".join(run_lines(run))], capture_output=True, check=False)
    assert result.returncode == 1
    assert result.stdout == b""


def test_shell_text_may_be_broken_where_it_says() -> None:
    assert statement_text(Shell("echo a\n    b")) == "echo a \\\n    b"
    assert sh(statement_text(Shell("echo a\n    b"))) == "a b\n"


def test_packed_file_is_the_same_from_every_python() -> None:
    lines = write_lines(Write("x", "/x", b"a" * 10_000, packed=True))
    assert lines[1].count("\n") >= 1
    assert "QlpoOTFBWSZTW" in lines[1]


def test_empty_file() -> None:
    assert write_lines(Write("x", "/f", b"\n"))[1] == "printf '%s\\n' \\\n    '' > /f"
