"""``hpc3 sbom``: formats, the stated time, the same bytes from every Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpc3.cli import main
from unit.locks import environment_folder

MPI_HELLO = "v1.1.0/mpi-hello"
GOLDEN = Path(__file__).parent / "sbom"
FORMATS = {"cyclonedx": "cdx", "spdx": "spdx"}


@pytest.fixture(autouse=True)
def no_stated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.mark.parametrize("form", FORMATS)
def test_the_document_is_that_of_every_other_python(form: str, tmp_path: Path, rerecord: bool) -> None:
    # Every Python that runs the tests compares with the same file.
    golden = GOLDEN / f"mpi-hello.{FORMATS[form]}.json"
    written = golden if rerecord else tmp_path / "sbom.json"
    assert main(["sbom", str(environment_folder(MPI_HELLO)), "--format", form, "-o", str(written)]) == 0
    assert written.read_bytes() == golden.read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_the_order_of_sets_does_not_show(form: str) -> None:
    command = [sys.executable, "-m", "hpc3.cli", "sbom", str(environment_folder("v1.1.0/osu-openmpi-ucx"))]
    outputs = [
        subprocess.run(
            [*command, "--format", form], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] != b""


def test_cyclonedx_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sbom", str(environment_folder(MPI_HELLO))]) == 0
    assert json.loads(capsys.readouterr().out)["bomFormat"] == "CycloneDX"


def test_a_picked_root_is_the_only_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sbom", str(environment_folder(MPI_HELLO)), "--root", "mpi-hello"]) == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["component"]["name"] == "mpi-hello"


def test_the_time_is_the_stated_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert main(["sbom", str(environment_folder(MPI_HELLO)), "--format", "spdx"]) == 0
    assert json.loads(capsys.readouterr().out)["creationInfo"]["created"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("text", ["yesterday", "-1", "1.5", "9" * 40, "\x1b[31m"])
def test_a_time_that_is_none_is_a_wrong_use(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert main(["sbom", str(environment_folder(MPI_HELLO))]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "SOURCE_DATE_EPOCH" in output.err
    assert output.err.rstrip("\n").isprintable()
