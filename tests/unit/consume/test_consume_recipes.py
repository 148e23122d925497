"""The verbs of consumers on what the recipes of this repository say: real software, concretized by real Spack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import peers
from hpc3.cli import main
from hpc3.consume.check import check_image
from hpc3.consume.export.compspec import compspec_artifact
from hpc3.consume.export.nfd import nfd_specification
from hpc3.consume.image import Image, image_from_json
from hpc3.consume.tweak.engines import ENGINES, configuration_for
from hpc3.consume.verdict import Verdict
from hpc3.fingerprint import HostFabric, Launcher
from hpc3.targets import features
from unit.consume.consumer_examples import A100, host, lumi_g

RECIPES = sorted(path.name for path in (peers.REPOSITORY / "recipes").iterdir() if (path / "spack.lock").is_file())


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Image:
    """What an image of a recipe states before it is built."""
    source, target = peers.REPOSITORY / "recipes" / request.param, tmp_path / "annotations.json"
    assert main(["annotations", str(source), "--format", "json", "--quiet", "-o", str(target)]) == 0
    return image_from_json(target.read_text("utf-8"), "recipe")


def test_recipes_are_found() -> None:
    assert len(RECIPES) >= 2


#: Which flavours of PMI a launcher must offer, by what the image's MPI is.
LAUNCHED_BY = {
    "openmpi": ((("pmi2",), Verdict.FAILS), (("pmi2", "pmix_v5"), Verdict.OK)),
    "mpich": ((("pmi2",), Verdict.OK),),
}


def test_the_mpi_of_the_recipes_is_launched_by_a_pmi_that_it_speaks(recipe: Image) -> None:
    for flavours, verdict in LAUNCHED_BY[recipe.value("mpi.implementation")]:
        report = check_image(recipe, host(launcher=Launcher("slurm", pmi=flavours)))
        assert report.facet("mpi")[0].verdict is verdict


def test_the_processor_of_the_recipes(recipe: Image) -> None:
    target = recipe.value("hardware.cpu.optimized.version")
    assert check_image(recipe, host(target)).facet("cpu")[0].verdict is Verdict.OK
    assert check_image(recipe, host("x86_64_v2")).facet("cpu")[0].verdict is Verdict.FAILS


def test_what_only_the_built_image_says_is_not_guessed(recipe: Image) -> None:
    assert check_image(recipe, host()).facet("libc")[0].verdict is Verdict.UNKNOWN


def test_every_engine_and_every_format_has_an_answer(recipe: Image) -> None:
    a100 = host(gpus=(A100,), fabrics=(HostFabric("mlx5", 2),))
    for engine in ENGINES:
        for on in (a100, lumi_g()):
            assert configuration_for(recipe, on, engine).command[-1] == "COMMAND"
    assert json.loads(compspec_artifact(recipe))["kind"] == "CompatibilitySpec"
    # archspec lists no flags for Arm's generic targets: of these, NFD can be told nothing.
    target = recipe.value("hardware.cpu.optimized.version")
    assert json.loads(nfd_specification(recipe))["compatibilities"][0]["rules"] or not features(target)
