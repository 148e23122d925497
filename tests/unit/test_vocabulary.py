"""The vocabulary: 72 keys, each with a grammar that its own examples hold to."""

from __future__ import annotations

import re

import pytest

from hpc3.vocabulary import OCI_PREFIX, PREFIX, RESERVED_NAMESPACES, Key, is_reserved, key, vocabulary

KEYS = list(vocabulary().values())


def test_there_are_72_keys() -> None:
    assert len(KEYS) == 72


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.name)
def test_examples(row: Key) -> None:
    assert row.good
    assert [value for value in row.good if row.fault(value)] == []
    assert [value for value in row.bad if not row.fault(value)] == []


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.name)
def test_row_is_complete(row: Key) -> None:
    assert row.name.startswith((PREFIX, OCI_PREFIX))
    assert row.level in ("M", "C", "O")
    assert row.place in ("A", "AL", "AD", "ALD")
    assert row.merge in ("inherit", "override", "max", "min", "union", "never")
    assert row.source
    re.compile(row.grammar)


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.name)
@pytest.mark.parametrize("ending", ["\n", "\r", "\nx", "\x00", "\x1b[2J", "\x85", "\u2028", "\ud800"], ids=ascii)
def test_no_key_takes_a_control_character(row: Key, ending: str) -> None:
    """A line break in a label becomes shell text in Enroot's /etc/rc; others steer terminals or cannot be encoded."""
    assert [value for value in row.good if not row.fault(value + ending)] == []


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.name)
def test_length_is_bounded(row: Key) -> None:
    assert row.fault("1" * (row.limit + 1)).startswith("longer than")
    assert row.limit <= 65536


def test_no_key_is_a_dotted_prefix_of_another() -> None:
    """An EDF is TOML: a key cannot be a value and a table."""
    names = [row.name for row in KEYS]
    assert [(a, b) for a in names for b in names if b.startswith(a + ".")] == []


def test_selection_keys_are_few_and_labels_too() -> None:
    """Index descriptors stay small, and what is on a descriptor is on the image."""
    selection = [row for row in KEYS if row.is_selection]
    assert {row.name for row in selection} >= {
        key("hardware.cpu.optimized.mode"),
        key("hardware.cpu.optimized.version"),
        key("hardware.gpu.vendor"),
        key("mpi.implementation"),
    }
    assert len(selection) <= 12


def test_long_values_are_never_labels() -> None:
    """containerd turns labels into container labels of at most 4096 bytes, key included."""
    assert [row.name for row in KEYS if row.is_label and row.limit > 512] == []


def test_reserved_namespaces() -> None:
    assert not any(is_reserved(row.name) for row in KEYS)
    assert all(is_reserved(f"{namespace}x") for namespace in RESERVED_NAMESPACES)
    assert not is_reserved("org.opencontainers.image.title")
