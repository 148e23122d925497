"""What a lock decides about software, target, compiler, libc and system, and what it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hpc3.facts import Compiler, CpuTarget, Facts, Known, Libc, OperatingSystem, PackageMetadata, Software, Unknown
from hpc3.sources.spack_facts import facts_from_lock
from hpc3.sources.spack_lock import lock_from_bytes
from hpc3.sources.spack_metadata import SpackMetadata
from unit.conftest import Refused
from unit.locks import Edge, Node, build, environment_folder, hash_of, make_lock, mpi, node


def facts(*nodes: Node, picks: Sequence[str] = (), **options: Any) -> Facts:
    return facts_from_lock(lock_from_bytes(make_lock(*nodes, **options), picks=picks))


def value(fact: Any) -> Any:
    assert isinstance(fact, Known), fact
    assert fact.evidence
    return fact.value


def reason(fact: Any) -> str:
    assert isinstance(fact, Unknown), fact
    return fact.reason


LIBC = Edge("glibc", ("link",), ("libc",))


def test_every_known_fact_names_nodes_of_the_lock(environment: Path) -> None:
    lock = lock_from_bytes((environment / "spack.lock").read_bytes(), picks=picks_of(environment))
    found = facts_from_lock(lock)
    for fact in (found.software, found.target, found.mpi, found.fabric, found.gpu, found.compiler, found.libc):
        if isinstance(fact, Known):
            assert fact.evidence
            assert all(e.document == "spack.lock" and e.node in {"", *found.components} for e in fact.evidence)
            assert all(e.node or e.field for e in fact.evidence)


def picks_of(environment: Path) -> list[str]:
    return ["zlib"] if environment.name == "multi-mpi-multi-target" else []


@pytest.mark.parametrize(
    ("name", "picks", "target"),
    [
        ("v1.1.0/zlib-generic", [], "x86_64"),
        ("v0.23.1/zlib-generic", [], "x86_64"),
        ("v1.1.0/hdf5-nompi-v3", [], "x86_64_v3"),
        ("v1.1.0/gromacs-openmpi-zen3", [], "zen3"),
        ("v1.1.0/gromacs-mpich-cuda-skx", [], "skylake_avx512"),
        ("v1.1.0/hdf5-aarch64-neoverse", [], "neoverse_v1"),
        ("v1.1.0/osu-external-openmpi", [], "x86_64_v3"),
        ("v1.1.0/multi-mpi-multi-target", ["zlib"], "x86_64"),
    ],
)
def test_target_of_real_locks(name: str, picks: list[str], target: str) -> None:
    lock = lock_from_bytes((environment_folder(name) / "spack.lock").read_bytes(), picks=picks)
    assert value(facts_from_lock(lock).target).name == target


def test_build_only_nodes_of_zlib_generic_are_of_the_host_and_do_not_count() -> None:
    lock = lock_from_bytes((environment_folder("v1.1.0/zlib-generic") / "spack.lock").read_bytes())
    assert "icelake" in {c.target for c in lock.components.values() if not c.runtime}
    assert value(facts_from_lock(lock).target).name == "x86_64"


def test_join_over_the_runtime_closure() -> None:
    found = facts(
        node("app", "1", "lib", build("tool"), target="x86_64_v3"),
        node("lib", target={"name": "zen2", "features": ["sse2", "avx2"]}),
        node("tool", target="zen5"),
    )
    target = value(found.target)
    assert (target.name, target.generic, target.family) == ("zen2", False, "x86_64")
    assert target.features == ("avx2", "sse2"), "as the lock lists them, whatever archspec says today"
    assert {e.node for e in found.target.evidence} == {hash_of("app"), hash_of("lib")}  # type: ignore[union-attr]


def test_generic_target_without_features() -> None:
    assert value(facts(node("app", target="aarch64")).target) == CpuTarget("aarch64", True, "aarch64", ())


def test_external_does_not_count_even_where_archspec_does_not_know_it() -> None:
    found = facts(node("app", "1", "lib", target="x86_64_v2"), node("lib", external="/usr", target="zen99"))
    assert value(found.target).name == "x86_64_v2"


def test_everything_external() -> None:
    assert "external" in reason(facts(node("app", external="/usr")).target)


def test_incomparable_targets_name_both_and_their_nodes(refused: Refused) -> None:
    words = ["spack.lock", "no processor runs both", "zen3 (lib/", "skylake_avx512 (app/", "--root"]
    with refused(*words):
        facts(node("app", "1", "lib", "x", target="skylake_avx512"), node("lib", target="zen3"), node("x"))


def test_targets_without_a_single_join_name_what_would_do(refused: Refused) -> None:
    with refused("skylake, x86_64_v4", "cannonlake, skylake_avx512"):
        facts(node("app", "1", "lib", target="skylake"), node("lib", target="x86_64_v4"))


def test_two_families(refused: Refused) -> None:
    with refused("aarch64 (lib/", "x86_64_v3 (app/"):
        facts(node("app", "1", "lib"), node("lib", target="aarch64"))


def test_picking_a_root_is_the_way_out() -> None:
    nodes = (node("a", target="zen3"), node("b", target="skylake_avx512"))
    assert value(facts(*nodes, roots=["a", "b"], picks=["b"]).target).name == "skylake_avx512"


def test_unknown_target_names_the_node(refused: Refused) -> None:
    with refused(f"spack.lock: concrete_specs.{hash_of('app')}.arch.target", "'zen99'", "archspec"):
        facts(node("app", target="zen99"))


def test_software_is_the_root() -> None:
    variants = {"mpi": True, "cuda": False, "cuda_arch": ["80", "90"], "build_type": "Release", "none": None, "e": []}
    found = facts(node("GROMACS", "2025.3", variants=variants))
    assert value(found.software) == Software("gromacs", "2025.3", "~cuda+mpi build_type=Release cuda_arch=80,90")
    assert found.roots == (value(found.software),)


def test_several_roots_are_no_software() -> None:
    found = facts(node("a"), node("b"), roots=["a", "b"])
    assert "2 roots" in reason(found.software)
    assert "--root" in reason(found.software)
    assert [root.name for root in found.roots] == ["a", "b"]


@pytest.mark.parametrize(
    ("edges", "compiler"),
    [
        ((build("gcc", "c", "cxx"), build("llvm", "fortran")), ("gcc", "12.2.0")),
        ((build("llvm", "cxx"), build("gcc", "fortran")), ("llvm", "18.1.8")),
        ((build("gcc", "fortran"),), ("gcc", "12.2.0")),
    ],
)
def test_compiler_is_that_of_the_first_language(edges: tuple[Edge, ...], compiler: tuple[str, str]) -> None:
    found = facts(node("app", "1", *edges), node("gcc", "12.2.0", external="/usr"), node("llvm", "18.1.8"))
    assert value(found.compiler) == Compiler(*compiler)


@pytest.mark.parametrize("version", [4, 5])
def test_compiler_of_old_locks_is_an_attribute(version: int) -> None:
    assert value(facts(node("app", compiler=("oneapi", "2024.1")), version=version).compiler) == Compiler(
        "oneapi", "2024.1"
    )


def test_nothing_compiled() -> None:
    assert "no compiler" in reason(facts(node("app")).compiler)


def test_roots_of_two_compilers() -> None:
    found = facts(
        node("a", "1", build("gcc", "c")), node("b", "1", build("llvm", "c")), node("gcc", "12.2.0"),
        node("llvm", "18.1.8"), roots=["a", "b"],
    )  # fmt: skip
    assert reason(found.compiler) == "the roots were compiled by gcc@12.2.0 and llvm@18.1.8"


def test_libc() -> None:
    found = facts(node("app", "1", LIBC), node("glibc", "2.36", external="/usr"))
    assert value(found.libc) == Libc("glibc", "2.36")


def test_libc_of_build_only_nodes_does_not_count() -> None:
    found = facts(node("app", "1", build("tool")), node("tool", "1", LIBC), node("glibc", "2.36", external="/usr"))
    assert "no component" in reason(found.libc)


def test_two_libcs() -> None:
    found = facts(
        node("app", "1", LIBC, "lib"), node("lib", "1", Edge("musl", ("link",), ("libc",))), node("glibc", "2.36"),
        node("musl", "1.2"),
    )  # fmt: skip
    assert "several" in reason(found.libc)


@pytest.mark.parametrize(
    ("os", "system"),
    [
        ("debian12", ("debian", "12")),
        ("ubuntu24.04", ("ubuntu", "24.04")),
        ("rocky9", ("rocky", "9")),
        ("alpine3", ("alpine", "3")),
    ],
)
def test_operating_system(os: str, system: tuple[str, str]) -> None:
    assert value(facts(node("app", os=os)).os) == OperatingSystem(*system)


def test_unknown_operating_system() -> None:
    assert "plan9" in reason(facts(node("app", os="plan9")).os)


def test_two_operating_systems() -> None:
    found = facts(node("app", "1", "lib", os="debian12"), node("lib", os="ubuntu24.04"))
    assert reason(found.os) == "the components were concretized for debian12 and ubuntu24.04"


def test_metadata_of_this_lock_are_used_and_of_another_are_not() -> None:
    lock = lock_from_bytes(make_lock(node("app", "1", "lib"), node("lib")))
    package = PackageMetadata(license="MIT", description="An application")
    metadata = SpackMetadata(lock.digest, {hash_of("app"): package, "zzzzzzz": PackageMetadata(license="GPL-2.0")})
    found = facts_from_lock(lock, metadata=metadata)
    assert value(found.license) == "MIT"
    assert value(found.description) == "An application"
    assert found.components[hash_of("app")].metadata == package
    stale = facts_from_lock(lock, metadata=SpackMetadata("sha256:" + "0" * 64, {hash_of("app"): package}))
    assert "spack containerize --annotate" in reason(stale.license)


def test_licence_of_several_roots_is_not_that_of_one() -> None:
    lock = lock_from_bytes(make_lock(node("a"), node("b"), roots=["a", "b"]))
    found = facts_from_lock(lock, metadata=SpackMetadata(lock.digest, {hash_of("a"): PackageMetadata(license="MIT")}))
    assert isinstance(found.license, Unknown)


def test_same_lock_gives_the_same_facts() -> None:
    nodes = [node("app", "1", mpi("openmpi"), *(f"l{i}" for i in range(20))), node("openmpi", "5.0.8")]
    leaves = [node(f"l{i}", target="zen2" if i % 2 else "zen3") for i in range(20)]
    first, second = facts(*nodes, *leaves), facts(*nodes, *reversed(leaves))
    assert (first.target, first.mpi, first.fabric) == (second.target, second.mpi, second.fabric)
    assert list(first.components.items()) == list(second.components.items())
