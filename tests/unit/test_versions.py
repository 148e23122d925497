from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.tables import holds_for
from hpc3.versions import is_at_least, same_version, version_numbers

NUMBERS = st.lists(st.integers(0, 10**17), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("535.104.05-1", (535, 104, 5)),
        ("5.0.8rc1", (5, 0, 8)),
        ("12.0", (12,)),
        ("20231124123456", (20231124123456,)),
        ("develop", ()),
        ("", ()),
        ("v5", ()),
    ],
)
def test_leading_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert version_numbers(text) == numbers


@given(NUMBERS, NUMBERS)
def test_versions_are_ordered_as_their_numbers(left: list[int], right: list[int]) -> None:
    texts = [".".join(map(str, numbers)) for numbers in (left, right)]
    length = max(len(left), len(right))
    padded = [numbers + [0] * (length - len(numbers)) for numbers in (left, right)]
    assert is_at_least(*texts) == (padded[0] >= padded[1])


@pytest.mark.parametrize(
    ("version", "expected"),
    [("4.1", False), ("5", True), ("5.0", True), ("5.9.1", True), ("6", False), ("6.0", False), ("main", False)],
)
def test_ranges_are_half_open_whatever_the_zeros(version: str, expected: bool) -> None:
    assert holds_for({"since": "5.0", "before": "6.0"}, version) == expected


def test_ranges_without_bounds() -> None:
    assert holds_for({}, "unheard-of")
    assert holds_for({"since": "5"}, "develop")
    assert not holds_for({"since": "5"}, "unheard-of")
    assert not holds_for({"before": "5"}, "unheard-of")


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("4.1", "4.1.6", True),
        ("2.3.0", "2.3.0+cu121", True),
        ("2.3.0_cu121", "2.3.0+cu121", True),
        ("v1.2", "1.2", True),
        ("4.1.4", "4.1.40", False),
        ("12.0", "12.4", False),
    ],
)
def test_versions_agree_as_far_as_both_say(left: str, right: str, expected: bool) -> None:
    assert same_version(left, right) is expected
