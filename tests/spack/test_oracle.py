"""hpc3's facts against the answers of the real Spack's own API, for every lock that this Spack can read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import peers
from spack_peer import Spack

pytestmark = pytest.mark.spack

#: Asked inside Spack: folders of environments to what Spack says of each, without hpc3.
QUESTIONS = """
import json, sys
import spack.deptypes as dt, spack.environment, spack.repo, spack.traverse

def compiler_of(spec):
    for language in ("c", "cxx", "fortran"):
        for edge in spec.edges_to_dependencies(depflag=dt.BUILD):
            if language in edge.virtuals:
                return f"{edge.spec.name}@{edge.spec.version}"
    compiler = getattr(spec, "compiler", None)  # up to 0.23
    return f"{compiler.name}@{compiler.version}" if compiler else None

def union(specs, variant):
    found = set()
    for spec in specs:
        if variant in spec.variants:
            value = spec.variants[variant].value
            found.update([value] if isinstance(value, str) else value)
    return sorted(found - {"none"})

def providers(specs, virtual, flag):
    return {edge.spec for spec in specs for edge in spec.edges_to_dependencies()
            if virtual in edge.virtuals and edge.depflag & flag}

def licences(spec):
    try:
        stated = getattr(spack.repo.PATH.get_pkg_class(spec.fullname), "licenses", {})
    except spack.repo.UnknownPackageError:  # a lock of a newer Spack
        stated = {}
    return sorted(text for when, text in stated.items() if spec.satisfies(when))

def answer(folder):
    environment = spack.environment.Environment(folder)
    with environment:
        roots = [root for _, root in environment.concretized_specs()]
        by_hash = spack.traverse.by_dag_hash
        everything = list(spack.traverse.traverse_nodes(roots, key=by_hash))
        runtime = list(spack.traverse.traverse_nodes(roots, deptype=("link", "run"), key=by_hash))
        built = [spec for spec in runtime if not spec.external]
        return {
            "spack": spack.spack_version,
            "roots": sorted(root.dag_hash() for root in roots),
            "all": sorted(spec.dag_hash() for spec in everything),
            "runtime": sorted(spec.dag_hash() for spec in runtime),
            "external": sorted(spec.dag_hash() for spec in runtime if spec.external),
            "targets": sorted({spec.target.name for spec in built}),
            "features": {spec.target.name: sorted(spec.target.features) for spec in built},
            "family": built[0].target.family.name,
            "mpi": sorted(spec.dag_hash() for spec in providers(runtime, "mpi", dt.LINK | dt.RUN)),
            "libc": sorted({f"{spec.name}@{spec.version}" for spec in providers(runtime, "libc", dt.ALL)}),
            "compilers": sorted({compiler_of(root) for root in roots} - {None}),
            "systems": sorted({str(spec.architecture.os) for spec in runtime}),
            "cuda": sorted({str(spec.version) for spec in runtime if spec.name == "cuda"}),
            "architectures": sorted(f"sm_{arch}" for arch in union(built, "cuda_arch")) + union(built, "amdgpu_target"),
            "licences": {spec.dag_hash(): licences(spec) for spec in runtime},
        }

