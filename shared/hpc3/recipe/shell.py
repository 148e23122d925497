"""Shell text from statements: the one place where foreign words are quoted for a shell."""

from __future__ import annotations

import base64
import bz2
import shlex

from hpc3.errors import InputError

from .plan import Run, Shell, Statement, Word, Write

#: BuildKit reads lines of at most 65,535 bytes (``bufio.MaxScanTokenSize``).
LINE_LIMIT = 65000

#: What joins the lines of one statement, in a shell as in a Dockerfile.
CONTINUED = " \\\n"

_PACKED_WIDTH = 110


def run_lines(run: Run) -> list[str]:
    """Return a step's statements as shell text, one a line, foreign words quoted."""
    assignments = [f"{name}={quote(value)}" for name, value in run.variables.items()]
    return [*assignments, *(statement_text(statement) for statement in run.statements)]


def statement_text(statement: Statement) -> str:
    """Return one statement as shell text."""
    if isinstance(statement, Shell):
        return statement.text.replace("\n", CONTINUED)
    return " ".join(word_text(word) for word in statement)


def word_text(word: Word) -> str:
    """Return one word as shell text: ours as it is, a foreign one quoted."""
    return word.text if isinstance(word, Shell) else quote(word)


def quote(text: str) -> str:
    """Quote a foreign word for a shell.

    Raises:
        InputError: it holds a line break or another control character, which no line of a recipe can hold.
    """
    if any(ord(c) < 32 or ord(c) == 127 for c in text) or len(text) > LINE_LIMIT:
        raise InputError(f"{text[:80]!r} cannot be written in a recipe: it holds a control character or is too long")
    return shlex.quote(text)


def write_lines(write: Write) -> list[str]:
    """Return shell text that writes a file, one statement a line."""
    target = quote(write.path)
    folder = quote(write.path.rpartition("/")[0] or "/")
    if write.packed:
        # bzip2: its output has not changed since 2000, so that a recipe is the same from every Python and zlib.
        packed = base64.b64encode(bz2.compress(write.content)).decode("ascii")
        return [
            f"mkdir -p {folder}",
            _printed("%s", _cut(packed, _PACKED_WIDTH)) + f"{CONTINUED}    | base64 -d | bzip2 -d > {target}",
        ]
    text = write.content.decode("utf-8")
    assert text.endswith("\n"), "what is written as text are whole lines"
    lines = text[:-1].split("\n")
    return [f"mkdir -p {folder}", _printed("%s\\n", [quote(line) for line in lines]) + f" > {target}"]


def write_steps(write: Write, limit: int) -> list[list[str]]:
    """Return shell text that writes a file, in steps of at most ``limit`` bytes: what is larger comes in pieces.

    Each step is a list of statements that can run in a shell of its own, after the one before.
    """
    lines = write_lines(write)
    if sum(map(len, lines)) <= limit:
        return [lines]
    packed = base64.b64encode(bz2.compress(write.content)).decode("ascii")
    words = [packed[place : place + _PACKED_WIDTH] for place in range(0, len(packed), _PACKED_WIDTH)]
    count = limit // (_PACKED_WIDTH + 10)
    target, pieces = quote(write.path), quote(f"{write.path}.packed")
    steps = [[_printed("%s", words[place : place + count]) + f" >> {pieces}"] for place in range(0, len(words), count)]
    return [
        [f"mkdir -p {quote(write.path.rpartition('/')[0] or '/')}", f"rm -f {pieces}"],
        *steps,
        [f"base64 -d {pieces} | bzip2 -d > {target}", f"rm {pieces}"],
    ]


def _cut(text: str, width: int) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)]


def _printed(form: str, words: list[str]) -> str:
    """Return a ``printf`` of words that are quoted already, one a line."""
    return CONTINUED.join([f"printf {quote(form)}", *(f"    {word}" for word in words)])
