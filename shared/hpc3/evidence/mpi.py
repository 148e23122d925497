"""Which MPI the software in a tree links, told from the ELF files: implementation, ABI, PMI, fabric."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hpc3.facts import Evidence, Fact, Known, Unknown
from hpc3.observed import Package
from hpc3.tables import rows
from hpc3.vocabulary import key

from .elf import ElfObject
from .inventory import LOADER_CACHE, Inventory, evidence_of
from .libraries import Library
from .tree import suffix_of

#: The C library of an MPI; Fortran and C++ bindings come with it and decide nothing.
_MPI_SONAME = re.compile(
    r"lib(mpi|mpich|mpi_abi|mpi_ibm|mpi_mt|mpi_cray|mpi_gnu_[0-9]+|mpi_intel|mpi_nvidia)\.so(\.[0-9]+)*"
)
_MPI_OWN = re.compile(
    r"lib(mpi|mpich|pmpi|oshmem|opa|open-|opmpi|romio).*|mca_.*|ompi_.*|mpichversion|mpivars|hydra_.*"
)
_ABI_FAMILIES = {
    "cray-mpich": "mpich",
    "intel-mpi": "mpich",
    "mpich": "mpich",
    "mvapich": "mpich",
    "openmpi": "openmpi",
}
#: Only Open MPI ever had these; .1 and .12 were shared with MPICH.
_OPENMPI_SONAMES = ("libmpi.so.20", "libmpi.so.40")
_FRAMEWORKS = {
    "libfabric.so": "libfabric",
    "libibverbs.so": "verbs",
    "libportals.so": "portals4",
    "libpsm2.so": "psm2",
    "libpsm3.so": "psm3",
    "libucp.so": "ucx",
    "libuct.so": "ucx",
}


@dataclass(frozen=True)
class _Linked:
    """An MPI dependency of the software: its soname and the file that names it."""

    soname: str
    path: str
    elf: ElfObject


def observe_mpi(inventory: Inventory, packages: Mapping[str, tuple[Package, ...]]) -> dict[str, Fact[str]]:
    """Return the ``mpi.*``, ``communication.*``, ``libfabric.*`` and ``ucx.*`` values that the files show."""
    values = _fabric_values(inventory, packages)
    linked = _linked(inventory)
    sonames = sorted({each.soname for each in linked})
    providers = [lib for lib in inventory.libraries if lib.role == "mpi"]
    if not sonames and inventory.static_mpi:
        return {**values, **_static_values(inventory)}
    if not sonames and not providers:
        return {**values, **_no_mpi(inventory)}
    if len(sonames) > 1:
        named = "; ".join(f"{each.soname} by /{each.path}" for each in _one_each(linked))
        return {**values, key("mpi.implementation"): Unknown(f"the software links more than one MPI: {named}")}
    wanted = sonames[0] if sonames else ""
    chosen = [p for p in providers if not wanted or wanted in (p.soname, posixpath.basename(p.path))]
    if len({(p.component, p.version) for p in chosen}) > 1:
        named = ", ".join(f"{p.component} {p.version} (/{p.path})" for p in chosen)
        return {**values, key("mpi.implementation"): Unknown(f"more than one MPI is in the image: {named}")}
    if chosen:
        values.update(_provider_values(inventory, packages, chosen[0], linked))
    else:
        values.update(_absent_provider(linked[0]))
    if linked:
        values[key("mpi.abi.soname")] = _known(wanted, *(_needed(each) for each in linked[:3]))
    return values


def _linked(inventory: Inventory) -> list[_Linked]:
    """Return each program or library that needs an MPI and is no part of one."""
    return [
        _Linked(soname, path, elf)
        for path, elf in sorted(inventory.elf.items())
        if not _MPI_OWN.fullmatch(posixpath.basename(path)) and not _MPI_OWN.fullmatch(elf.soname)
        for soname in elf.needed
        if _MPI_SONAME.fullmatch(soname)
    ]


def _one_each(linked: Iterable[_Linked]) -> Iterator[_Linked]:
    seen: set[str] = set()
    for each in linked:
        if each.soname not in seen:
            seen.add(each.soname)
            yield each


def _provider_values(
    inventory: Inventory,
    packages: Mapping[str, tuple[Package, ...]],
    provider: Library,
    linked: list[_Linked],
) -> dict[str, Fact[str]]:
    family = "mpi-abi" if provider.soname.startswith("libmpi_abi.") else _ABI_FAMILIES[provider.component]
    values: dict[str, Fact[str]] = {
        key("mpi.implementation"): _known(provider.component, provider.evidence),
        key("mpi.version"): library_version(provider, packages),
        key("mpi.abi.family"): _known(family, provider.evidence),
        key("mpi.abi.version"): _abi_version(inventory, provider),
        **_pmi(inventory, provider),
        **_frameworks(inventory, provider),
    }
    if linked:
        values[key("mpi.library.lookup")] = _lookup(inventory, provider, linked[0])
    return values


def library_version(library: Library, packages: Mapping[str, tuple[Package, ...]]) -> Fact[str]:
    """Return a library's version: from the file, or else from the packages that the table names for it."""
    if library.version_evidence:
        return _known(library.version, library.version_evidence)
    row = next(r for r in rows("libraries") if r["component"] == library.component)
    stated = [package for name in row["packages"] for package in packages.get(name, ())]
    versions = sorted({package.version for package in stated})
    if len(versions) == 1:
        return _known(versions[0], *(package.evidence for package in stated[:3]))
    if versions:
        return Unknown(f"the packages state more than one version of {library.component}: {', '.join(versions)}")
    return Unknown(f"/{library.path} does not hold its version, and no package database names it")


