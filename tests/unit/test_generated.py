"""Pages, manual and completions are what the code and its data say, on every Python alike."""

from __future__ import annotations

import pytest

import peers
from generate.commands import Command, whole_command
from generate.files import generated_files
from hpc3.vocabulary import vocabulary


@pytest.mark.parametrize("path", generated_files())
def test_file_is_up_to_date(path: str, rerecord: bool) -> None:
    text = generated_files()[path]
    if rerecord:
        (peers.REPOSITORY / path).parent.mkdir(parents=True, exist_ok=True)
        (peers.REPOSITORY / path).write_text(text, "utf-8")
    assert (peers.REPOSITORY / path).read_text("utf-8") == text, "pytest --rerecord, then read the diff"


def test_nothing_stays_of_a_verb_that_is_gone() -> None:
    present = {str(path.relative_to(peers.REPOSITORY)) for path in (peers.REPOSITORY / "docs/commands").iterdir()}
    assert present == {path for path in generated_files() if path.startswith("docs/commands/")}


def test_every_argument_is_explained() -> None:
    assert [
        f"{command.name} {argument}"
        for command in _all(whole_command())
        for argument in command.arguments
        if not argument.what
    ] == []


def test_every_key_is_explained() -> None:
    assert [row.name for row in vocabulary().values() if not row.meaning] == []


def _all(command: Command) -> list[Command]:
    return [command, *(one for below in command.commands for one in _all(below))]
