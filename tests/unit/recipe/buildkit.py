"""A Dockerfile as BuildKit reads it: its own parser, and its shell lexer's rules for what the parser leaves quoted.

The parser is BuildKit's, built into the package ``dockerfile``. The lexer follows ``frontend/dockerfile/shell/lex.go``
(``processDoubleQuote``, ``processSingleQuote``, ``processDollar``) with the escape token ``\\``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import dockerfile


def instructions(text: str) -> list[Any]:
    """Return the instructions of a Dockerfile, as BuildKit's parser gives them."""
    return list(dockerfile.parse_string(text))


def labels(text: str) -> dict[str, str]:
    """Return the labels that a Dockerfile sets."""
    words = [word for i in instructions(text) if i.cmd.upper() == "LABEL" for word in i.value]
    return {lexed(name): lexed(value) for name, value in zip(words[::2], words[1::2])}


def environment(text: str, before: Mapping[str, str]) -> dict[str, str]:
    """Return the environment after the ENV instructions of a Dockerfile."""
    result = dict(before)
    for instruction in instructions(text):
        if instruction.cmd.upper() == "ENV":
            words = instruction.value
            # All of one instruction see the environment before it.
            result.update({lexed(n): lexed(v, dict(result)) for n, v in zip(words[::2], words[1::2])})
    return result


_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])((?:[^}\\]|\\.)*))?\}|([A-Za-z_][A-Za-z0-9_]*))")


def lexed(word: str, variables: Mapping[str, str] | None = None) -> str:
    """Return what BuildKit's shell lexer makes of a word."""
    variables = {} if variables is None else variables
    out, at, quote = "", 0, ""
    while at < len(word):
        c = word[at]
        if quote == "'":
            quote, out = ("", out) if c == "'" else (quote, out + c)
            at += 1
        elif c == "\\":
            assert at + 1 < len(word), "the word ends in an escape"
            follower = word[at + 1]
            # In double quotes only these are escapes; outside of quotes everything is.
            out += follower if not quote or follower in '"$\\' else "\\" + follower
            at += 2
        elif c == '"':
            quote = "" if quote else '"'
            at += 1
        elif c == "'" and not quote:
            quote = "'"
            at += 1
        elif c == "$":
            match = _VARIABLE.match(word, at)
            assert match, f"not a variable: {word[at : at + 20]}"
            out += _expanded(match, variables)
            at = match.end()
        else:
            out += c
            at += 1
    assert not quote, "a quote is not closed"
    return out


def _expanded(match: re.Match[str], variables: Mapping[str, str]) -> str:
    value = variables.get(match.group(1) or match.group(4), "")
    if match.group(2) == "-":
        return value or lexed(match.group(3), variables)
    if match.group(2) == "+":
        return lexed(match.group(3), variables) if value else ""
    return value