print(json.dumps({folder: answer(folder) for folder in sys.argv[1:]}))
"""


def lock_folders(spack: Spack) -> dict[str, Path]:
    """Return the environments that were made by Spacks of the same kind, by a name to show."""
    version = "v1.1.0" if spack.has_packages_repository else "v0.23.1"
    folders = [peers.REPOSITORY / "tests" / "data" / "spack" / version, peers.SHARED / "data" / "spack" / version]
    if spack.has_packages_repository:
        folders.append(peers.REPOSITORY / "recipes")
    return {f"{folder.name}/{lock.parent.name}": lock.parent
            for folder in folders for lock in sorted(folder.glob("*/spack.lock"))}  # fmt: skip


@pytest.fixture(scope="session")
def answers(any_spack: Spack, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Mapping[str, Any]]:
    """Return what Spack says of each environment, by a copy of its folder."""
    home = tmp_path_factory.mktemp("oracle")
    copies = {}
    for name, folder in lock_folders(any_spack).items():
        copy = home / name.replace("/", "-")
        shutil.copytree(folder, copy, copy_function=shutil.copyfile)
        copies[str(copy)] = copy
    # Up to 0.23 a process knows the package repositories of the first environment that it sees, and no others.
    batches = [list(copies)] if any_spack.has_packages_repository else [[folder] for folder in copies]
    found: dict[Path, Mapping[str, Any]] = {}
    for batch in batches:
        answer = any_spack.ask(QUESTIONS, *batch)
        assert isinstance(answer, dict)
        found.update({copies[folder]: says for folder, says in answer.items()})
    return found


def facts_of(folder: Path, *arguments: str) -> dict[str, Any]:
    """Return what hpc3 prints for an environment without Spack, its components by hash."""
    command = [sys.executable, "-m", "hpc3.cli", "facts", str(folder), "--quiet", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return by_hash(result.stdout)


def by_hash(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return {**document, "components": {component["id"]: component for component in document["components"]}}


def test_there_are_locks(any_spack: Spack) -> None:
    assert len(lock_folders(any_spack)) >= 2
    if not (peers.SHARED / "data" / "spack").is_dir():
        pytest.skip("the larger locks are not beside the checkout: the committed ones are compared")


def test_facts_are_spacks_own(answers: dict[Path, Mapping[str, Any]]) -> None:
    for folder, spack_says in answers.items():
        if len(spack_says["mpi"]) <= 1:  # two are an error without --root: the test below
            compare(facts_of(folder), spack_says, folder.name)


def compare(facts: Mapping[str, Any], spack_says: Mapping[str, Any], name: str) -> None:
    components = facts["components"]
    runtime = {id_: component for id_, component in components.items() if component.get("runtime")}
    assert sorted(components) == spack_says["all"], name
    assert sorted(runtime) == spack_says["runtime"], name
    assert sorted(id_ for id_, component in components.items() if component.get("root")) == spack_says["roots"], name
    assert sorted(id_ for id_, component in runtime.items() if "external" in component) == spack_says["external"], name
    assert {component["os"] for component in runtime.values()} == set(spack_says["systems"]), name
    target = facts["target"]["value"]
    assert {c["target"] for c in runtime.values() if "external" not in c} == set(spack_says["targets"]), name
    assert target["family"] == spack_says["family"], name
    # Generic targets have none in a lock; archspec's table changes from one Spack to the next.
    if "features" in target and facts["manager"]["version"] == spack_says["spack"]:
        assert target["features"] == spack_says["features"][target["name"]], name
    compare_mpi(facts["mpi"]["value"], spack_says["mpi"], components, name)
    gpu = facts["gpu"]["value"]
    assert gpu.get("architectures", []) == spack_says["architectures"], name
    assert gpu.get("cuda", "") == "".join(spack_says["cuda"]), name
    assert spelled(facts["compiler"]) == spack_says["compilers"], name
    assert spelled(facts["libc"]) == spack_says["libc"], name


def spelled(fact: Mapping[str, Any]) -> list[str]:
    """Return a fact with a name and a version as Spack spells it; nothing for one that is not known."""
    return [f"{fact['value']['name']}@{fact['value']['version']}"] if "value" in fact else []


def compare_mpi(mpi: Mapping[str, Any], providers: list[str], components: Mapping[str, Any], name: str) -> None:
    if not providers:
        assert mpi["implementation"] in ("none", "threadmpi"), name
        return
    provider = components[providers[0]]
    assert mpi["version"] == provider["version"], name
    assert mpi.get("external", False) == ("external" in provider), name
    assert mpi["implementation"] == provider["name"], name


def test_two_mpis_are_told_apart_by_root(any_spack: Spack, answers: dict[Path, Mapping[str, Any]]) -> None:
    several = {folder: says for folder, says in answers.items() if len(says["mpi"]) > 1}
    if not several:
        pytest.skip(f"no lock with two MPIs of a Spack like {any_spack.version} is beside the checkout")
    for folder, spack_says in several.items():
        found = {facts_of(folder, "--root", f"/{root}")["mpi"]["value"]["implementation"]
                 for root in spack_says["roots"]}  # fmt: skip
        assert len(found - {"none"}) == len(spack_says["mpi"])


def test_licences_are_spacks_own(spack: Spack, answers: dict[Path, Mapping[str, Any]]) -> None:
    """A package states one licence for a version: ours is that, or says that SPDX does not have it."""
    compared = 0
    for folder, spack_says in answers.items():
        result = spack.run("hpc3", "facts", str(folder), "--root", f"/{spack_says['roots'][0]}", "--quiet")
        assert result.returncode == 0, result.stderr
        components = by_hash(result.stdout)["components"]
        for id_ in components.keys() & spack_says["licences"].keys():
            texts = spack_says["licences"][id_]
            ours = components[id_].get("metadata", {}).get("license", "")
            if len(texts) == 1:
                same = ours.lower() == texts[0].lower().replace("( ", "(").replace(" )", ")")
                assert same or "LicenseRef-Spack-" in ours, id_
                compared += 1
            elif not texts:
                assert ours == "", id_
    assert compared >= 3