def _absent_provider(linked: _Linked) -> dict[str, Fact[str]]:
    where = f"/{linked.path} needs {linked.soname}, which is not in the image"
    values: dict[str, Fact[str]] = {key("mpi.implementation"): Unknown(where), key("mpi.version"): Unknown(where)}
    if linked.soname in _OPENMPI_SONAMES:
        values[key("mpi.implementation")] = values[key("mpi.abi.family")] = _known("openmpi", _needed(linked))
    elif linked.soname.startswith("libmpi_abi."):
        values[key("mpi.abi.family")] = _known("mpi-abi", _needed(linked))
    return values


def _static_values(inventory: Inventory) -> dict[str, Fact[str]]:
    found = {component for component, _ in inventory.static_mpi.values()}
    path, (component, offset) = sorted(inventory.static_mpi.items())[0]
    if len(found) > 1:
        return {key("mpi.implementation"): Unknown(f"more than one MPI is linked statically: {sorted(found)}")}
    proof = evidence_of(path, f"0x{offset:x}", ".rodata")
    return {
        key("mpi.implementation"): _known(component, proof),
        key("mpi.library.lookup"): _known("static", proof),
    }


def _no_mpi(inventory: Inventory) -> dict[str, Fact[str]]:
    if not inventory.elf:
        return {}
    nothing = Evidence("/", f"{len(inventory.elf)} ELF files", "DT_NEEDED, SONAME, .rodata")
    return {
        key("mpi.implementation"): _known("none", nothing),
        key("mpi.abi.family"): _known("none", nothing),
        key("communication.framework"): _known("none", nothing),
    }


def _abi_version(inventory: Inventory, provider: Library) -> Fact[str]:
    stem = provider.soname.split(".so")[0]
    suffix = suffix_of(provider.path, stem)
    if "." not in suffix and provider.abi:
        return _known(provider.abi, evidence_of(provider.path, "", "libtool version in .rodata"))
    if re.fullmatch(r"[0-9]+(\.[0-9]+){0,2}", suffix):
        return _known(suffix, evidence_of(provider.path, "", "file name"))
    return Unknown(f"/{provider.path} carries no version in its name")


def _pmi(inventory: Inventory, provider: Library) -> dict[str, Fact[str]]:
    clients = dict.fromkeys(provider.pmi, provider.evidence)
    linked = {"libpmi.so": "pmi1", "libpmi2.so": "pmi2", "libpmix.so": "pmix"}
    for path, elf in _mpi_parts(inventory, provider):
        for needed in elf.needed:
            for stem, client in linked.items():
                if needed.startswith(stem):
                    clients.setdefault(client, _dynamic(path, elf, needed))
        # Open MPI 3 and 4 may carry PMIx inside a plug-in: mca_pmix_pmix3x.so, mca_pmix_ext3x.so
        if posixpath.basename(path).startswith("mca_pmix_"):
            clients.setdefault("pmix", evidence_of(path, "", "file name"))
    if not clients:
        return {key("mpi.pmi"): Unknown(f"no PMI client shows in /{provider.path}")}
    return {key("mpi.pmi"): Known(",".join(sorted(clients)), tuple(clients[c] for c in sorted(clients)))}


