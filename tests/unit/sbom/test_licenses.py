"""The reader of licence expressions, held against license-expression."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from license_expression import get_spdx_licensing

from hpc3.sbom.licenses import is_expression, license_references
from hpc3.tables import rows

LICENSING = get_spdx_licensing()

#: What both lists have: the library's is of another day.
KNOWN = [
    id_
    for row in rows("spdx_licenses")
    for id_ in row["ids"]
    if row["kind"] == "licence" and id_ in LICENSING.known_symbols
]


def library_accepts(text: str) -> bool:
    if not text.strip():
        return False
    return not LICENSING.validate(text, strict=True).errors


words = st.one_of(
    st.sampled_from(["MIT", "Apache-2.0", "GPL-2.0-only", "GPL-2.0+", "Classpath-exception-2.0", "nothing", "mit"]),
    st.sampled_from(["AND", "OR", "WITH", "(", ")", "(", ")"]),
)


@given(st.lists(words, min_size=1, max_size=9).map(" ".join))
def test_what_is_accepted_the_library_accepts(text: str) -> None:
    if is_expression(text):
        assert library_accepts(text)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    simple = draw(st.sampled_from(KNOWN))
    if draw(st.booleans()):
        simple = f"{draw(st.sampled_from(['GPL-2.0-only', 'GPL-3.0-or-later']))} WITH Classpath-exception-2.0"
    if depth == 0 or draw(st.booleans()):
        return simple
    rest = draw(expressions(depth - 1))
    if draw(st.booleans()):
        rest = f"({rest})"
    return f"{simple} {draw(st.sampled_from(['AND', 'OR']))} {rest}"


@given(expressions())
def test_what_the_grammar_makes_is_accepted(text: str) -> None:
    assert library_accepts(text)
    assert is_expression(text)


@pytest.mark.parametrize("text", ["LicenseRef-a.b-1", "MIT AND LicenseRef-x", "((MIT))", "MIT AND(ISC OR Zlib)"])
def test_other_expressions_are_accepted(text: str) -> None:
    assert is_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "GPLv2",
        "mit",
        "MIT and ISC",
        "MIT ISC",
        "MIT AND",
        "AND MIT",
        "(MIT",
        "MIT)",
        ")MIT(",
        "()",
        "MIT WITH ISC",
        "(MIT) WITH Classpath-exception-2.0",
        "Classpath-exception-2.0",
        "LicenseRef-",
        "LicenseRef-a/b",
        "DocumentRef-a:LicenseRef-b",
        "MIT\nISC",
        "MIT\u00a0AND ISC",
        "(" * 9000 + "MIT" + ")" * 9000,
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    assert not is_expression(text)


def test_references_are_found_in_their_order() -> None:
    assert license_references("(LicenseRef-b OR MIT) AND LicenseRef-a") == ["LicenseRef-b", "LicenseRef-a"]
