"""Whether a licence is an SPDX expression, so that it may stand where the formats ask for one.

Grammar: annex D of the SPDX specification 2.3 (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/),
read strictly: identifiers in the spelling of the SPDX list, operators in capitals. What is not one is a licence's name.
"""

from __future__ import annotations

import re
from functools import cache

from hpc3.tables import rows

# license-expression was passed over: the SBOM is also written inside Spack's own Python, where only the standard
# library and this package are sure to be there. The tests hold this reader against it.

_TOKEN = re.compile(r"[()]|[^ ()]+")
_REFERENCE = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
_PRINTABLE = re.compile(r"[ -~]{1,8192}")

#: What may follow each kind of token; an expression follows nothing as a parenthesis follows.
_FOLLOWS = {
    "(": ("(", "licence"),
    "operator": ("(", "licence"),
    "licence": (")", "operator", "with"),
    "with": ("exception",),
    "exception": (")", "operator"),
    ")": (")", "operator"),
}


@cache
def is_expression(text: str) -> bool:
    """Whether a text is an SPDX licence expression."""
    if not _PRINTABLE.fullmatch(text):
        return False
    depth, before = 0, "("
    for word in _TOKEN.findall(text):
        kind = _kind(word, before)
        if kind not in _FOLLOWS[before]:
            return False
        depth += (kind == "(") - (kind == ")")
        if depth < 0:
            return False
        before = kind
    return depth == 0 and before in ("licence", "exception", ")")


def license_references(expression: str) -> list[str]:
    """Return the ``LicenseRef-…`` of an expression, in its order: licences that SPDX does not know."""
    return [word for word in _TOKEN.findall(expression) if _REFERENCE.fullmatch(word)]


def _kind(word: str, before: str) -> str:
    """Return what a token is after one of the kind ``before``; empty where it is nothing that SPDX knows."""
    if word in "()":
        return word
    if word in ("AND", "OR"):
        return "operator"
    if word == "WITH":
        return "with"
    if before == "with":
        return "exception" if word in _listed("exception") else ""
    # "+" behind an identifier is left out: no validator reads it but in the identifiers that hold it (GPL-2.0+).
    return "licence" if word in _listed("licence") or _REFERENCE.fullmatch(word) else ""


@cache
def _listed(kind: str) -> frozenset[str]:
    return frozenset(id_ for row in rows("spdx_licenses") if row["kind"] == kind for id_ in row["ids"])
