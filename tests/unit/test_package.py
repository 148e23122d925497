"""The wheel: what it holds, and that nothing else lands at the top of site-packages."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import peers


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(peers.REPOSITORY)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return zipfile.ZipFile(next(folder.glob("hpc3-*.whl"))).namelist()


def test_top_level_is_three_packages(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names if not name.startswith("hpc3-")}
    assert tops == {"hpc3", "hpc3_spack", "hpc3_easybuild"}


def test_everything_that_git_tracks_is_there(names: list[str]) -> None:
    tracked = peers.tracked_files("shared", "spack_ext", "easybuild_hooks")
    assert {str(Path(*Path(name).parts[1:])) for name in tracked} <= set(names)
