"""What packages call their licence, as an SPDX expression.

Spack's ``license()`` wants SPDX identifiers but does not check them: ``custom``, ``UNKNOWN``, ``GPLv2`` and whole
sentences occur. SPDX expressions (annex D of https://spdx.github.io/spdx-spec/v2.3/) name such licences with
``LicenseRef-``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from hpc3.tables import rows

#: What packages write where nobody looked the licence up.
_UNKNOWN = frozenset(("", "unknown", "none", "noassertion"))

_OPERATORS = ("AND", "OR", "WITH")
_REFERENCE = "LicenseRef-Spack-"


def spdx_expression(text: str) -> str:
    """Return a licence as an SPDX expression; empty where it is not known.

    Identifiers of the SPDX list are spelled as the list does; what it does not have becomes ``LicenseRef-Spack-…``,
    an expression that cannot be read one such reference as a whole.
    """
    if text.strip().lower() in _UNKNOWN:
        return ""
    words = re.findall(r"[()]|[^\s()]+", text)
    parts: list[str] = []
    operand: list[str] = []
    for word in words:
        if word in ("(", ")") or word.upper() in _OPERATORS:
            parts.extend(_operand(operand, parts))
            parts.append(word.upper())
            operand = []
        else:
            operand.append(word)
    parts.extend(_operand(operand, parts))
    if not _is_well_formed(parts):
        return _reference(words)
    return " ".join(parts).replace("( ", "(").replace(" )", ")")


def joined_expressions(texts: Iterable[str]) -> str:
    """Return one expression for licences that all apply, such as those of a package's parts."""
    found = sorted({expression for expression in map(spdx_expression, texts) if expression})
    if len(found) < 2:
        return "".join(found)
    return " AND ".join(f"({expression})" if " OR " in expression else expression for expression in found)


@cache
def _spelling(kind: str) -> Mapping[str, str]:
    return {id_.lower(): id_ for row in rows("spdx_licenses") if row["kind"] == kind for id_ in row["ids"]}


def _operand(words: list[str], before: list[str]) -> list[str]:
    """Return what stands between two operators; several words are the name of one licence that SPDX does not have."""
    if not words:
        return []
    if len(words) > 1:
        return [_reference(words)]
    word = words[0]
    if before[-1:] == ["WITH"]:
        return [_spelling("exception").get(word.lower(), word)]
    known = _spelling("licence").get(word.lower())
    if known is None and word.endswith("+"):  # "this version or a later one" of a licence that has no such identifier
        base = _spelling("licence").get(word[:-1].lower())
        known = f"{base}+" if base else None
    return [known or _reference(words)]


def _reference(words: Iterable[str]) -> str:
    name = re.sub(r"[^A-Za-z0-9.]+", "-", " ".join(words)).strip("-")[:100]
    return _REFERENCE + name if name else ""


def _is_well_formed(parts: list[str]) -> bool:
    """Whether operands and operators alternate, parentheses match and exceptions are known."""
    if any(word == "WITH" and part not in _spelling("exception").values() for word, part in zip(parts, parts[1:])):
        return False
    depth, wants_operand = 0, True
    for part in parts:
        if part == "(":
            depth += 1
        elif part == ")":
            depth -= 1
        if part == "(" or (part not in _OPERATORS and part != ")"):
            if not wants_operand:
                return False
            wants_operand = part == "("
        else:
            if wants_operand or depth < 0:
                return False
            wants_operand = part in _OPERATORS
    return depth == 0 and not wants_operand
