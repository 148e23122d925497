"""What the columns of the tables mean for a lock: ranges, overrides, conditions, versions that are not the MPI's."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hpc3.annotations import annotations_for
from hpc3.sources.spack_facts import facts_from_lock
from hpc3.sources.spack_lock import lock_from_bytes
from hpc3.vocabulary import key
from unit.locks import Node, make_lock, mpi, node


def annotations(*nodes: Node) -> Mapping[str, str]:
    return annotations_for(facts_from_lock(lock_from_bytes(make_lock(*nodes)))).values


def with_mpi(provider: Node) -> Mapping[str, str]:
    return annotations(node("app", "1.0", mpi(provider.name)), provider)


@pytest.mark.parametrize(
    ("version", "framework"),
    [("4.1.8", "verbs"), ("5.0.8", None), ("main", None)],
    ids=["openib", "no openib", "newest"],
)
def test_verbs_went_from_open_mpi(version: str, framework: str | None) -> None:
    found = with_mpi(node("openmpi", version, variants={"fabrics": ["verbs"]}))
    assert found.get(key("communication.framework")) == framework


def test_fabrics_of_one_build_add_up() -> None:
    found = with_mpi(node("openmpi", "5.0.8", variants={"fabrics": ["cma", "ucx"]}))
    assert found[key("communication.framework")] == "shm,tcp,ucx"


@pytest.mark.parametrize(("device", "framework"), [("ch4", "libfabric"), ("ch3:sock", "tcp")])
def test_mpich_ignores_the_netmod_with_sockets(device: str, framework: str) -> None:
    found = with_mpi(node("mpich", "4.3.2", variants={"device": device, "netmod": "ofi"}))
    assert found[key("communication.framework")] == framework


@pytest.mark.parametrize(("version", "clients"), [("4.1.3", "pmi1"), ("4.2.0", "pmi1,pmi2"), ("develop", "pmi1,pmi2")])
def test_default_pmi_of_mpich_changed(version: str, clients: str) -> None:
    assert with_mpi(node("mpich", version, variants={"pmi": "default"}))[key("mpi.pmi")] == clients


@pytest.mark.parametrize(
    ("provider", "version", "abi"),
    [
        ("openmpi", "1.8.8", ("openmpi", "1")),
        ("openmpi", "1.10.7", ("openmpi", "12")),
        ("openmpi", "2.1.6", ("openmpi", "20")),
        ("openmpi", "5.0.8", ("openmpi", "40")),
        ("openmpi", "6.0.0", (None, None)),
        ("mpich", "3.0.4", (None, None)),
        ("mpich", "4.3.2", ("mpich", "12")),
        ("mvapich2", "2.3.7", ("mpich", "12")),
        ("intel-oneapi-mpi", "2021.16.0", ("mpich", "12")),
    ],
)
def test_abi_by_version(provider: str, version: str, abi: tuple[str | None, str | None]) -> None:
    found = with_mpi(node(provider, version))
    assert (found.get(key("mpi.abi.family")), found.get(key("mpi.abi.version"))) == abi


def test_version_of_a_bundle_is_not_the_mpi_s() -> None:
    found = with_mpi(node("hpcx-mpi", "2.17.1", external="/opt/hpcx"))
    assert found[key("mpi.implementation")] == "openmpi"
    assert key("mpi.version") not in found
    assert key("mpi.abi.family") not in found


@pytest.mark.parametrize(("rocm", "vendor"), [(True, "amd"), (False, "nvidia")])
def test_hip_is_an_amd_runtime_only_when_built_for_one(rocm: bool, vendor: str) -> None:
    hip = node("hip", "6.4.3", *([] if rocm else ["cuda"]), variants={"rocm": rocm, "cuda": not rocm})
    others = [] if rocm else [node("cuda", "12.9.1")]
    found = annotations(node("app", "1.0", "hip"), hip, *others)
    assert found[key("hardware.gpu.vendor")] == vendor
