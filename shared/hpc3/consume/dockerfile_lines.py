"""From the text of a Dockerfile to its instructions, with the rules of BuildKit's parser.

Our own reader, in place of a library: of those on PyPI, one takes the body of a heredoc for instructions, another
needs a compiler to install. The rules are those of ``frontend/dockerfile/parser``: what another reading hid from us
would be in the image all the same.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from hpc3.errors import InputError

from .dockerfile_words import SPACES, heredocs, plain_words

_DIRECTIVE = re.compile(rf"#[{SPACES}]*([a-zA-Z][a-zA-Z0-9]*)[{SPACES}]*=[{SPACES}]*(.+)")
_DIRECTIVES = ("check", "escape", "syntax")
_LONGEST = 1 << 20  # characters of one instruction; BuildKit takes 64 KiB in one line of the file


@dataclass(frozen=True)
class Instruction:
    """One logical line: its keyword in capitals, the rest, and the number of its first line."""

    keyword: str
    rest: str
    line: int


def escape_of(text: str) -> str:
    """Return the escape character: what a directive says among those at the very top, or else a backslash."""
    for line in _lines(text):
        match = _DIRECTIVE.fullmatch(line.lstrip(SPACES))
        if not match or match.group(1).lower() not in _DIRECTIVES:
            break
        value = match.group(2).rstrip(SPACES)
        if match.group(1).lower() == "escape" and value in ("`", "\\"):
            return value
    return "\\"


def instructions(text: str, name: str = "Dockerfile") -> Iterator[Instruction]:
    """Yield the logical lines: comments and continuations gone, heredoc bodies stepped over.

    Args:
        text: of the file.
        name: of the file, for errors.

    Raises:
        InputError: the body of a heredoc does not end, or an instruction is too long.
    """
    escape, lines = escape_of(text), _lines(text)
    bodies = _Bodies(lines)
    at = 0
    while at < len(lines):
        number = at + 1
        logical, at = _logical_line(lines, at, escape)
        if len(logical) > _LONGEST:
            raise InputError("is too long for an instruction", where=f"{name}:{number}")
        keyword, rest = _command(logical)
        if not keyword:
            continue
        if "<<" in logical and _may_have_heredocs(keyword, rest):
            at = bodies.after(logical, at, f"{name}:{number}")
        yield Instruction(keyword, rest, number)


def _lines(text: str) -> list[str]:
    # Not splitlines(): it ends lines at characters that are none of BuildKit's line ends, within a comment, too.
    return [line.rstrip("\r") for line in text[text.startswith("\ufeff") :].split("\n")]


def _logical_line(lines: list[str], at: int, escape: str) -> tuple[str, int]:
    """Return the logical line that begins at ``at`` (empty for a comment), and where the next one does."""
    line = lines[at].lstrip(SPACES)
    at += 1
    if line.startswith("#"):
        return "", at
    parts = [line]
    while _is_continued(parts[-1], escape):
        parts[-1] = parts[-1].rstrip("\t ")[:-1]
        # Comments and empty lines do not end a continuation; the blanks that a line begins with belong to it.
        while at < len(lines) and lines[at].lstrip(SPACES)[:1] in ("", "#"):
            at += 1
        if at == len(lines):
            break
        parts.append(lines[at])
        at += 1
    return "".join(parts), at


def _is_continued(line: str, escape: str) -> bool:
    trimmed = line.rstrip("\t ")
    return trimmed.endswith(escape) and not trimmed.endswith(escape * 2)


def _command(logical: str) -> tuple[str, str]:
    words = plain_words(logical.strip(SPACES), 1)
    return (words[0].upper() if words else ""), (words[1].strip(SPACES) if len(words) > 1 else "")


def _may_have_heredocs(keyword: str, rest: str) -> bool:
    if keyword == "ONBUILD":
        keyword, _ = _command(rest)
    return keyword in ("ADD", "COPY", "RUN")


class _Bodies:
    """The bodies of heredocs. An index of the lines: a search for every delimiter would take quadratic time."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._places: dict[bool, dict[str, list[int]]] = {}

    def after(self, logical: str, at: int, where: str) -> int:
        """Return where the bodies end that a logical line begins and that start at ``at``.

        Raises:
            InputError: one does not end.
        """
        for delimiter, may_have_tabs, is_spaced in heredocs(logical):
            end = self._find(delimiter, may_have_tabs, at)
            if end is not None:
                at = end + 1
            elif not is_spaced:
                raise InputError(f"the heredoc {delimiter!r} does not end", where=where)
            # "1 << n": to older BuildKits a heredoc has no space, and newer ones stop here.
        return at

    def _find(self, delimiter: str, may_have_tabs: bool, at: int) -> int | None:
        if may_have_tabs not in self._places:
            places: dict[str, list[int]] = {}
            for number, line in enumerate(self._lines):
                places.setdefault(line.lstrip("\t") if may_have_tabs else line, []).append(number)
            self._places[may_have_tabs] = places
        found = self._places[may_have_tabs].get(delimiter, [])
        place = bisect_left(found, at)
        return found[place] if place < len(found) else None
