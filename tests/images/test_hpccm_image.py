"""An image from a real recipe of HPCCM: its own text with our end, in a Debian base, by buildah and podman."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import peers
from images.engines import Engines

pytestmark = [pytest.mark.images, pytest.mark.hpccm]

IMAGE = "localhost/hpccm-mpitoy"
RECIPE = peers.REPOSITORY / "tests" / "data" / "hpccm" / "mpitoy.py"
SOURCE = peers.REPOSITORY / "tests" / "easybuild" / "sources" / "mpitoy-1.0.tar.gz"
SAYS = "rank 0 Open MPI v4.1.4"
AS_ROOT = ("--env", "OMPI_ALLOW_RUN_AS_ROOT=1", "--env", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")


def hpc3(*arguments: str) -> str:
    command = [sys.executable, "-m", "hpc3.cli", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the recipe's folder with the Dockerfile that hpc3 writes for it."""
    if importlib.util.find_spec("hpccm") is None:
        pytest.skip("HPCCM is not installed")
    folder = tmp_path_factory.mktemp("hpccm")
    shutil.copy(RECIPE, folder / "recipe.py")
    shutil.copy(SOURCE, folder)
    hpc3("containerize", str(folder / "recipe.py"), "-o", str(folder / "Dockerfile"))
    peers.ran("HPCCM")
    return folder


@pytest.fixture(scope="module")
def image(engines: Engines, context: Path) -> Engines:
    """Return the engines with the image built."""
    engines.build(context, IMAGE)
    return engines


def test_command_is_the_command(image: Engines) -> None:
    assert image.run(IMAGE, "mpitoy").startswith(SAYS)


def test_login_shell_where_nothing_is_asked_for(image: Engines) -> None:
    said = image.run(IMAGE, options=("--interactive",), stdin="shopt -q login_shell && mpitoy\n")
    assert said.startswith(SAYS)


def test_any_user_read_only_and_without_home(image: Engines) -> None:
    options = ("--user", "12345:54321", "--read-only", "--env", "HOME=")
    assert image.run(IMAGE, "bash", "-lc", "mpitoy", options=options).startswith(SAYS)


def test_two_ranks_by_the_launcher_inside(image: Engines) -> None:
    said = image.run(IMAGE, "mpirun", "-n", "2", "--oversubscribe", "mpitoy", options=AS_ROOT)
    assert {line[:6] for line in said.splitlines()} == {"rank 0", "rank 1"}


def test_environment_is_the_same_with_and_without_a_login_shell(image: Engines) -> None:
    script = "env | grep -E '^(PATH|MPITOY)' | sort"
    said = image.run(IMAGE, "bash", "-lc", script)
    assert said == image.run(IMAGE, "sh", "-c", script)
    assert 'MPITOY_GREETING=it"s me\n' in said


def test_config_keeps_the_contract(image: Engines) -> None:
    config = json.loads(image.podman("inspect", IMAGE).stdout)[0]["Config"]
    assert not config.get("Entrypoint")
    assert config["Cmd"] == ["/bin/bash", "-l"]
    assert config["WorkingDir"] == "/"
    assert config["User"] in ("", "0")


def test_labels_are_the_annotations(image: Engines, context: Path) -> None:
    labels = json.loads(image.podman("inspect", IMAGE).stdout)[0]["Config"]["Labels"]
    annotations = json.loads(hpc3("annotations", str(context / "recipe.py"), "--quiet"))
    ours = {name: value for name, value in labels.items() if name.startswith("org.supercontainers.")}
    assert ours["org.supercontainers.mpi.version"] == "4.1.4"
    assert ours == {name: annotations[name] for name in ours}


def test_image_carries_the_recipe_and_its_documents(image: Engines, context: Path) -> None:
    recipe = context / "recipe.py"
    assert image.run(IMAGE, "cat", "/usr/share/hpc3/recipe.py") == recipe.read_text("utf-8")
    assert image.run(IMAGE, "cat", "/usr/share/hpc3/sbom.cdx.json") == hpc3("sbom", str(recipe))
    assert image.run(IMAGE, "cat", "/usr/share/hpc3/annotations.json") == hpc3("annotations", str(recipe), "--quiet")


def test_image_is_what_its_annotations_say(image: Engines, context: Path, tmp_path: Path) -> None:
    layout = f"oci:{tmp_path / 'layout'}:mpitoy"
    image.buildah("push", "-q", IMAGE, layout)
    hpc3("apply", layout, "--from", str(context / "recipe.py"))
    assert "0 errors" in hpc3("validate", "--strict", layout)
    said = hpc3("verify", layout)
    assert "contradicts" not in said
    for stated in ("mpi.version = 4.1.4", "mpi.abi.version = 40", "mpi.pmi = pmix_v4"):
        assert f"agrees      org.supercontainers.{stated}" in said
