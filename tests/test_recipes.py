"""Every folder of ``recipes/`` holds an input and what it must give; here it is made anew and compared."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import peers

RECIPES = peers.REPOSITORY / "recipes"

#: What a recipe is made from: a lock of Spack, what EasyBuild's hooks recorded, or a recipe of HPCCM.
INPUTS = ("spack.lock", "record.json", "recipe.py")
SOURCES = sorted(path for name in INPUTS for path in RECIPES.glob(f"*/{name}"))

#: What each file of a recipe is printed by.
PRODUCTS = {
    "Dockerfile": ("containerize",),
    "annotations.json": ("annotations",),
    "sbom.cdx.json": ("sbom",),
    "sbom.spdx.json": ("sbom", "--format", "spdx"),
}

of_each_recipe = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.name)


def hpc3(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hpc3.cli", *arguments], capture_output=True, text=True, check=False)


def stated_by(folder: Path) -> dict[str, str]:
    """Return the annotations of a recipe, without our prefix."""
    annotations = json.loads((folder / "annotations.json").read_text("utf-8"))
    return {key.replace("org.supercontainers.", ""): value for key, value in annotations.items()}


def need_release(source: Path, *, rerecord: bool = False) -> None:
    """Skip where HPCCM, which its recipes need, is not there, or is another release than the recipe was made by."""
    if source.name != "recipe.py":
        return
    if importlib.util.find_spec("hpccm") is None:
        pytest.skip("HPCCM is not installed")
    here, then = importlib.metadata.version("hpccm"), stated_by(source.parent)["software.manager.version"]
    if here != then and not rerecord:
        pytest.skip(f"HPCCM {here} is installed, and {then} wrote the recipe")


def test_every_folder_has_one_input() -> None:
    assert [source.parent for source in SOURCES] == sorted(path for path in RECIPES.iterdir() if path.is_dir())


@pytest.mark.parametrize("product", PRODUCTS)
@of_each_recipe
def test_product_is_up_to_date(source: Path, product: str, rerecord: bool) -> None:
    need_release(source, rerecord=rerecord)
    result = hpc3(*PRODUCTS[product], str(source), "--quiet")
    assert result.returncode == 0, result.stderr
    path = source.with_name(product)
    if rerecord:
        path.write_text(result.stdout, "utf-8")
    assert path.read_text("utf-8") == result.stdout, "make it anew with: pytest --rerecord"


@of_each_recipe
def test_check_agrees(source: Path) -> None:
    need_release(source)
    result = hpc3("containerize", str(source), "--quiet", "--check", str(source.with_name("Dockerfile")))
    assert result.returncode == 0, result.stdout


@of_each_recipe
def test_linters_pass(source: Path) -> None:
    peers.need_program("hadolint")
    command = ["hadolint", str(source.with_name("Dockerfile"))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@of_each_recipe
def test_readme_is_short(source: Path) -> None:
    assert len(source.with_name("README.md").read_text("utf-8").splitlines()) <= 12


@of_each_recipe
def test_recipe_keeps_the_contract(source: Path) -> None:
    result = hpc3("validate", "--strict", str(source.with_name("Dockerfile")))
    assert result.returncode == 0, result.stdout


def index_row(folder: Path) -> str:
    """Return a recipe's row of the index: its README's title, and what its annotations state."""
    title = (folder / "README.md").read_text("utf-8").splitlines()[0]
    stated = stated_by(folder)
    cells = [
        f"[{folder.name}]({folder.name}/README.md)",
        title.removeprefix("# "),
        stated["hardware.cpu.optimized.version"],
        stated.get("hardware.gpu.architecture", stated["hardware.gpu.vendor"]),
        f"{stated['mpi.implementation']} {stated['mpi.version']}",
        f"{stated['software.manager.name']} {stated['software.manager.version']}",
    ]
    return f"| {' | '.join(cells)} |\n"


def test_index_lists_the_recipes(rerecord: bool) -> None:
    index = RECIPES / "README.md"
    head, ruler, _ = index.read_text("utf-8").partition("|---|---|---|---|---|---|\n")
    text = head + ruler + "".join(index_row(source.parent) for source in SOURCES)
    if rerecord:
        index.write_text(text, "utf-8")
    assert index.read_text("utf-8") == text, "make it anew with: pytest --rerecord"
