"""MPI and fabric: the edge decides, tables translate, and what nobody stated is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hpc3.facts import Fabric, Known, Mpi, Unknown
from unit.conftest import Refused
from unit.locks import Edge, Node, hash_of, mpi, node
from unit.sources.test_spack_facts import facts, value


def mpi_of(*nodes: Node, **options: Any) -> Mpi:
    found = value(facts(*nodes, **options).mpi)
    assert isinstance(found, Mpi)
    return found


def fabric_of(*nodes: Node, **options: Any) -> Fabric:
    found = value(facts(*nodes, **options).fabric)
    assert isinstance(found, Fabric)
    return found


def app_with(name: str, version: str = "1.0", *edges: Edge | str, **fields: Any) -> tuple[Node, Node]:
    return node("app", "1", mpi(name)), node(name, version, *edges, **fields)


def test_no_mpi() -> None:
    assert mpi_of(node("app")) == Mpi("none", portability="none")
    assert fabric_of(node("app")) == Fabric(frameworks=())


def test_build_only_edge_is_no_mpi() -> None:
    nodes = (node("app", "1", Edge("mpich", ("build",), ("mpi",))), node("mpich", "4.3"))
    assert mpi_of(*nodes).implementation == "none"


def test_mpi_of_a_build_only_node_does_not_count() -> None:
    nodes = (node("app", "1", Edge("tool", ("build",))), node("tool", "1", mpi("mpich")), node("mpich", "4.3"))
    assert mpi_of(*nodes).implementation == "none"


def test_mpi_of_a_library_counts() -> None:
    nodes = (node("app", "1", "fftw"), node("fftw", "3", mpi("mpich")), node("mpich", "4.3.2"))
    found = facts(*nodes).mpi
    assert value(found).implementation == "mpich"
    assert found.evidence[0].node == hash_of("fftw")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("package", "implementation"),
    [
        ("openmpi", "openmpi"), ("mpich", "mpich"), ("mvapich", "mvapich"), ("mvapich2", "mvapich"),
        ("mvapich-plus", "mvapich"), ("intel-oneapi-mpi", "intel-mpi"), ("cray-mpich", "cray-mpich"),
        ("mpilander", "other"), ("mpitrampoline", "other"), ("mpi-of-a-site", "other"), ("fujitsu-mpi", "other"),
    ],
)  # fmt: skip
def test_implementation(package: str, implementation: str) -> None:
    assert mpi_of(*app_with(package)).implementation == implementation


def test_two_mpis_name_both(refused: Refused) -> None:
    with refused("spack.lock", "mpich@4.3.2/", " and ", "openmpi@5.0.8/", "--root"):
        facts(
            node("app", "1", mpi("openmpi"), "lib"), node("lib", "1", mpi("mpich")), node("openmpi", "5.0.8"),
            node("mpich", "4.3.2"),
        )  # fmt: skip


def test_two_builds_of_one_mpi_are_two(refused: Refused) -> None:
    with refused("openmpi@4.1.6/", "openmpi@5.0.8/"):
        facts(
            node("a", "1", mpi("o5")), node("b", "1", mpi("o4")), node("openmpi", "5.0.8", key="o5"),
            node("openmpi", "4.1.6", key="o4"), roots=["a", "b"],
        )  # fmt: skip


def test_picking_a_root_leaves_one_mpi() -> None:
    nodes = (node("a", "1", mpi("openmpi")), node("b", "1", mpi("mpich")), node("openmpi", "5.0.8"), node("mpich", "4"))
    assert mpi_of(*nodes, roots=["a", "b"], picks=["b"]).implementation == "mpich"


def test_root_that_is_an_mpi() -> None:
    assert mpi_of(node("openmpi", "5.0.8")).implementation == "openmpi"


def test_root_that_can_bring_an_mpi_does_not_prove_one() -> None:
    assert mpi_of(node("charmpp", "7")).implementation == "none"


def test_lockfile_4_knows_no_virtuals() -> None:
    nodes = (node("app", "1", mpi("openmpi")), node("openmpi", "4.1.6"))
    assert mpi_of(*nodes, version=4).implementation == "openmpi"


@pytest.mark.parametrize(("mpi_variant", "implementation"), [(False, "threadmpi"), (True, "openmpi")])
def test_gromacs_without_mpi_runs_ranks_as_threads(mpi_variant: bool, implementation: str) -> None:
    edges = [mpi("openmpi")] if mpi_variant else []
    nodes = (node("gromacs", "2025", *edges, variants={"mpi": mpi_variant}), node("openmpi", "5.0.8"))
    found = mpi_of(*nodes)
    assert found.implementation == implementation
    if not mpi_variant:
        assert found == Mpi("threadmpi", portability="none")


def test_gromacs_below_another_root_is_not_the_software() -> None:
    assert mpi_of(node("app", "1", "gromacs"), node("gromacs", "2025")).implementation == "none"


@pytest.mark.parametrize(
    ("package", "version", "family", "abi"),
    [
        ("openmpi", "5.0.8", "openmpi", "40"),
        ("openmpi", "3.0.0", "openmpi", "40"),
        ("openmpi", "2.1.6", "openmpi", "20"),
        ("openmpi", "1.10.7", "openmpi", "12"),
        ("openmpi", "main", "", ""),
        ("openmpi", "6.0.0", "", ""),
        ("mpich", "4.3.2", "mpich", "12"),
        ("mpich", "3.1", "mpich", "12"),
        ("mpich", "3.0.4", "", ""),
        ("mpich", "develop", "", ""),
        ("mvapich2", "2.3.7", "mpich", "12"),
        ("intel-oneapi-mpi", "2021.14.0", "mpich", "12"),
        ("mpilander", "1", "", ""),
    ],
)
def test_abi(package: str, version: str, family: str, abi: str) -> None:
    found = mpi_of(*app_with(package, version))
    assert (found.abi_family, found.abi_version) == (family, abi)


@pytest.mark.parametrize(
    ("version", "variants", "pmi", "mode"),
    [
        ("4.3.2", {"pmi": "pmi"}, ("pmi1",), "hybrid"),
        ("4.3.2", {"pmi": "pmi2"}, ("pmi2",), "hybrid"),
        ("4.3.2", {"pmi": "cray"}, ("cray",), "hybrid"),
        ("4.3.2", {"pmi": "pmix"}, ("pmix",), "hybrid"),
        ("4.3.2", {"pmi": "default"}, ("pmi1", "pmi2"), "hybrid"),
        ("4.1", {"pmi": "default"}, ("pmi1",), "hybrid"),
        ("4.3.2", {"pmi": "of-a-site"}, None, ""),
        ("4.3.2", {}, None, ""),
    ],
)
def test_pmi_of_mpich(version: str, variants: dict[str, object], pmi: tuple[str, ...] | None, mode: str) -> None:
    found = mpi_of(*app_with("mpich", version, variants=variants))
    assert (found.pmi, found.portability) == (pmi, mode)


def test_pmix_has_the_version_of_its_library() -> None:
    nodes = (*app_with("openmpi", "5.0.8", "pmix"), node("pmix", "6.0.0"))
    assert mpi_of(*nodes).pmi == ("pmix_v6",)


def test_pmix_without_a_number_has_no_version() -> None:
    nodes = (*app_with("openmpi", "5.0.8", "pmix"), node("pmix", "develop"))
    assert mpi_of(*nodes).pmi == ("pmix",)


def test_pmix_that_the_mpi_does_not_reach_is_not_its_own() -> None:
    nodes = (node("app", "1", mpi("openmpi"), "pmix"), node("openmpi", "5.0.8"), node("pmix", "6.0.0"))
    assert mpi_of(*nodes).pmi == ("pmix",)


@pytest.mark.parametrize(
    ("variants", "aware"),
    [
        ({}, None),
        ({"cuda": False, "rocm": False}, ()),
        ({"cuda": True, "rocm": False}, ("cuda",)),
        ({"cuda": True, "rocm": True}, ("cuda", "rocm")),
        ({"level_zero": True}, ("ze",)),
    ],
)
def test_gpu_awareness(variants: dict[str, object], aware: tuple[str, ...] | None) -> None:
    assert mpi_of(*app_with("mpich", "4", variants=variants)).gpu_aware == aware


def test_defaults_of_an_external_are_no_evidence() -> None:
    variants = {"cuda": False, "pmi": "pmi", "netmod": "ofi"}
    found = facts(*app_with("mpich", "4.3.2", external="/opt/site/mpich", variants=variants))
    mpi_found = value(found.mpi)
    assert (mpi_found.external, mpi_found.gpu_aware, mpi_found.pmi, mpi_found.portability) == (True, None, None, "")
    assert isinstance(found.fabric, Unknown)
    assert "mpich" in found.fabric.reason


def test_what_is_stated_of_an_external_is_evidence() -> None:
    nodes = app_with("openmpi", "5.0.6", external="/opt/site", variants={"fabrics": ["ucx"]})
    assert fabric_of(*nodes).frameworks == ("ucx",)


@pytest.mark.parametrize(
    ("package", "variants", "frameworks"),
    [
        ("openmpi", {"fabrics": ["ucx"]}, ("ucx",)),
        ("openmpi", {"fabrics": ["ofi", "ucx"]}, ("libfabric", "ucx")),
        ("openmpi", {"fabrics": ["none"]}, ("shm", "tcp")),
        ("openmpi", {"fabrics": ["psm2", "cma"]}, ("psm2", "shm", "tcp")),
        ("mpich", {"netmod": "ofi", "device": "ch4"}, ("libfabric",)),
        ("mpich", {"netmod": "ucx"}, ("ucx",)),
        ("mpich", {"netmod": "tcp", "device": "ch3"}, ("tcp",)),
        ("mvapich2", {"fabrics": "mrail"}, ("verbs",)),
    ],
)
def test_frameworks(package: str, variants: dict[str, object], frameworks: Sequence[str]) -> None:
    assert fabric_of(*app_with(package, "4", variants=variants)).frameworks == frameworks


@pytest.mark.parametrize("variants", [{}, {"fabrics": ["auto"]}, {"fabrics": []}])
def test_frameworks_that_nobody_stated(variants: dict[str, object]) -> None:
    found = facts(*app_with("openmpi", "5", variants=variants)).fabric
    assert isinstance(found, Unknown)
    assert "openmpi" in found.reason


def test_libraries_are_stated_where_frameworks_are_not() -> None:
    nodes = (*app_with("openmpi", "5", "ucx", variants={"fabrics": ["auto"]}), node("ucx", "1.19.0"))
    assert fabric_of(*nodes) == Fabric(frameworks=None, ucx="1.19.0")


def test_libfabric() -> None:
    nodes = (
        *app_with("mpich", "4.3", "libfabric", variants={"netmod": "ofi"}),
        node("libfabric", "2.3.1", variants={"fabrics": ["tcp", "cxi", "verbs"]}),
    )
    assert fabric_of(*nodes) == Fabric(("libfabric",), providers=("ofi:cxi", "ofi:tcp", "ofi:verbs"), libfabric="2.3.1")


@pytest.mark.parametrize(
    ("on", "transports"),
    [
        ((), ()),
        (("rc",), ()),  # wants verbs too
        (("rc", "ud", "verbs"), ("ucx:rc", "ucx:ud")),
        (("dc", "mlx5_dv", "verbs", "xpmem"), ("ucx:dc", "ucx:xpmem")),
    ],
)
def test_transports_of_ucx(on: tuple[str, ...], transports: tuple[str, ...]) -> None:
    variants = {name: name in on for name in ("cma", "dc", "mlx5_dv", "rc", "ud", "verbs", "xpmem")}
    nodes = (
        *app_with("openmpi", "5", "ucx", variants={"fabrics": ["ucx"]}),
        node("ucx", "1.19.0", variants=dict(variants)),
    )
    always = ("ucx:posix", "ucx:sysv", "ucx:tcp")
    assert fabric_of(*nodes).providers == tuple(sorted((*always, *transports)))


def test_transports_of_an_external_ucx_are_not_known() -> None:
    nodes = (
        *app_with("openmpi", "5", "ucx", variants={"fabrics": ["ucx"]}),
        node("ucx", "1.19.0", external="/usr", variants={"verbs": False}),
    )
    assert fabric_of(*nodes).providers == ()


def test_two_versions_of_a_library_are_none() -> None:
    nodes = (
        node("app", "1", mpi("openmpi"), "u1"), node("openmpi", "5", "u2", variants={"fabrics": ["ucx"]}),
        node("ucx", "1.18", key="u1"), node("ucx", "1.19", key="u2"),
    )  # fmt: skip
    assert fabric_of(*nodes).ucx == ""


def test_collectives_without_mpi() -> None:
    found = fabric_of(node("app", "1", "nccl"), node("nccl", "2.21.5-1"))
    assert found == Fabric(frameworks=(), collectives=("nccl@2.21.5-1",))


def test_build_only_libraries_do_not_count() -> None:
    found = fabric_of(node("app", "1", Edge("ucx", ("build",))), node("ucx", "1.19.0"))
    assert found == Fabric(frameworks=())


def test_facts_are_known_with_evidence() -> None:
    found = facts(*app_with("mpich", "4.3", "libfabric", variants={"netmod": "ofi"}), node("libfabric", "2"))
    assert isinstance(found.mpi, Known)
    assert [e.node for e in found.mpi.evidence] == [hash_of("app"), hash_of("mpich"), hash_of("mpich")]
    assert isinstance(found.fabric, Known)
    assert {e.node for e in found.fabric.evidence} == {hash_of("mpich"), hash_of("libfabric")}
