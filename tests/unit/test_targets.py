"""The join of CPU targets, held against archspec's own order."""

from __future__ import annotations

import archspec.cpu
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.targets import family, features, is_generic, known_targets, least_common_target

NAMES = st.sampled_from(sorted(archspec.cpu.TARGETS))
SETS = st.lists(NAMES, min_size=1, max_size=4)


def runs(host: str, target: str) -> bool:
    """Whether code for ``target`` runs on ``host``."""
    return bool(archspec.cpu.TARGETS[host] >= archspec.cpu.TARGETS[target])


@given(SETS)
def test_result_is_least_of_the_upper_bounds(names: list[str]) -> None:
    found = least_common_target(names)
    bounds = [host for host in known_targets() if all(runs(host, name) for name in names)]
    assert set(found) == {host for host in bounds if not any(host != other and runs(host, other) for other in bounds)}


@given(SETS, st.randoms())
def test_order_and_repetition_do_not_matter(names: list[str], random: object) -> None:
    assert least_common_target(names) == least_common_target([*reversed(names), names[0]])


@given(NAMES)
def test_one_target_is_its_own_join(name: str) -> None:
    assert least_common_target([name]) == (name,)


@given(NAMES, NAMES)
def test_comparable_targets_join_to_the_greater(first: str, second: str) -> None:
    if runs(first, second):
        assert least_common_target([first, second]) == (first,)


@given(NAMES, NAMES, NAMES)
def test_join_is_associative_where_there_is_one(a: str, b: str, c: str) -> None:
    left = least_common_target([a, b])
    if len(left) == 1:
        assert least_common_target([*left, c]) == least_common_target([a, b, c])


@pytest.mark.parametrize(
    ("names", "join"),
    [
        (("zen2", "zen3"), ("zen3",)),
        (("x86_64", "x86_64_v3", "haswell"), ("haswell",)),
        (("x86_64_v2", "x86_64_v4"), ("x86_64_v4",)),
        (("skylake", "x86_64_v4"), ("cannonlake", "skylake_avx512")),
        (("zen3", "x86_64_v4"), ("zen4",)),
        (("neoverse_n1", "aarch64"), ("neoverse_n1",)),
        (("zen3", "skylake_avx512"), ()),
        (("x86_64", "aarch64"), ()),
        (("power9le", "zen"), ()),
    ],
)
def test_known_joins(names: tuple[str, ...], join: tuple[str, ...]) -> None:
    assert least_common_target(names) == join


def test_unknown_target() -> None:
    with pytest.raises(KeyError):
        least_common_target(["zen3", "zen99"])


@given(NAMES)
def test_properties_are_archspecs(name: str) -> None:
    target = archspec.cpu.TARGETS[name]
    assert is_generic(name) == (target.vendor == "generic")
    assert family(name) == target.family.name
    assert features(name) == tuple(sorted(target.features))
