"""The same recipe with Spack 0.23.1: the older lock format, packages in Spack's own repository, install by Makefile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import peers
from images.engines import Engines

pytestmark = [pytest.mark.images, pytest.mark.spack]

ENVIRONMENT = peers.REPOSITORY / "tests" / "data" / "spack" / "v0.23.1" / "mpi-hello"
IMAGE = "localhost/older-mpi-hello"


@pytest.fixture(scope="module")
def image(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Engines:
    """Return the engines with the image built."""
    folder = tmp_path_factory.mktemp("older")
    shutil.copytree(ENVIRONMENT, folder, dirs_exist_ok=True)
    spack = peers.git_clone("https://github.com/spack/spack.git", "v0.23.1", "spack-v0.23.1")
    peers.ran("Spack 0.23.1 in an image")
    command = [sys.executable, "-m", "hpc3.cli", "containerize", str(folder), "-o", str(folder / "Dockerfile")]
    subprocess.run(command, check=True)
    cache = peers.cache_folder()
    engines.build(
        Path(folder), IMAGE, "--volume", f"{cache}:{cache}:ro",
        "--build-arg", f"SPACK_URL=file://{spack}", "--build-arg", "SPACK_REF=HEAD",
    )  # fmt: skip
    return engines


def test_program_runs(image: Engines) -> None:
    assert image.run(IMAGE, "mpi-hello").startswith("hello from 0 of 1")
    assert image.run(IMAGE, "bash", "-lc", "mpi-hello").startswith("hello from 0 of 1")


def test_labels_come_through_unchanged(image: Engines) -> None:
    labels = json.loads(image.podman("inspect", IMAGE).stdout)[0]["Config"]["Labels"]
    assert labels["org.example.quote"] == 'a "quoted" $HOME \\ value'
    assert labels["org.supercontainers.hardware.cpu.optimized.version"] == "x86_64_v2"


def test_binaries_keep_their_symbols_where_strip_is_off(image: Engines) -> None:
    assert image.run(IMAGE, "grep", "-c", "\\.symtab", "/opt/views/view/bin/mpi-hello").strip() == "1"
