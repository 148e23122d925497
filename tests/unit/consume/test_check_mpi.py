from __future__ import annotations

from dataclasses import replace

import pytest

from hpc3.consume.facets.fabric import check_fabric
from hpc3.consume.facets.libc import check_libc
from hpc3.consume.facets.mpi import check_mpi
from hpc3.consume.image import Image
from hpc3.consume.verdict import Verdict
from hpc3.fingerprint import Fingerprint, HostFabric, HostMpi, Launcher, Limits
from unit.consume.consumer_examples import CRAY, MPICH, OPENMPI5, host, image, lumi_g

OLD_OPENMPI = HostMpi("openmpi", "4.1.4", "openmpi", "libmpi.so.40", "40.30.4", "/usr/lib/libmpi.so.40", "2.34")


def slurm(*pmi: str) -> Launcher:
    return Launcher("slurm", "23.02", tuple(pmi))


def mpi(stated: Image, on: Fingerprint) -> dict[str, Verdict]:
    return {judgement.code: judgement.verdict for judgement in check_mpi(stated, on)}


def fabric(stated: Image, on: Fingerprint) -> dict[str, Verdict]:
    return {judgement.code: judgement.verdict for judgement in check_fabric(stated, on)}


@pytest.mark.parametrize("served", [("pmi2",), ("cray_shasta", "pmi2"), ()])
def test_open_mpi_5_without_pmix_fails_because_it_fails_silently(served: tuple[str, ...]) -> None:
    (judgement,) = check_mpi(image(OPENMPI5), host(launcher=slurm(*served)))
    assert (judgement.verdict, judgement.code) == (Verdict.FAILS, "MPI_NO_COMMON_PMI")
    assert "wrong results" in judgement.reason


def test_open_mpi_5_has_pmix_alone_whatever_the_image_says() -> None:
    claims = image(OPENMPI5, mpi__pmi="pmi2,pmix_v5")
    assert mpi(claims, host(launcher=slurm("pmi2")))["MPI_NO_COMMON_PMI"] is Verdict.FAILS


def test_open_mpi_5_with_pmix() -> None:
    (judgement,) = check_mpi(image(OPENMPI5), host(launcher=slurm("pmix", "pmix_v4")))
    assert judgement.verdict is Verdict.OK
    assert judgement.remedy == "srun --mpi=pmix"


def test_open_mpi_4_fails_loudly() -> None:
    (judgement,) = check_mpi(image(OPENMPI5, mpi__version="4.1.6", mpi__pmi="pmix_v3"), host(launcher=slurm("pmi2")))
    assert judgement.verdict is Verdict.FAILS
    assert "stops with an error" in judgement.reason


@pytest.mark.parametrize(
    ("pmi", "served", "flavour"),
    [
        ("pmi1", ("pmi2",), "pmi2"),
        ("pmi2", ("pmi2", "pmix_v4"), "pmi2"),
        ("pmi1,pmi2,pmix", ("pmi2", "pmix_v4"), "pmix_v4"),
        ("cray,pmi2", ("cray_shasta", "pmi2"), "cray_shasta"),
    ],
)
def test_the_flavour_to_ask_for(pmi: str, served: tuple[str, ...], flavour: str) -> None:
    (judgement,) = check_mpi(image(MPICH, mpi__pmi=pmi, mpi__portability__mode="hybrid"), host(launcher=slurm(*served)))
    assert (judgement.verdict, judgement.remedy) == (Verdict.OK, f"srun --mpi={flavour}")


@pytest.mark.parametrize(
    ("launcher", "pmi", "command"),
    [
        (Launcher("flux", pmi=("pmi1",)), "pmi1,pmi2", "flux run -opmi=simple"),
        (Launcher("flux", pmi=("cray", "pmi1")), "cray", "flux run -opmi=cray-pals"),
        (Launcher("flux", pmi=("pmi1", "pmix")), "pmix_v5", "flux run -opmi=pmix"),
        (Launcher("jsm", pmi=("pmix",)), "pmix_v3", "jsrun"),
    ],
)
def test_launchers_other_than_slurm(launcher: Launcher, pmi: str, command: str) -> None:
    stated = image(MPICH, mpi__pmi=pmi, mpi__portability__mode="hybrid")
    (judgement,) = check_mpi(stated, host(launcher=launcher))
    assert (judgement.verdict, judgement.remedy) == (Verdict.OK, command)


def test_flux_without_its_plugin_starts_open_mpi_5_as_singletons() -> None:
    (judgement,) = check_mpi(image(OPENMPI5), host(launcher=Launcher("flux", pmi=("pmi1",))))
    assert (judgement.verdict, judgement.code) == (Verdict.FAILS, "MPI_NO_COMMON_PMI")
    assert judgement.remedy.startswith("ask for flux-pmix")


def test_missing_facts_are_unknown() -> None:
    assert mpi(image(without="mpi.implementation"), host())["MPI_NOT_STATED"] is Verdict.UNKNOWN
    assert mpi(image(MPICH, without="mpi.pmi"), host())["MPI_PMI_NOT_STATED"] is Verdict.UNKNOWN
    assert mpi(image(MPICH), host(launcher=None))["MPI_LAUNCHER_UNKNOWN"] is Verdict.UNKNOWN


@pytest.mark.parametrize("implementation", ["none", "threadmpi"])
def test_software_without_mpi(implementation: str) -> None:
    assert mpi(image(mpi__implementation=implementation), host()) == {"MPI_NONE": Verdict.OK}