def _frameworks(inventory: Inventory, provider: Library) -> dict[str, Fact[str]]:
    found: dict[str, Evidence] = {}
    for path, elf in _mpi_parts(inventory, provider):
        for needed in elf.needed:
            for stem, framework in _FRAMEWORKS.items():
                if needed.startswith(stem):
                    found.setdefault(framework, _dynamic(path, elf, needed))
    if not found:
        return {
            key("communication.framework"): Unknown(f"/{provider.path} links no fabric library; it may hold its own")
        }
    return {key("communication.framework"): Known(",".join(sorted(found)), tuple(found[f] for f in sorted(found)))}


def _mpi_parts(inventory: Inventory, provider: Library) -> list[tuple[str, ElfObject]]:
    """Return the provider and what belongs to its installation: plug-ins, and libraries beside it with its names."""
    folder = posixpath.dirname(provider.path)
    return [
        (path, elf)
        for path, elf in sorted(inventory.elf.items())
        if path == provider.path
        or (path.startswith(folder + "/") and re.match(r"mca_|libopen-|libopen_|libpmpi", posixpath.basename(path)))
    ]


def _lookup(inventory: Inventory, provider: Library, linked: _Linked) -> Fact[str]:
    """Return how the loader finds the provider for a program: RPATH, then RUNPATH, then the cache (ld.so(8))."""
    folder = "/" + posixpath.dirname(provider.path)
    origin = "/" + posixpath.dirname(linked.path)
    for way, folders in (
        ("rpath", linked.elf.rpath if not linked.elf.runpath else ()),
        ("runpath", linked.elf.runpath),
    ):
        for entry in folders:
            plain = posixpath.normpath(entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
            if plain == folder:
                return _known(way, evidence_of(linked.path, _offset(linked.elf, ".dynamic"), f"{way} {entry}"))
    cached = inventory.texts.get(LOADER_CACHE, b"").find(f"{folder}/{linked.soname}\0".encode())
    if cached >= 0:
        return _known("ldcache", evidence_of(LOADER_CACHE, f"0x{cached:x}", linked.soname))
    return Unknown(f"no rpath, runpath or loader cache entry leads from /{linked.path} to {folder}")


def _fabric_values(inventory: Inventory, packages: Mapping[str, tuple[Package, ...]]) -> dict[str, Fact[str]]:
    values: dict[str, Fact[str]] = {}
    for component, name in (("libfabric", "libfabric.version"), ("ucx", "ucx.version")):
        found = [lib for lib in inventory.libraries if lib.component == component]
        versions = {lib.version for lib in found}
        if len(versions) > 1:
            values[key(name)] = Unknown(f"the image holds several: {', '.join(sorted(versions))}")
        elif found:
            values[key(name)] = library_version(found[0], packages)
    needed = highest_version(inventory, "FABRIC_", needed=True) or highest_version(inventory, "FABRIC_", needed=False)
    if needed:
        values[key("libfabric.abi.version")] = needed
    collectives = [lib for lib in inventory.libraries if lib.role == "collectives"]
    if collectives:
        stated = {lib.component: library_version(lib, packages) for lib in collectives}
        known = {name: fact for name, fact in stated.items() if isinstance(fact, Known)}
        if known:
            values[key("communication.collectives")] = Known(
                ",".join(f"{name}@{fact.value}" for name, fact in sorted(known.items())),
                tuple(evidence for _, fact in sorted(known.items()) for evidence in fact.evidence),
            )
    return values


def highest_version(inventory: Inventory, prefix: str, *, needed: bool) -> Known[str] | None:
    """Return the highest symbol version with a prefix that any file needs (or defines), without the prefix."""
    best: tuple[tuple[int, ...], str, str] | None = None
    for path, elf in sorted(inventory.elf.items()):
        for name in elf.needed_versions if needed else elf.defined_versions:
            number = name[len(prefix) :]
            if name.startswith(prefix) and re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){1,2}", number):
                order = tuple(map(int, number.split(".")))
                if best is None or order > best[0]:
                    best = order, number, path
    if best is None:
        return None
    section = ".gnu.version_r" if needed else ".gnu.version_d"
    _, number, path = best
    return _known(number, evidence_of(path, _offset(inventory.elf[path], section), f"{section} {prefix}{number}"))


def _needed(linked: _Linked) -> Evidence:
    return _dynamic(linked.path, linked.elf, linked.soname)


def _dynamic(path: str, elf: ElfObject, needed: str) -> Evidence:
    return evidence_of(path, _offset(elf, ".dynamic"), f"NEEDED {needed}")


def _offset(elf: ElfObject, section: str) -> str:
    return f"0x{elf.sections[section].offset:x}" if section in elf.sections else ""


def _known(value: str, *evidence: Evidence) -> Known[str]:
    return Known(value, evidence)
