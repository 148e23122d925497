"""MPI installations of the host, told apart by soname, place and the names in the file; nothing is loaded or run."""

from __future__ import annotations

import re
from pathlib import Path

from hpc3.fingerprint import HostMpi

from .library import anonymous, files_named, holds, symbol_versions

#: Sonames of MPI's C library. ``libmpi.so.12`` is MPICH's ABI, and Open MPI 1.10's by accident; Debian renames MPICH's.
SONAMES = ("libmpi.so.12", "libmpich.so.12", "libmpi.so.40", "libmpi.so.20", "libmpi_abi.so.1")
_BY_PLACE = (
    ("cray", "cray-mpich"),
    ("intel", "intel-mpi"),
    ("impi", "intel-mpi"),
    ("mvapich", "mvapich"),
    ("openmpi", "openmpi"),
    ("mpich", "mpich"),
)
_BY_CONTENT = (
    (b"ompi_mpi_comm_world", "openmpi"),
    (b"CRAY MPICH", "cray-mpich"),
    (b"Intel(R) MPI Library", "intel-mpi"),
    (b"MVAPICH", "mvapich"),
    (b"MPICH", "mpich"),
)
_PC_FILES = {"openmpi": ("ompi.pc", "ompi-c.pc"), "mpich": ("mpich.pc",), "mvapich": ("mvapich.pc", "mpich.pc")}


def read_mpis(root: Path) -> tuple[HostMpi, ...]:
    """Return the MPI installations of the host, each real library once, in the loader's order of folders."""
    found: dict[Path, HostMpi] = {}
    for soname in SONAMES:
        for path in files_named(root, soname):
            if path.resolve() not in found:
                found[path.resolve()] = _installation(path, soname, root)
    return tuple(found.values())


def _installation(path: Path, soname: str, root: Path) -> HostMpi:
    implementation = _implementation(path, root)
    versions = symbol_versions(path)
    if soname.startswith("libmpi_abi"):
        family = "mpi-abi"
    else:
        family = "openmpi" if implementation == "openmpi" else "mpich" if implementation != "other" else ""
    return HostMpi(
        implementation=implementation,
        version=_version(path, implementation),
        abi_family=family,
        soname=soname,
        abi_version=path.resolve().name.partition(".so.")[2],
        path=anonymous(path, root),
        glibc=versions.get("GLIBC", ""),
        fabric_abi=versions.get("FABRIC", ""),
    )


def _implementation(path: Path, root: Path) -> str:
    place = str(path.relative_to(root) if path.is_relative_to(root) else path).lower()
    named = next((name for part, name in _BY_PLACE if part in place), "")
    return named or next((name for text, name in _BY_CONTENT if holds(path, text)), "other")


def _version(path: Path, implementation: str) -> str:
    """Return the version that the package's pkg-config file or its folder states, else an empty string."""
    for name in _PC_FILES.get(implementation, ()):
        file = path.parent / "pkgconfig" / name
        match = (
            re.search(r"^Version:\s*([0-9][\w.]*)", file.read_text("utf-8", "replace"), re.M)
            if file.is_file()
            else None
        )
        if match:
            return match.group(1)
    match = re.search(r"mpi(?:ch2?)?[-/]v?([0-9]+\.[0-9][\w.]*)", str(path))
    return match.group(1) if match else ""
