"""What is read from HPCCM's private attributes is there in each release that is looked at, and means the same."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hpc3.facts import Facts, Known
from hpc3.sources import hpccm_question
from hpc3.sources.hpccm_answer import Answer, parse_answer
from hpc3.sources.hpccm_facts import facts_from_answer
from hpc3.tables import rows
from hpccm_peer import RECIPE, hpccm_python

pytestmark = pytest.mark.hpccm

#: The newest, and one of each year before it.
RELEASES = ("21.12.0", "23.11.0", "25.3.0", "26.5.0")

#: Blocks, each told which version to install.
VERSIONS = {
    "boost": "1.83.0",
    "cmake": "3.27.0",
    "fftw": "3.3.10",
    "gdrcopy": "2.3",
    "gnu": "12",
    "hdf5": "1.14.0",
    "kokkos": "3.7.01",
    "llvm": "15",
    "mlnx_ofed": "5.4-1.0.3.0",
    "mpich": "4.0.3",
    "mvapich2": "2.3.7",
    "nccl": "2.12.10-1",
    "netcdf": "4.9.0",
    "nvhpc": "23.5",
    "openblas": "0.3.21",
    "openmpi": "4.1.6",
    "pmix": "4.2.2",
    "pnetcdf": "1.12.3",
    "rdma_core": "44.0",
    "slurm_pmi2": "21.08.8",
    "ucx": "1.15.0",
}


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(release: str, recipe: Path, answer: Path, cpu_target: str = "") -> Answer:
    arguments = json.dumps({"cpu_target": cpu_target, "userarg": {}})
    command = [str(hpccm_python(release)), hpccm_question.__file__, str(answer), str(recipe), arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return parse_answer(answer.read_bytes(), recipe.name)


def facts_of(answer: Answer) -> Facts:
    return facts_from_answer(answer, "recipe.py", "sha256:" + "0" * 64)


def test_every_release_states_the_same(release: str, tmp_path: Path) -> None:
    answer = ask(release, RECIPE, tmp_path / "answer.json")
    assert answer.hpccm == release
    assert answer.definition.count("BootStrap: docker") == 2
    found = facts_of(answer)
    newest = facts_of(ask(RELEASES[-1], RECIPE, tmp_path / "newest.json"))
    same = ("software", "mpi", "fabric", "gpu", "target", "compiler", "os", "stated")
    assert {name: getattr(found, name) for name in same} == {name: getattr(newest, name) for name in same}
    assert all(isinstance(getattr(found, name), Known) for name in same[:-1])
    assert sorted(found.runtime()) == sorted(newest.runtime())


def test_command_line_s_target_wins(release: str, tmp_path: Path) -> None:
    answer = ask(release, RECIPE, tmp_path / "answer.json", "zen3")
    target = facts_of(answer).target
    assert isinstance(target, Known)
    assert target.value.name == "zen3"
    assert "-march=znver3" in answer.dockerfile


def test_every_block_tells_its_version(release: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.py"
    blocks = [f"Stage0 += {block}({parameters(block, version)})" for block, version in VERSIONS.items()]
    recipe.write_text("\n".join(["Stage0 += baseimage(image='ubuntu:22.04', _arch='x86_64')", *blocks]))
    (stage,) = ask(release, recipe, tmp_path / "answer.json").stages
    versions = {layer.name: layer.word("version") for layer in stage if layer.kind == "block"}
    assert versions == VERSIONS


def parameters(block: str, version: str) -> str:
    return f"version={version!r}" + (", eula=True" if block in ("cmake", "nvhpc") else "")


def test_every_block_of_the_release_has_a_row(release: str) -> None:
    listed = (
        "import hpccm.building_blocks as b, inspect; "
        "print(*(n for n, c in vars(b).items() if inspect.isclass(c) and c.__module__.startswith(b.__name__)))"
    )
    done = subprocess.run([str(hpccm_python(release)), "-c", listed], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - {row["block"] for row in rows("hpccm_blocks")} <= {"bb_base", "bb_instructions"}
    assert len(done.stdout.split()) > 50


def test_default_versions_are_the_release_s_own(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.py"
    recipe.write_text("Stage0 += baseimage(image='ubuntu:22.04', _arch='x86_64')\nStage0 += cmake(eula=True)\n")
    versions = {}
    for release in (RELEASES[0], RELEASES[-1]):
        (stage,) = ask(release, recipe, tmp_path / "answer.json").stages
        versions[release] = stage[1].word("version")
    assert versions == {"21.12.0": "3.18.3", "26.5.0": "3.25.1"}


def test_a_block_that_a_recipe_makes_is_no_block_of_hpccm_s(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "class openmpi:\n    version = '5.0.8'\n    def __str__(self): return 'RUN true'\n"
        "Stage0 += baseimage(image='ubuntu:22.04', _arch='x86_64')\nStage0 += openmpi()\n"
    )
    answer = ask(RELEASES[-1], recipe, tmp_path / "answer.json")
    assert answer.stages[0][1].kind == "text"
    assert facts_of(answer).components == {}
