"""The lock reader: three lockfile versions, real and synthetic locks."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from hpc3.facts import Dependency, External
from hpc3.sources.spack_lock import lock_from_bytes
from unit.conftest import Refused
from unit.locks import COUNTS, Edge, build, hash_of, lock_bytes, lock_document, make_lock, mpi, node


def names(lock: Any, *, runtime: bool = False) -> list[str]:
    return [c.name for c in lock.components.values() if c.runtime or not runtime]


def test_real_locks_have_the_nodes_that_spack_counts(environment: Path) -> None:
    lock = lock_from_bytes((environment / "spack.lock").read_bytes())
    counted = (len(lock.roots), len(lock.components), len(names(lock, runtime=True)))
    assert counted == COUNTS["/".join(environment.parts[-2:])]


def test_real_lock_is_identified_by_its_bytes(environment: Path) -> None:
    data = (environment / "spack.lock").read_bytes()
    lock = lock_from_bytes(data)
    assert lock.digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert lock.manager.version == environment.parent.name[1:]
    assert len(lock.manager.commit) == 40


def test_order_in_the_file_changes_nothing(environment: Path) -> None:
    document = json.loads((environment / "spack.lock").read_bytes())
    nodes = list(document["concrete_specs"].items())
    random.Random(7).shuffle(nodes)
    shuffled = lock_from_bytes(lock_bytes({**document, "concrete_specs": dict(nodes)}))
    lock = lock_from_bytes((environment / "spack.lock").read_bytes())
    assert list(shuffled.components.items()) == list(lock.components.items())
    assert shuffled.roots == lock.roots


@pytest.mark.parametrize("version", [4, 5, 6])
def test_every_lockfile_version_gives_the_same_closure(version: int) -> None:
    data = make_lock(
        node("app", "1.0", build("gcc", "c"), mpi("openmpi"), Edge("zlib", ("build", "link", "run"))),
        node("openmpi", "5.0.8", "zlib"),
        node("zlib", "1.3.1", build("gcc", "c")),
        node("gcc", "12.2.0", external="/usr"),
        node("unused", "1.0"),
        version=version,
    )
    lock = lock_from_bytes(data)
    assert lock.version == version
    assert names(lock) == ["app", "gcc", "openmpi", "zlib"]
    assert names(lock, runtime=True) == ["app", "openmpi", "zlib"]
    edge = next(e for e in lock.components[hash_of("app")].dependencies if e.id == hash_of("openmpi"))
    assert edge == Dependency(hash_of("openmpi"), ("build", "link"), () if version == 4 else ("mpi",))
    assert lock.components[hash_of("app")].compiler == ("" if version == 6 else "gcc@12.2.0")


def test_run_and_link_edges_reach_and_build_and_test_edges_do_not() -> None:
    lock = lock_from_bytes(
        make_lock(
            node("app", "1", Edge("a", ("link",)), Edge("b", ("run",)), Edge("c", ("build",)), Edge("d", ("test",))),
            node("a"), node("b"), node("c", "1", "e"), node("d"), node("e"),
        )
    )  # fmt: skip
    assert names(lock, runtime=True) == ["a", "app", "b"]
    assert names(lock) == ["a", "app", "b", "c", "d", "e"]


def test_fields_of_a_node() -> None:
    data = make_lock(
        node(
            "app",
            "git.v1.0=1.0",
            target={"name": "zen3", "vendor": "AuthenticAMD", "features": [], "generation": 0, "parents": ["zen2"]},
            variants={"mpi": True, "jobs": 4, "languages": ["c", "c++"], "patches": ["ignored"], "none": None},
            extra={"patches": ["a" * 64], "namespace": "site.tools"},
        )
    )
    component = lock_from_bytes(data).components[hash_of("app")]
    assert component.target == "zen3"
    assert component.version == "git.v1.0=1.0"
    assert component.variants == {"mpi": True, "jobs": 4, "languages": ("c", "c++"), "none": None}
    assert component.patches == ("a" * 64,)
    assert component.namespace == "site.tools"
    assert component.root
    assert component.runtime
    assert component.external is None


@pytest.mark.parametrize(
    "version",
    ["develop", "main", "git.0fabc3ba44823f257e70ce397d989c8de5e362c1=2.9.0", "3.1-20240808", "1.2+local", "9.9p1"],
)
def test_versions_need_not_be_numbers(version: str) -> None:
    assert lock_from_bytes(make_lock(node("app", version))).components[hash_of("app")].version == version


@pytest.mark.parametrize(
    ("module", "modules"), [(None, ()), ("openmpi/5", ("openmpi/5",)), (["a", "b"], ("a", "b")), ([], ())]
)
def test_external(module: object, modules: tuple[str, ...]) -> None:
    data = make_lock(node("app", extra={"external": {"path": "/opt/site", "module": module}}))
    assert lock_from_bytes(data).components[hash_of("app")].external == External("/opt/site", modules)


def test_external_by_module_alone_has_no_path() -> None:
    data = make_lock(node("app", extra={"external": {"path": None, "module": ["cray-mpich"]}}))
    assert lock_from_bytes(data).components[hash_of("app")].external == External("", ("cray-mpich",))


def test_spliced_node_is_what_it_was_spliced_to() -> None:
    """A splice keeps the spec that it was built from under ``build_spec``; what is installed is the node."""
    data = make_lock(
        node("app", "1.0", mpi("mpich"), extra={"build_spec": {"name": "app", "hash": hash_of("app-as-built")}}),
        node("app", "1.0", mpi("openmpi"), key="app-as-built"),
        node("mpich"),
        node("openmpi"),
    )
    assert names(lock_from_bytes(data)) == ["app", "mpich"]


def test_roots_of_included_environments_follow_however_deep() -> None:
    inner = lock_document(node("inner", "1.0", "shared"), node("shared"))
    middle = lock_document(node("middle"))
    outer = lock_document(node("outer", "1.0", "shared"), node("shared"))
    middle["include_concrete"] = {"/host/inner": {key: inner[key] for key in ("roots", "concrete_specs")}}
    outer["include_concrete"] = {
        "/host/b": {key: middle[key] for key in ("roots", "concrete_specs", "include_concrete")},
        "/host/a": {key: inner[key] for key in ("roots", "concrete_specs")},
    }
    lock = lock_from_bytes(lock_bytes(outer))
    assert [lock.components[root.id].name for root in lock.roots] == ["outer", "inner", "middle"]
    assert names(lock) == ["inner", "middle", "outer", "shared"]


def test_environment_that_only_includes_has_the_roots_of_what_it_includes() -> None:
    outer: dict[str, Any] = {**lock_document(node("x")), "roots": [], "concrete_specs": {}}
    inner = lock_document(node("inner"))
    outer["include_concrete"] = {"/host/inner": {key: inner[key] for key in ("roots", "concrete_specs")}}
    assert names(lock_from_bytes(lock_bytes(outer))) == ["inner"]


def test_root_that_is_listed_twice_is_one_root() -> None:
    lock = lock_from_bytes(make_lock(node("a"), node("b"), roots=["a", "b", "a"]))
    assert [root.id for root in lock.roots] == [hash_of("a"), hash_of("b")]


def test_two_nodes_of_one_name_are_two_components() -> None:
    lock = lock_from_bytes(
        make_lock(node("app", "1", "z1", "z2"), node("zlib", "1.3", key="z1"), node("zlib", "1.2", key="z2"))
    )
    assert [(c.name, c.version) for c in lock.components.values()] == [("app", "1"), ("zlib", "1.2"), ("zlib", "1.3")]


PICKS = make_lock(
    node("app", "1.0", "lib", key="app1"), node("app", "2.0", key="app2"), node("tool", "1"), node("lib"),
    roots=["app1", "app2", "tool"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("picks", "roots"),
    [
        (["tool"], ["tool"]),
        (["app"], ["app1", "app2"]),
        (["app@2.0"], ["app2"]),
        ([f"/{hash_of('app1')}"], ["app1"]),
        ([f"/{hash_of('tool')[:7]}"], ["tool"]),
        (["tool", "app@1.0", "tool"], ["app1", "tool"]),
        ([], ["app1", "app2", "tool"]),
    ],
)
def test_picked_roots(picks: list[str], roots: list[str]) -> None:
    lock = lock_from_bytes(PICKS, picks=picks)
    assert [root.id for root in lock.roots] == [hash_of(key) for key in roots]
    assert ("lib" in names(lock)) == ("app1" in roots)


@pytest.mark.parametrize("pick", ["lib", "app@3", "/", "", "/zzzzzzz", "app@", "APP", "app/1"])
def test_pick_that_is_no_root_names_the_roots(refused: Refused, pick: str) -> None:
    with refused("spack.lock", repr(pick), "app/", "tool/"):
        lock_from_bytes(PICKS, picks=[pick])


def test_reading_costs_no_recursion_however_deep_the_closure() -> None:
    chain = [node(f"n{i}", "1", f"n{i + 1}") for i in range(5000)]
    assert len(lock_from_bytes(make_lock(*chain, node("n5000"))).components) == 5001
