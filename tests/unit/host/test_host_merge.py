from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpc3.errors import InputError
from hpc3.fingerprint import ContainerRuntime, Cpu, Fingerprint, HostGpu, HostLibc, HostMpi, Kernel, Launcher
from hpc3.host.cpu import cpu_from_text
from hpc3.host.merge import differences, weakest_common_host
from hpc3.targets import known_targets


def host(target: str, **more: object) -> Fingerprint:
    chosen = known_targets()[target]
    flags = tuple(sorted(chosen.features))
    return Fingerprint(cpu=Cpu(chosen.family.name, target, chosen.vendor, flags), **more)  # type: ignore[arg-type]


def test_one_host_is_its_own_weakest() -> None:
    one = host("zen3", libc=HostLibc("glibc", "2.31"))
    merged = weakest_common_host([("a", one)])
    assert replace(merged, unknown={}) == one


def test_the_older_of_two_generations() -> None:
    merged = weakest_common_host([("new", host("zen4")), ("old", host("zen2"))])
    assert merged.cpu is not None
    assert merged.cpu.target == "zen2"


def test_two_vendors_share_a_generic_target() -> None:
    merged = weakest_common_host([("amd", host("zen4")), ("intel", host("icelake"))])
    assert merged.cpu is not None
    assert (merged.cpu.target, merged.cpu.vendor) == ("x86_64_v4", "generic")


def test_two_families_have_no_common_host() -> None:
    with pytest.raises(InputError, match="different families"):
        weakest_common_host([("a", host("zen4")), ("b", host("neoverse_v2"))])


def test_the_least_of_everything() -> None:
    first = host(
        "zen3",
        kernel=Kernel("5.14.0", 4096, ("knem", "xpmem"), user_namespaces=True),
        libc=HostLibc("glibc", "2.31"),
        gpus=(
            HostGpu("nvidia", "A100", "sm_80", 4, "550.1.1", "tesla"),
            HostGpu("nvidia", "H100", "sm_90", 4, "550.1.1"),
        ),
        mpis=(HostMpi("mpich", "4.1", "mpich", "libmpi.so.12", "12.3.0", "/a", "2.17"),),
        launcher=Launcher("slurm", pmi=("pmi2", "pmix_v4")),
        runtimes=(ContainerRuntime("podman", "4.9"), ContainerRuntime("sarus", "1.6")),
    )
    second = host(
        "zen3",
        kernel=Kernel("4.18.0", 65536, ("xpmem",), user_namespaces=False),
        libc=HostLibc("glibc", "2.28"),
        gpus=(HostGpu("nvidia", "A100", "sm_80", 2, "535.9.9", "tesla"),),
        mpis=(HostMpi("mpich", "4.0", "mpich", "libmpi.so.12", "12.2.0", "/b", "2.28"),),
        launcher=Launcher("slurm", pmi=("pmi2",)),
        runtimes=(ContainerRuntime("podman", "5.0"),),
    )
    merged = weakest_common_host([("a", first), ("b", second)], "partition")
    assert merged.name == "partition"
    assert merged.kernel == Kernel("4.18.0", None, ("xpmem",), user_namespaces=False)
    assert merged.libc == HostLibc("glibc", "2.31")  # what host libraries may need at most
    assert merged.gpus == (HostGpu("nvidia", "A100", "sm_80", 2, "535.9.9", "tesla"),)
    assert merged.mpis == (HostMpi("mpich", "4.0", "mpich", "libmpi.so.12", "12.2.0", "", "2.28"),)
    assert merged.launcher == Launcher("slurm", pmi=("pmi2",))
    assert merged.runtimes == (ContainerRuntime("podman", "4.9"),)


def test_unknown_in_one_is_unknown_in_all_and_says_where() -> None:
    known = host("zen3", gpus=(HostGpu("amd"),))
    merged = weakest_common_host([("n1", known), ("n2", host("zen3"))])
    assert merged.gpus is None
    assert merged.why_unknown("gpus").startswith("n2:")


def test_differences_name_the_odd_nodes() -> None:
    usual, odd = host("zen3", gpus=()), host("zen2", gpus=())
    found = {d.attribute: d for d in differences([("n1", usual), ("n2", odd), ("n3", usual)])}
    assert found["cpu"].common == "zen3"
    assert found["cpu"].others == (("n2", "zen2"),)
    assert "gpus" not in found


def test_merging_never_promises_more_than_a_member(third_party: Path) -> None:
    dumps = sorted((third_party / "eessi-archdetect").rglob("x86_64/**/*.cpuinfo"))
    hosts = [(d.stem, Fingerprint(cpu=cpu_from_text(d.read_text("utf-8")))) for d in dumps]
    for name, one in hosts:
        for other_name, other in hosts:
            merged = weakest_common_host([(name, one), (other_name, other)]).cpu
            assert merged is not None
            for member in (one.cpu, other.cpu):
                assert member is not None
                assert set(merged.flags or ()) <= set(member.flags or ())
                assert known_targets()[merged.target] <= known_targets()[member.target]
