"""Packages of the operating system: externals of the lock, and how they are installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hpc3.errors import UsageError
from hpc3.facts import Facts
from hpc3.recipe.os_packages import StagePackages, install_step, map_externals, package_manager_for, prerequisites
from hpc3.recipe.plan import Run
from hpc3.recipe.shell import run_lines
from hpc3.request import OsPackages
from hpc3.tables import Row, rows
from unit.conftest import Refused
from unit.locks import Node, build, node
from unit.sources.test_spack_facts import facts

MANAGERS = {row["name"]: row for row in rows("package_managers")}


def with_external(*externals: Node) -> Facts:
    return facts(node("app", "1", *(external.name for external in externals)), *externals)


def test_nothing_external() -> None:
    assert map_externals(facts(node("app")), "debian", {}) == StagePackages((), ())


def test_libc_is_the_base_images_own() -> None:
    assert map_externals(with_external(node("glibc", "2.36", external="/usr")), "debian", {}) == StagePackages((), ())


def test_external_of_the_runtime_closure_goes_to_both_stages() -> None:
    row = next(r for r in rows("external_packages") if (r["package"], r["family"]) == ("openmpi", "debian"))
    found = map_externals(with_external(node("openmpi", "4.1.4", external="/usr")), "debian", {})
    assert set(found.build) == set(row["build"])
    assert set(found.final) == set(row["final"])
    assert found.final


def test_build_only_external_stays_in_the_build_stage() -> None:
    found = map_externals(facts(node("app", "1", build("gmake")), node("gmake", external="/usr")), "debian", {})
    assert found == StagePackages(("make",), ())


def test_build_only_external_that_runs_too_stays_out_of_the_final_stage() -> None:
    found = map_externals(facts(node("app", "1", build("openmpi")), node("openmpi", external="/usr")), "debian", {})
    assert found.build
    assert found.final == ()


@pytest.mark.parametrize("path", ["/usr", "/usr/", "/", "/bin", "/usr/bin"])
def test_prefixes_of_the_system(path: str) -> None:
    assert map_externals(with_external(node("openmpi", external=path)), "debian", {}).final


@pytest.mark.parametrize("path", ["/opt/site/openmpi", "/usr/local", "/home/me/usr"])
def test_software_of_a_site_is_no_package_of_the_system(path: str, refused: Refused) -> None:
    with refused("spack.lock", f"openmpi@5.0.6 ({path})", "--external openmpi="):
        map_externals(with_external(node("openmpi", "5.0.6", external=path)), "debian", {})


def test_all_that_are_not_mapped_are_named(refused: Refused) -> None:
    with refused("aa@1 (/opt/a), bb@2 (/opt/b)", "--external aa="):
        map_externals(
            with_external(node("aa", "1", external="/opt/a"), node("bb", "2", external="/opt/b")), "debian", {}
        )


@pytest.mark.parametrize("family", ["rhel", "suse", "alpine", ""])
def test_package_that_the_table_does_not_have_for_the_family(family: str, refused: Refused) -> None:
    if family == "rhel":
        assert map_externals(with_external(node("openmpi", external="/usr")), family, {}).final
    else:
        with refused("openmpi"):
            map_externals(with_external(node("openmpi", external="/usr")), family, {})


def test_given_packages_win() -> None:
    found = map_externals(with_external(node("openmpi", external="/usr")), "debian", {"openmpi": ("b", "a")})
    assert found == StagePackages(("a", "b"), ("a", "b"))


def test_given_as_nothing_means_that_the_base_image_has_it() -> None:
    found = map_externals(with_external(node("openmpi", external="/opt/x")), "debian", {"openmpi": ()})
    assert found == StagePackages((), ())


def test_given_external_that_the_lock_does_not_have() -> None:
    with pytest.raises(UsageError, match=r"--external opnmpi: .* no external .* openmpi"):
        map_externals(with_external(node("openmpi", external="/usr")), "debian", {"opnmpi": ("a",)})


@pytest.mark.parametrize("command", ["apt", "yum", "zypper", "apk", "yum_amazon", "dnf", "dnf_epel"])
def test_package_manager_that_was_asked_for(command: str) -> None:
    assert package_manager_for(OsPackages(command=command), None)["spack_alias"] == command


@pytest.mark.parametrize("row", rows("operating_systems"), ids=lambda row: row["os"])
def test_package_manager_of_the_system(row: Row) -> None:
    assert package_manager_for(OsPackages(), row)["name"] == row["package_manager"]


def test_no_package_manager(refused: Refused) -> None:
    with refused("spack.yaml: spack.container.os_packages", "os_packages:command"):
        package_manager_for(OsPackages(), None)


def script(manager: str, *packages: str, update: bool = True) -> str:
    step = install_step("x", MANAGERS[manager], packages, update=update)
    assert isinstance(step, Run)
    return " && ".join(run_lines(step))


def test_nothing_to_install() -> None:
    assert install_step("x", MANAGERS["apt"], (), update=True) is None


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Return a folder with every package manager as a script that prints how it was called."""
    for row in MANAGERS.values():
        for command in (*row["update"], row["install"], *row["clean"]):
            path = tmp_path / Path(command[0]).name
            path.write_text('#!/bin/sh\nprintf "%s|" "$(basename "$0")" "$@"; echo\n')
            path.chmod(0o755)
    return tmp_path


def called(commands: Path, text: str, **environment: str) -> list[list[str]]:
    """Return the commands that a script calls."""
    env = {"PATH": f"{commands}:/usr/bin:/bin", **environment}
    out = subprocess.run(["/bin/sh", "-eu", "-c", text], capture_output=True, text=True, env=env, check=True).stdout
    return [line.split("|")[:-1] for line in out.splitlines()]


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.parametrize("update", [True, False])
def test_install_without_a_mirror(commands: Path, manager: str, update: bool) -> None:
    row = MANAGERS[manager]
    found = called(commands, script(manager, "b", "a", "b", update=update), OS_PACKAGE_MIRROR="")
    wanted = [*(row["update"] if update else ()), [*row["install"], "a", "b"], *row["clean"]]
    assert [command[0] for command in found] == [command[0] for command in wanted]
    assert found[len(row["update"]) if update else 0] == [*row["install"], "a", "b"]


@pytest.mark.parametrize("manager", sorted(name for name, row in MANAGERS.items() if row["mirror"]["options"]))
def test_mirror_reaches_the_install(commands: Path, manager: str) -> None:
    url = "http://mirror.site/a b"
    found = called(commands, script(manager, "a"), OS_PACKAGE_MIRROR=url)
    install = next(command for command in found if command[-1] == "a" and command[0] == MANAGERS[manager]["install"][0])
    options = [option for option in install[1:] if option not in MANAGERS[manager]["install"]]
    assert len([option for option in options if option != "a"]) == len(MANAGERS[manager]["mirror"]["options"])
    if manager != "apt":  # apt gets a file that names it
        assert any(url in option for option in options)


def test_package_names_are_words(commands: Path) -> None:
    found = called(commands, script("apk", "a$(id)", "b;c", "d*"), OS_PACKAGE_MIRROR="")
    assert found[0][-3:] == ["a$(id)", "b;c", "d*"]


def test_prerequisites() -> None:
    families = {row["family"] for row in rows("operating_systems")}
    for family in families:
        assert "git" in prerequisites(family, ["spack"])
        assert "gcc" in prerequisites(family, ["compilers"])
        assert "gcc" not in prerequisites(family, ["spack"])
    assert prerequisites("", ["spack"]) == ()
