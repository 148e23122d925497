"""Single rules of ``validate`` at their edges: what looks wrong and is not, and the other way round."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hpc3.apply.wanted import checked_annotations
from hpc3.cli import main
from hpc3.consume.finding import Finding
from hpc3.consume.subject import Subject
from hpc3.consume.validate import validate_subject
from hpc3.errors import InputError
from hpc3.vocabulary import OCI_PREFIX, key
from unit.consume.test_consume_validate import codes, subject

TARGET = key("hardware.cpu.optimized.version")


def found(code: str, judged: Subject) -> list[Finding]:
    return [each for each in validate_subject(judged) if each.code == code]


@pytest.mark.parametrize("text", ["caf\u00e9\u00a0: x", "\U0001f469\u200d\U0001f52c tools", "a\u3000b"])
def test_what_apply_writes_is_no_control_character(text: str) -> None:
    assert codes(subject({"my.key": text, OCI_PREFIX + "description": text})) == set()
    assert checked_annotations({"my.key": text}, "x") == {"my.key": text}


@pytest.mark.parametrize("text", ["a\nb", "a\x1bb", "a\x85b", "a\u2028b", "a\ud800b"])
def test_control_characters(text: str) -> None:
    assert len(found("HPC502", subject({"my.key": text}))) == 1
    (name,) = found("HPC502", subject({text: "x"}))
    assert "the name of the key" in name.message
    for entry in (f"A={text}", f"{text}=b", text):
        assert len(found("HPC502", subject(config={"Env": ["PATH=/bin", entry]}))) == 1
    with pytest.raises(InputError):
        checked_annotations({"my.key": text}, "x")


def test_a_key_without_bytes() -> None:
    assert len(found("HPC502", subject({"\ud800": "x"}))) == 1


def test_guessing_ends() -> None:
    unknown = found("HPC203", subject({key(f"mpi.implementatio{number}"): "x" for number in range(5000)}))
    assert len(unknown) == 5000
    assert sum("did you mean" in each.message for each in unknown) == 50


def test_an_image_from_scratch() -> None:
    empty = {OCI_PREFIX + "base.name": "", OCI_PREFIX + "base.digest": ""}
    assert codes(subject(dict(empty))) == set()
    assert "HPC201" in codes(subject({**empty, OCI_PREFIX + "base.digest": "x"}))


@pytest.mark.parametrize(
    ("command", "is_login"),
    [
        (["/bin/bash", "-l"], True),
        (["bash", "-li"], True),
        (["bash", "-il"], True),
        (["bash", "-l", "-i"], True),
        (["bash", "-i", "--login"], True),
        (["bash", "-i"], False),
        (["bash", "-lc", "gmx"], False),
        (["bash", "-l", "script"], False),
        (["python", "-l"], False),
        (["bash"], False),
    ],
)
def test_login_shells(command: list[str], is_login: bool) -> None:
    assert ("HPC103" not in codes(subject(config={"Cmd": command}))) is is_login


def test_libraries_that_are_loaded_everywhere() -> None:
    for name in ("LD_PRELOAD", "LD_AUDIT"):
        (each,) = found("HPC505", subject(config={"Env": ["PATH=/bin", f"{name}=/lib/x.so"]}))
        assert name in each.message


@pytest.mark.parametrize(
    ("architecture", "target", "expected"),
    [
        ("x86_64", "zen3", "amd64"),
        ("AMD64", "zen3", "amd64"),
        ("aarch64", "neoverse_v1", "arm64"),
        ("amd64", "neoverse_v1", "arm64"),
        ("amd64", "zen3", ""),
        ("ppc64", "ppc64", ""),
        ("arm", "arm", ""),
        ("sparc64", "sparc64", ""),
        ("", "zen3", ""),
    ],
)
def test_architectures(architecture: str, target: str, expected: str) -> None:
    judged = replace(subject({TARGET: target}), platform={"os": "linux", "architecture": architecture})
    messages = [each.message for each in found("HPC302", judged)]
    assert len(messages) == bool(expected)
    assert all(f"architecture {expected}, the image is for {architecture}" in message for message in messages)


def test_a_misspelt_key_demands_nothing() -> None:
    misspelt = {key("mpi.implementation"): "none", key("mpi.implementaton"): "mpich", key("hardware.gpu.x"): "y"}
    without = {name: None for name in subject().stated() if name.startswith(key("mpi."))}
    without[key("communication.framework")] = None
    assert codes(subject({**without, **misspelt})) == {"HPC203"}


def test_json_of_many_keys_is_told_in_time(tmp_path: Path) -> None:
    file = tmp_path / "many.json"
    file.write_text(json.dumps({key(f"key{number}.name"): "x" for number in range(20000)}))
    begin = time.monotonic()
    assert main(["validate", "-o", str(tmp_path / "out"), str(file)]) == 1
    assert time.monotonic() - begin < 10
