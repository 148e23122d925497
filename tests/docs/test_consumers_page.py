"""Every command of ``docs/consumers.md`` works, in its order, and says what the page says it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import peers

PAGE = peers.REPOSITORY / "docs/consumers.md"


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which all commands ran, and what they printed."""
    folder = tmp_path_factory.mktemp("page")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_DATA_HOME": str(folder / "data"),
    }
    printed = []
    for block in blocks():
        done = subprocess.run(
            ["bash", "-eu", "-c", block], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        printed.append(done.stdout + done.stderr)
    return folder, "\n".join(printed)


def test_the_user_is_told_which_image_and_why(said: tuple[Path, str]) -> None:
    _, printed = said
    assert "take registry.example/gromacs@sha256:" + f"{1:064x}" in printed
    assert "GPU: no GPU code, the first has uses the GPU" in printed
    assert "every rank believes to be rank 0 of 1" in printed
    assert "exit code 20" in printed
    assert "apptainer exec --rocm docker://registry.example/gromacs:rocm-zen3 COMMAND" in printed


def test_the_administrator_gets_files(said: tuple[Path, str]) -> None:
    folder, printed = said
    assert "gpus.driver: most have 6.0.3; n2.json has 6.2.0" in printed
    assert (folder / "root/etc/containers/oci/hooks.d/50-hpc3-mpi.json").is_file()
    assert "+++" in printed
    assert (folder / "website/index.html").is_file()
    assert (folder / "motd.d/hpc3").read_text("utf-8").startswith("standard-g · zen3 · 8x MI250X gfx90a · cxi")


def test_the_task_prolog_says_it_once_and_never_stops_a_task(said: tuple[Path, str]) -> None:
    folder, printed = said
    assert "print hpc3: FAILS - will not run here: The image speaks pmix" in printed
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for rank, image in (("1", "openmpi.json"), ("0", "nowhere.json"), ("0", "")):
        changed = {"SLURM_PROCID": rank, "PYXIS_CONTAINER_IMAGE": image, "HPC3_HOST": "lumi-g.json"}
        done = subprocess.run(
            ["sh", "task_prolog.sh"], cwd=folder, env={**environment, **changed}, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, b"")


def test_the_packager_gets_a_matrix(said: tuple[Path, str]) -> None:
    folder, _ = said
    suites = ElementTree.parse(folder / "verdicts.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["gromacs 2025.3 on lumi-g", "gromacs 2025.3 on standard-g"]
    for name in ("compspec.json", "nfd.yaml", "image.cdx.json", "statement.json"):
        assert (folder / name).stat().st_size > 100


def test_the_filter_for_slurm_is_lua(tmp_path: Path) -> None:
    (script,) = re.findall(r"^```lua\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "cli_filter.lua").write_text(script)
    peers.need_program("luac", "-v")
    done = subprocess.run(["luac", "-p", "cli_filter.lua"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