def test_cray_takes_over_from_mpich() -> None:
    assert mpi(image(MPICH), lumi_g())["MPI_SWAP_OK"] is Verdict.OK


def test_minor_numbers_are_compared_within_one_implementation_alone() -> None:
    older = replace(CRAY, implementation="mpich", version="4.0.2", abi_version="12.2.2")
    assert mpi(image(MPICH), host(mpis=(older,)))["MPI_SWAP_CAUTION"] is Verdict.DEGRADED
    intel = replace(older, implementation="intel-mpi", abi_version="12.0.0")
    assert mpi(image(MPICH), host(mpis=(intel,)))["MPI_SWAP_OK"] is Verdict.OK


@pytest.mark.parametrize(("mode", "verdict"), [("bind", Verdict.FAILS), ("replace", Verdict.DEGRADED)])
def test_the_other_family_cannot_take_over(mode: str, verdict: Verdict) -> None:
    said = mpi(image(MPICH, mpi__portability__mode=mode), host(mpis=(OLD_OPENMPI,)))
    assert said["MPI_HOST_MISSING"] is verdict


@pytest.mark.parametrize(
    ("changed", "verdict", "words"),
    [
        ({"mpi.library.lookup": "static"}, Verdict.DEGRADED, "statically"),
        ({"mpi.library.lookup": "rpath"}, Verdict.DEGRADED, "RPATH"),
        ({"system.libc.name": "musl"}, Verdict.DEGRADED, "musl"),
        ({"system.libc.version": "2.12"}, Verdict.DEGRADED, "GLIBC_2.17"),
        ({"mpi.abi.soname": "libmpich.so.12"}, Verdict.DEGRADED, "bind it under that name"),
        ({"mpi.abi.version": "13.0"}, Verdict.DEGRADED, "major numbers differ"),
    ],
)
def test_what_stands_against_a_swap(changed: dict[str, str], verdict: Verdict, words: str) -> None:
    stated = image(MPICH, changed)
    (judgement,) = [judgement for judgement in check_mpi(stated, lumi_g()) if "SWAP" in judgement.code]
    assert judgement.verdict is verdict
    assert words in judgement.reason
    if "impossible" in judgement.code.lower():
        bound = image(MPICH, changed, mpi__portability__mode="bind")
        assert mpi(bound, lumi_g())[judgement.code] is Verdict.FAILS


def test_host_libraries_against_the_images_c_library() -> None:
    old = {"system.libc.version": "2.12", "mpi.portability.mode": "bind"}
    (judgement,) = check_libc(image(MPICH, old), lumi_g())
    assert (judgement.verdict, judgement.code) == (Verdict.FAILS, "LIBC_TOO_OLD")
    (judgement,) = check_libc(image(MPICH), lumi_g())
    assert judgement.verdict is Verdict.OK
    (judgement,) = check_libc(image(MPICH, without="system.libc.name"), lumi_g())
    assert judgement.verdict is Verdict.UNKNOWN


def test_networks() -> None:
    infiniband = host(fabrics=(HostFabric("mlx5", 2),))
    assert fabric(image(OPENMPI5), infiniband)["FABRIC_NATIVE"] is Verdict.OK
    assert fabric(image(MPICH), lumi_g())["FABRIC_SWAP"] is Verdict.OK
    own = {"mpi.portability.mode": "hybrid"}  # the image keeps its MPI: its libraries count
    assert fabric(image(MPICH, own), lumi_g())["FABRIC_INJECT"] is Verdict.DEGRADED
    native = image(MPICH, own, communication__providers="ofi:cxi,ofi:tcp")
    assert fabric(native, lumi_g())["FABRIC_NATIVE"] is Verdict.OK
    tcp = image(MPICH, own, communication__framework="tcp")
    assert fabric(tcp, lumi_g())["FABRIC_TCP"] is Verdict.DEGRADED
    assert (
        fabric(image(MPICH, own, without="communication.framework"), lumi_g())["FABRIC_NOT_STATED"] is Verdict.UNKNOWN
    )
    assert fabric(image(MPICH), host())["FABRIC_NONE"] is Verdict.OK


@pytest.mark.parametrize(
    ("transports", "kind", "code"),
    [
        ("ucx:posix,ucx:rc,ucx:tcp", "mlx5", "FABRIC_NATIVE"),
        ("ucx:dc,ucx:tcp", "mlx5", "FABRIC_NATIVE"),
        ("ucx:dc,ucx:tcp", "irdma", "FABRIC_TCP"),
        ("ucx:posix,ucx:sysv,ucx:tcp", "mlx5", "FABRIC_TCP"),  # what Spack's defaults give
        ("ofi:tcp", "mlx5", "FABRIC_NATIVE"),  # says nothing of UCX
    ],
)
def test_a_ucx_serves_what_its_transports_serve(transports: str, kind: str, code: str) -> None:
    stated = image(OPENMPI5, communication__framework="ucx", communication__providers=transports)
    assert code in fabric(stated, host(fabrics=(HostFabric(kind),)))


def test_locked_memory() -> None:
    limited = host(fabrics=(HostFabric("mlx5"),), limits=Limits(64, 1024))
    assert fabric(image(OPENMPI5), limited)["FABRIC_MEMLOCK"] is Verdict.DEGRADED


def test_a_libfabric_that_is_too_old_is_not_put_in() -> None:
    needs_new = image(MPICH, libfabric__abi__version="1.9", mpi__portability__mode="hybrid")
    assert fabric(needs_new, lumi_g())["FABRIC_TCP"] is Verdict.DEGRADED
