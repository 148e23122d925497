from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpc3.apply.wanted import checked_annotations, parse_annotations, read_wanted
from hpc3.errors import InputError, UsageError
from hpc3.vocabulary import key

NAME = key("software.name")


def test_a_flat_object_is_a_file_and_anything_else_a_source(tmp_path: Path) -> None:
    flat, lock = tmp_path / "a.json", tmp_path / "spack.lock"
    flat.write_text(json.dumps({NAME: "x", "b": "1"}))
    lock.write_text('{"_meta": {"file-type": "spack-lockfile"}}')
    seen: list[tuple[Path, list[str]]] = []

    def from_source(path: Path, roots: object) -> dict[str, str]:
        seen.append((path, list(roots)))  # type: ignore[call-overload]
        return {NAME: "derived"}

    assert read_wanted(flat, [], from_source) == ({"b": "1", NAME: "x"}, False)
    assert read_wanted(lock, ["gromacs"], from_source) == ({NAME: "derived"}, True)
    assert read_wanted(tmp_path, [], from_source)[1] is True
    assert seen == [(lock, ["gromacs"]), (tmp_path, [])]
    with pytest.raises(UsageError):
        read_wanted(flat, ["gromacs"], from_source)
    with pytest.raises(InputError):
        read_wanted(lock, [], None)


def test_a_file_with_a_key_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": "1", "a": "2"}')
    with pytest.raises(InputError, match="twice"):
        read_wanted(path, [], None)


@pytest.mark.parametrize(
    "annotations",
    [
        {"run.oci.hooks.stdout": "/x"},
        {"com.hooks.mpi.enabled": "true"},
        {key("no.such.key"): "x"},
        {NAME: "Upper Case"},
        {NAME: "x\n"},
        {"foreign": "a\x1b[2J"},
        {"foreign": "x" * 65537},
        {"": "x"},
        {"a b": "x"},
        {"a\n": "x"},
    ],
)
def test_ill_formed_annotations_are_refused(annotations: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        checked_annotations(annotations, "file")
    assert "\n" not in str(caught.value)


def test_values_must_be_strings() -> None:
    with pytest.raises(InputError):
        parse_annotations(b'{"a": 1}', "file")
