"""``apply --verify``: what the binaries show is added, what they contradict stops the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpc3.cli import main
from hpc3.vocabulary import key
from unit.consume.oci_layouts import layer_of_folder, write_layout
from unit.consume.root_file_systems import build_root

STATED = {key("schema.version"): "1.0", key("software.name"): "gromacs", key("mpi.implementation"): "openmpi"}
LIE = {**STATED, key("mpi.version"): "5.0.3", key("system.libc.version"): "2.28"}


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return layer_of_folder(build_root(tmp_path_factory.mktemp("root")))


@pytest.fixture
def layout(layer: bytes, tmp_path: Path) -> str:
    return write_layout(tmp_path / "layout", [layer], {}, config={"Env": ["PATH=/opt/app/bin:/usr/bin"]})


def write(folder: Path, annotations: dict[str, str]) -> str:
    path = folder / "stated.json"
    path.write_text(json.dumps(annotations))
    return str(path)


def inspected(layout: str, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capfd.readouterr()
    assert main(["inspect", layout]) == 0
    return json.loads(capfd.readouterr().out)


def test_what_the_files_show_is_added_and_verifies(
    layout: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    apply = ["apply", layout, "--from", write(tmp_path, STATED), "--verify", "--no-isa"]
    assert main([*apply, "--dry-run"]) == 0
    shown = capfd.readouterr().out
    assert f"+{key('mpi.version')}=4.1.4  [/usr/lib/x86_64-linux-gnu/libmpi.so.40.30.4:0x" in shown
    assert f"+{key('software.name')}=gromacs\n" in shown
    assert main(apply) == 0
    after = inspected(layout, capfd)
    assert {name: after["annotations"][name] for name in STATED} == STATED
    assert after["annotations"][key("ucx.version")] == "1.13.1"
    assert after["labels"][key("mpi.version")] == "4.1.4"
    assert main(["verify", layout, "--no-isa", "--format", "json"]) == 0
    verdicts = json.loads(capfd.readouterr().out)
    assert {each["verdict"] for each in verdicts["comparisons"]} == {"agrees"}
    assert verdicts["offers"] == []
    assert main(apply) == 0
    assert inspected(layout, capfd)["digest"] == after["digest"]


def test_a_contradiction_stops_it(layout: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = inspected(layout, capfd)
    apply = ["apply", layout, "--from", write(tmp_path, LIE), "--verify", "--no-isa"]
    assert main(apply) == 1
    (error,) = capfd.readouterr().err.splitlines()
    assert f"{key('mpi.version')} is stated as 5.0.3, and the files show 4.1.4 [/usr/lib/" in error
    assert f"{key('system.libc.version')} is stated as 2.28" in error
    assert "--despite KEY" in error
    assert inspected(layout, capfd) == before


def test_a_person_may_insist_key_by_key(layout: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    apply = ["apply", layout, "--from", write(tmp_path, LIE), "--verify", "--no-isa", "--despite", "mpi.version"]
    assert main(apply) == 1
    (error,) = capfd.readouterr().err.splitlines()
    assert key("mpi.version") not in error
    assert main([*apply, "--despite", key("system.libc.version")]) == 0
    assert "is stated as 5.0.3, and the files show 4.1.4" in capfd.readouterr().err
    assert inspected(layout, capfd)["annotations"][key("mpi.version")] == "5.0.3"


def test_alone_it_proves_what_is_on_the_image(
    layer: bytes, layout: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", layout, "--verify", "--no-isa"]) == 0
    after = inspected(layout, capfd)["annotations"]
    assert after[key("mpi.implementation")] == "openmpi"
    assert key("software.name") not in after
    foreign = {"org.example.note": "kept"}
    labels = {key("software.version"): "2022.5"}
    partly = write_layout(tmp_path / "partly", [layer], {**STATED, **foreign}, labels)
    assert main(["apply", partly, "--verify", "--no-isa"]) == 0
    after = inspected(partly, capfd)["annotations"]
    assert {name: after.get(name) for name in (*STATED, *foreign, *labels)} == {**STATED, **foreign, **labels}
    lying = write_layout(tmp_path / "lying", [layer], {key("mpi.implementation"): "mpich"})
    assert main(["apply", lying, "--verify", "--no-isa"]) == 1


@pytest.mark.parametrize("options", [["--despite", "mpi.version"], ["--no-isa"], ["--verify", "--no-layers"]])
def test_options_that_do_not_fit(options: list[str], layout: str, tmp_path: Path) -> None:
    assert main(["apply", layout, "--from", write(tmp_path, STATED), *options]) == 2
