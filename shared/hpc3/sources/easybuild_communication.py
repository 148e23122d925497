"""Which MPI the software of a record links, and over what its ranks talk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hpc3.errors import InputError
from hpc3.facts import Evidence, Fabric, Fact, Known, Mpi
from hpc3.tables import Row, holds_for, rows

from .easybuild_types import Module, Record

_COLLECTIVES = ("nccl", "rccl", "oneccl", "ucc", "hcoll")


@dataclass(frozen=True)
class Provider:
    """What provides MPI: ``module`` is None for an external module, whose name and version its metadata states."""

    name: str
    version: str
    implementation: str
    module: Module | None
    evidence: Evidence


def mpi_provider(record: Record) -> Provider | None:
    """Return what provides MPI to the requested module, or None where nothing does.

    The toolchain names it; without one (SYSTEM), and for external modules, the runtime closure is searched.

    Raises:
        InputError: the closure holds two MPIs.
    """
    found = {(provider.name, provider.version): provider for provider in _providers(record)}
    if len(found) > 1:
        named = " and ".join(f"{name} {version}" for name, version in sorted(found))
        raise InputError(f"two MPIs in one closure: {named}", where="record.json", remedy="ask for one of their users")
    return next(iter(found.values()), None)


def _providers(record: Record) -> Iterator[Provider]:
    root = record.modules[record.requested]
    for module in record.modules.values():
        named = module.name in root.toolchain.mpi_modules
        row = _mpi_row(module.name, "easybuild")
        # A compiler suite that carries an MPI (NVHPC) provides it only where the toolchain says so.
        if module.runtime and (named or (row is not None and row["version_is_mpi"])):
            field = "toolchain" if named else "name"
            evidence = Evidence(module.easyconfig, module.module, field)
            own = row is None or row["version_is_mpi"]
            yield Provider(module.name, module.version if own else "", _word(row), module, evidence)
    for module in record.modules.values():
        for edge in module.dependencies if module.runtime else ():
            for name, version in edge.external or ():
                row = _mpi_row(name, "easybuild") or _mpi_row(name.lower(), "spack")
                if row is not None and row["version_is_mpi"]:
                    evidence = Evidence("external modules metadata", edge.module, "name")
                    yield Provider(name, version, _word(row), None, evidence)


def _word(row: Row | None) -> str:
    return str(row["implementation"]) if row else "other"


def _mpi_row(name: str, manager: str) -> Row | None:
    for row in rows("mpi_packages"):
        if row["manager"] == manager and row["package"] == name:
            return row
    return None


def mpi_fact(provider: Provider | None, record: Record) -> Fact[Mpi]:
    """Return the MPI of the requested module."""
    root = record.modules[record.requested]
    threads = _thread_mpi(root)
    if threads or provider is None:
        evidence = Evidence(root.easyconfig, root.module, "toolchainopts.usempi" if threads else "toolchain")
        return Known(Mpi("threadmpi" if threads else "none", portability="none"), (evidence,))
    abi = _abi_row(provider)
    pmi = _pmi(provider, record)
    external = provider.module is None or provider.module.wrapper
    return Known(
        Mpi(
            implementation=provider.implementation,
            version=provider.version,
            abi_family=abi["family"] if abi else "",
            abi_version=abi["abi_version"] if abi else "",
            pmi=pmi,
            # A host's launcher can start the image's MPI once it speaks a PMI; more than that needs the binaries.
            portability="hybrid" if pmi and not external else "",
            external=external,
        ),
        (provider.evidence,),
    )


def _thread_mpi(root: Module) -> bool:
    """Whether the software runs ranks as threads: GROMACS does where MPI is off, even in a toolchain that has one."""
    known = any(row["manager"] == "easybuild" and row["package"] == root.name for row in rows("thread_mpi"))
    return known and root.toolchain.options.get("usempi") is not True


def _abi_row(provider: Provider) -> Row | None:
    """Return the row of the MPI's ABI; where a package has rows of its own, the others do not hold for it."""
    table = [row for row in rows("mpi_abi") if row["implementation"] == provider.implementation]
    own = [row for row in table if row["package"] == provider.name.lower()]
    for row in own or [row for row in table if not row["package"]]:
        if provider.version and holds_for(row, provider.version):
            return row
    return None


def _pmi(provider: Provider, record: Record) -> tuple[str, ...] | None:
    """Return the PMI that the MPI's easyblock builds in: the PMIx among its dependencies."""
    found = set()
    for row, dependency in _choices(provider, record):
        if row["pmi"]:
            found.add(f"{row['pmi']}_v{dependency.version.split('.')[0]}")
    return tuple(sorted(found)) or None


def _choices(provider: Provider, record: Record) -> Iterator[tuple[Row, Module]]:
    """Return the dependencies from which the easyblock of the MPI chooses what it builds in."""
    if provider.module is None or provider.module.wrapper:
        return
    dependencies = [record.modules.get(edge.module) for edge in provider.module.dependencies if "run" in edge.types]
    for row in rows("easybuild_mpi_choices"):
        for dependency in dependencies:
            if dependency and row["package"] == provider.name and row["dependency"] == dependency.name:
                yield row, dependency


def fabric_fact(provider: Provider | None, record: Record) -> Fact[Fabric]:
    """Return over what the ranks talk, as far as the dependencies of the MPI decide it."""
    found = [(role, module) for module in record.modules.values() if module.runtime for role in _roles(module)]
    frameworks: tuple[str, ...] | None = ()
    if provider is not None:
        chosen = {str(row["framework"]) for row, _ in _choices(provider, record) if row["framework"]}
        frameworks = tuple(sorted(chosen)) or None
    root = record.modules[record.requested]
    evidence = [Evidence(module.easyconfig, module.module, "version") for _, module in found]
    return Known(
        Fabric(
            frameworks=frameworks,
            libfabric=_version(found, "libfabric"),
            ucx=_version(found, "ucx"),
            collectives=tuple(sorted({f"{role}@{m.version}" for role, m in found if role in _COLLECTIVES})),
        ),
        tuple(evidence) or (Evidence(root.easyconfig, root.module, "dependencies"),),
    )


def _roles(module: Module) -> Iterator[str]:
    for row in rows("fabric_packages"):
        if row["manager"] == "easybuild" and row["package"] == module.name:
            yield str(row["role"])


def _version(found: list[tuple[str, Module]], role: str) -> str:
    versions = {module.version for name, module in found if name == role}
    return versions.pop() if len(versions) == 1 else ""
