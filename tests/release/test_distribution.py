"""Wheel and source archive: the same bytes for whoever builds them, all that a distributor needs, and they install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import peers
from hpc3 import __version__

#: What only this repository's own CI needs.
LEFT_OUT = (".ci/", ".github/")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what git tracks."""
    folder = tmp_path_factory.mktemp("a-clone")
    for name in peers.tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(peers.REPOSITORY / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def distributions(clone: Path) -> tuple[Path, Path]:
    """Return a wheel and a source archive."""
    return built(clone, clone / "dist")


def built(folder: Path, output: Path, umask: int = 0o022) -> tuple[Path, Path]:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(output)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.umask(umask),
    )
    assert done.returncode == 0, done.stderr
    (wheel,), (archive,) = output.glob("*.whl"), output.glob("*.tar.gz")
    return wheel, archive


def test_anybody_builds_the_same_bytes(clone: Path, distributions: tuple[Path, Path], tmp_path: Path) -> None:
    """Elsewhere, at another time, by a user with another mask."""
    other = tmp_path / "deeper" / "elsewhere"
    shutil.copytree(clone, other, ignore=shutil.ignore_patterns("dist"))
    for path in (*other.rglob("*"), other):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() or os.access(path, os.X_OK) else 0o600)
    again = built(other, tmp_path / "dist", umask=0o077)
    assert [path.name for path in again] == [path.name for path in distributions]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in distributions]


def test_the_source_archive_holds_all_that_a_distributor_needs(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {name for name in peers.tracked_files() if not name.startswith(LEFT_OUT)}
    assert held == {*tracked, "PKG-INFO"}


def test_a_wheel_of_the_source_archive_is_the_wheel(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(distributions[1]) as archive:
        archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    assert built(source, tmp_path / "dist")[0].read_bytes() == distributions[0].read_bytes()


def test_there_is_one_version(distributions: tuple[Path, Path]) -> None:
    assert distributions[0].name == f"hpc3-{__version__}-py3-none-any.whl"


def test_manual_and_completions_lie_where_systems_look(distributions: tuple[Path, Path]) -> None:
    prefix = f"hpc3-{__version__}.data/data/"
    names = zipfile.ZipFile(distributions[0]).namelist()
    assert sorted(name[len(prefix) :] for name in names if name.startswith(prefix)) == [
        "share/bash-completion/completions/hpc3",
        "share/fish/vendor_completions.d/hpc3.fish",
        "share/man/man1/hpc3.1",
        "share/zsh/site-functions/_hpc3",
    ]


def test_pipx_runs_the_wheel(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipx", "run", "--spec", str(distributions[0]), "hpc3", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_DEFAULT_BACKEND": "pip"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: hpc3 VERB")
