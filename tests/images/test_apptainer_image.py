"""An image from a generated definition file, built and started step by step as Apptainer does it."""

from __future__ import annotations

import shutil

import pytest

import peers
from hpc3.annotations import annotations_for
from hpc3.containerize import RecipeOptions, recipe_from_source
from hpc3.sources import read_source
from images.definition_builder import EXEC, RUN, build_definition
from images.engines import Engines

pytestmark = [pytest.mark.images, pytest.mark.spack]

ENVIRONMENT = peers.REPOSITORY / "tests" / "data" / "spack" / "v1.1.0" / "mpi-hello"
IMAGE = "localhost/mpi-hello-apptainer"


@pytest.fixture(scope="module")
def labels(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the labels of the image, once it is built."""
    spack = peers.git_clone("https://github.com/spack/spack.git", "v1.1.0", "spack-v1.1.0")
    packages = peers.git_clone("https://github.com/spack/spack-packages.git", "v2025.11.0", "spack-packages-v2025.11.0")
    folder = tmp_path_factory.mktemp("mpi-hello")
    shutil.copytree(ENVIRONMENT, folder, dirs_exist_ok=True)
    text = recipe_from_source(read_source(folder), RecipeOptions(format="apptainer")).text
    arguments = {
        "SPACK_URL": f"file://{spack}",
        "SPACK_PACKAGES_URL": f"file://{packages}",
        "SPACK_PACKAGES_REF": "HEAD",
    }
    peers.ran("Spack 1.1.0 by an Apptainer definition")
    cache = peers.cache_folder()
    return build_definition(engines, text, folder, IMAGE, arguments, ("--volume", f"{cache}:{cache}:ro"))


def test_labels_are_ours_not_those_of_the_base(labels: dict[str, str]) -> None:
    assert labels == annotations_for(read_source(ENVIRONMENT).facts).labels()


def test_command_is_the_command(engines: Engines, labels: dict[str, str]) -> None:
    assert engines.run(IMAGE, *RUN, "mpi-hello").startswith("hello from 0 of 1")
    assert engines.run(IMAGE, *EXEC, "mpi-hello").startswith("hello from 0 of 1")


def test_arguments_stay_intact(engines: Engines, labels: dict[str, str]) -> None:
    assert engines.run(IMAGE, *RUN, "printf", "<%s>", "a b", "", "$HOME", "*") == "<a b><><$HOME><*>"


def test_login_shell_where_nothing_is_asked_for(engines: Engines, labels: dict[str, str]) -> None:
    script = "shopt -q login_shell && echo login\nmpi-hello\n"
    output = engines.run(IMAGE, *RUN, options=("--interactive",), stdin=script)
    assert output.startswith("login\nhello from 0 of 1")


def test_image_carries_its_documents(engines: Engines, labels: dict[str, str]) -> None:
    listed = engines.run(IMAGE, "ls", "/usr/share/hpc3", "/opt/spack-environment").split()
    assert {"annotations.json", "sbom.cdx.json", "spack.yaml", "spack.lock"} <= set(listed)
    assert "spack" not in engines.run(IMAGE, "ls", "/opt").split()
