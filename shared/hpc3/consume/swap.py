"""Swapping the image's MPI for the host's: which host MPI fits, and what stands against it."""

from __future__ import annotations

from dataclasses import dataclass

from hpc3.fingerprint import Fingerprint, HostMpi
from hpc3.versions import is_at_least, version_numbers

from .image import Image


@dataclass(frozen=True)
class Swap:
    """The host MPI that would take the place of the image's.

    Attributes:
        mpi: the host's installation.
        obstacles: why it does not work at all; one sentence each.
        cautions: why it may not work for all software; one sentence each.
    """

    mpi: HostMpi
    obstacles: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def best_swap(image: Image, host: Fingerprint) -> Swap | None:
    """Return the host MPI of the image's ABI family with the fewest obstacles; None where there is none."""
    family = image.value("mpi.abi.family")
    candidates = [_swap(image, mpi) for mpi in host.mpis or () if family and mpi.abi_family == family]
    return min(candidates, key=lambda swap: (len(swap.obstacles), len(swap.cautions)), default=None)


def _swap(image: Image, mpi: HostMpi) -> Swap:
    return Swap(mpi, tuple(filter(None, _obstacles(image, mpi))), tuple(filter(None, _cautions(image, mpi))))


def _obstacles(image: Image, mpi: HostMpi) -> list[str]:
    libc, glibc = image.value("system.libc.name"), image.value("system.libc.version")
    wanted, has = version_numbers(image.value("mpi.abi.version"))[:1], version_numbers(mpi.abi_version)[:1]
    return [
        "the image's MPI is linked statically" if image.value("mpi.library.lookup") == "static" else "",
        f"the image's libc is {libc}, host libraries need glibc" if libc and libc != "glibc" else "",
        f"{mpi.soname} of the host needs GLIBC_{mpi.glibc}, the image has {glibc}"
        if glibc and mpi.glibc and not is_at_least(glibc, mpi.glibc)
        else "",
        f"the libraries' major numbers differ: {wanted[0]} in the image, {has[0]} on the host"
        if wanted and has and wanted != has
        else "",
    ]


def _cautions(image: Image, mpi: HostMpi) -> list[str]:
    soname, wanted = image.value("mpi.abi.soname"), image.value("mpi.abi.version")
    same = mpi.implementation == image.value("mpi.implementation")
    # Minor numbers are each vendor's own: Intel's 12.0.0 is newer than MPICH's 12.2.2 of the same year.
    older = same and wanted and mpi.abi_version and version_numbers(mpi.abi_version) < version_numbers(wanted)
    fabric = image.value("libfabric.abi.version")
    return [
        f"the software asks for {soname}, the host has {mpi.soname}: bind it under that name"
        if soname and mpi.soname and soname != mpi.soname
        else "",
        f"the host's library {mpi.abi_version} is older than the image's {wanted}: new functions may be missing"
        if older
        else "",
        f"the host's MPI needs FABRIC_{mpi.fabric_abi}: its own libfabric must come along"
        if mpi.fabric_abi and (not fabric or not is_at_least(fabric, mpi.fabric_abi))
        else "",
        "an RPATH in the software defeats LD_LIBRARY_PATH: bind over the library's own path"
        if image.value("mpi.library.lookup") == "rpath"
        else "",
    ]
