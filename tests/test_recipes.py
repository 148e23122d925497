"""Every folder of ``recipes/`` holds an input and what it must give; here it is made anew and compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import peers

RECIPES = sorted(path.parent for path in (peers.REPOSITORY / "recipes").glob("*/spack.lock"))

#: What each file of a recipe is printed by.
PRODUCTS = {
    "Dockerfile": ("containerize",),
    "annotations.json": ("annotations",),
    "sbom.cdx.json": ("sbom",),
    "sbom.spdx.json": ("sbom", "--format", "spdx"),
}


def hpc3(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hpc3.cli", *arguments], capture_output=True, text=True, check=False)


def test_there_are_recipes() -> None:
    assert {"gromacs-zen3", "pytorch-cuda"} <= {recipe.name for recipe in RECIPES}


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_product_is_up_to_date(recipe: Path, product: str, rerecord: bool) -> None:
    result = hpc3(*PRODUCTS[product], str(recipe), "--quiet")
    assert result.returncode == 0, result.stderr
    if rerecord:
        (recipe / product).write_text(result.stdout, "utf-8")
    assert (recipe / product).read_text("utf-8") == result.stdout, "make it anew with: pytest --rerecord"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_check_agrees(recipe: Path) -> None:
    assert hpc3("containerize", str(recipe), "--quiet", "--check", str(recipe / "Dockerfile")).returncode == 0


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_linters_pass(recipe: Path) -> None:
    peers.need_program("hadolint")
    result = subprocess.run(["hadolint", str(recipe / "Dockerfile")], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_readme_is_short(recipe: Path) -> None:
    assert len((recipe / "README.md").read_text("utf-8").splitlines()) <= 12


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_recipe_keeps_the_contract(recipe: Path) -> None:
    result = hpc3("validate", "--strict", str(recipe / "Dockerfile"))
    assert result.returncode == 0, result.stdout
