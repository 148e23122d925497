"""The tables against Spack itself: every name and variant in them is one of Spack's, and none is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import peers
from hpc3.tables import rows

pytestmark = pytest.mark.spack

#: Packages that only Spack 0.23 has.
_OLD = {"intel-mpi", "intel-parallel-studio", "mvapich2-gdr", "mvapich2x"}


@pytest.fixture(scope="session")
def spack() -> Path:
    found = peers.git_clone("https://github.com/spack/spack.git", "v1.1.0", "spack-v1.1.0")
    peers.ran("Spack 1.1.0 (source)")
    return found


@pytest.fixture(scope="session")
def packages() -> Path:
    found = peers.git_clone("https://github.com/spack/spack-packages.git", "v2025.11.0", "spack-packages-v2025.11.0")
    peers.ran("spack-packages v2025.11.0 (source)")
    return found / "repos" / "spack_repo" / "builtin" / "packages"


@pytest.fixture(scope="session")
def old_packages() -> Path:
    found = peers.git_clone("https://github.com/spack/spack.git", "v0.23.1", "spack-v0.23.1")
    peers.ran("Spack 0.23.1 (source)")
    return found / "var" / "spack" / "repos" / "builtin" / "packages"


def _recipe(packages: Path, name: str) -> str:
    folder = f"_{name}" if name[0].isdigit() else name
    return (packages / folder.replace("-", "_") / "package.py").read_text("utf-8")


def _providers(packages: Path) -> set[str]:
    pattern = re.compile(r"""provides\(\s*["']mpi\b(?!-)""")
    found = {path.parent.name for path in packages.glob("*/package.py") if pattern.search(path.read_text("utf-8"))}
    return {name.replace("_", "-") for name in found}


def test_every_mpi_of_spack_is_known(packages: Path, old_packages: Path) -> None:
    known = {row["package"] for row in rows("mpi_packages") if row["manager"] == "spack"}
    assert known == _providers(packages) | _providers(old_packages)
    assert known - _providers(packages) == _OLD


@pytest.mark.parametrize("table", ["mpi_transports", "mpi_pmi"])
def test_variants_of_the_mpi_tables_exist(table: str, packages: Path) -> None:
    for row in rows(table):
        recipe = _recipe(packages, row["package"])
        if row["variant"]:
            assert re.search(rf"""variant\(\s*["']{row["variant"]}["']""", recipe), row
            assert row["value"] in ("true", "none") or re.search(rf"""["']{row["value"]}["']""", recipe), row


def test_defaults_are_those_of_the_packages(packages: Path) -> None:
    for row in rows("mpi_transports"):
        declared = re.search(
            rf"""variant\(\s*["']{row["variant"]}["'].*?\n    \)""", _recipe(packages, row["package"]), re.S
        )
        assert declared, row
        stated = re.search(r"""default=["']([^"']+)["']""", declared.group())
        # disjoint_sets() without a stated default: none
        assert row["is_default"] == (row["value"] == (stated.group(1) if stated else "none")), row


@pytest.mark.parametrize("table", ["gpu_runtimes", "fabric_packages", "external_packages", "thread_mpi"])
def test_packages_exist(table: str, packages: Path) -> None:
    for row in rows(table):
        if row.get("manager", "spack") == "spack":
            recipe = _recipe(packages, row["package"])
            assert not row.get("variant") or f'variant("{row["variant"]}"' in recipe or "CMakePackage" in recipe, row


def test_transports_of_ucx_are_variants(packages: Path) -> None:
    recipe = _recipe(packages, "ucx")
    for row in rows("ucx_transports"):
        for variant in (row["variant"], *row["needs"]):
            assert variant in ("", "cuda") or f'variant("{variant}"' in recipe, row
    assert "CudaPackage" in recipe


def test_driver_of_a_toolkit_is_not_newer_than_in_its_installer(packages: Path) -> None:
    installers = dict(re.findall(r"cuda_(\d+\.\d+)\.0_([\d.]+)_linux\.run", _recipe(packages, "cuda")))
    toolkits = {
        row["cuda"]: row["driver_min"]
        for row in rows("cuda_drivers")
        if row["kind"] == "toolkit" and row["platform"] == "linux-x86_64"
    }
    assert len(installers) > 10
    for version, driver in installers.items():
        named = [int(part) for part in toolkits[version].split(".")]
        assert named <= [int(part) for part in driver.split(".")], version


def test_images_of_spack_are_known_systems(spack: Path) -> None:
    document = json.loads((spack / "lib/spack/spack/container/images.json").read_text("utf-8"))
    known = {name for row in rows("operating_systems") for name in row["images"]}
    # CUDA's tag does not tell the system.
    assert {name for name in document["images"] if not name.startswith("nvidia/")} <= known
    aliases = {row["spack_alias"] for row in rows("package_managers")}
    assert set(document["os_package_managers"]) <= aliases
    managers = {name: row["package_manager"] for row in rows("operating_systems") for name in row["images"]}
    for name, image in document["images"].items():
        if name in managers:
            assert managers[name] == image["os_package_manager"], name


def test_release_of_the_packages_is_spack_s_own(spack: Path) -> None:
    text = (spack / "etc/spack/defaults/base/repos.yaml").read_text("utf-8")
    row = next(row for row in rows("spack_releases") if row["spack"] == "1.1")
    assert f"branch: {row['packages_branch']}" in text
