"""From the components of a lock to facts: software, target, compiler, libc, system; MPI and GPU beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hpc3.errors import InputError
from hpc3.facts import (
    Compiler,
    Component,
    CpuTarget,
    Evidence,
    Fact,
    Facts,
    Known,
    Libc,
    OperatingSystem,
    Software,
    Unknown,
)
from hpc3.tables import rows
from hpc3.targets import family, is_generic, known_targets, least_common_target

from .spack_communication import fabric_fact, mpi_fact, mpi_provider
from .spack_gpu import gpu_fact
from .spack_lock import Lock
from .spack_metadata import SpackMetadata

#: Languages in the order in which their compiler names the software's (virtuals of Spack 1.x).
_LANGUAGES = ("c", "cxx", "fortran")


def facts_from_lock(
    lock: Lock,
    *,
    document: str = "spack.lock",
    metadata: SpackMetadata | None = None,
    stated: Mapping[str, str] | None = None,
    documentation: Mapping[str, str] | None = None,
) -> Facts:
    """Return what a lock states.

    Args:
        lock: the lock.
        document: its name, for evidence and errors.
        metadata: what Spack knows of it besides; ignored where it belongs to another lock.
        stated: annotations that the person states beside the lock, value by key.
        documentation: markdown texts by documentation key.

    Raises:
        InputError: a target is unknown to archspec, no processor runs every component, or there are two MPIs.
    """
    if metadata is not None and metadata.lock != lock.digest:
        metadata = None
    components = _with_metadata(lock, metadata)
    provider = mpi_provider(components, document)
    software = _software(lock, components, document)
    main = components[lock.roots[0].id].metadata if len(lock.roots) == 1 else None
    return Facts(
        source="spack.lock",
        digest=lock.digest,
        manager=lock.manager,
        roots=tuple(_software_of(components[root.id]) for root in lock.roots),
        software=software,
        target=_target(lock, components, document),
        mpi=mpi_fact(provider, components, document),
        fabric=fabric_fact(provider, components, document),
        gpu=gpu_fact(components, document),
        compiler=_compiler(lock, components, document),
        libc=_libc(components, document),
        os=_operating_system(components, document),
        components=components,
        license=_stated_by_package(main.license if main else "", "licence", asked=metadata is not None),
        description=_stated_by_package(main.description if main else "", "description", asked=metadata is not None),
        documentation=dict(documentation or {}),
        stated=dict(stated or {}),
    )


def _with_metadata(lock: Lock, metadata: SpackMetadata | None) -> Mapping[str, Component]:
    if metadata is None:
        return lock.components
    return {
        id_: replace(component, metadata=metadata.packages.get(id_, component.metadata))
        for id_, component in lock.components.items()
    }


def _stated_by_package(value: str, what: str, *, asked: bool) -> Fact[str]:
    if value:
        return Known(value, (Evidence("package.py", "", what),))
    if asked:
        return Unknown(f"the package of the root does not state its {what}, or there are several roots")
    return Unknown(f"a lock does not hold the {what}; 'spack containerize --annotate' asks Spack for it")


def _software(lock: Lock, components: Mapping[str, Component], document: str) -> Fact[Software]:
    if len(lock.roots) > 1:
        return Unknown(f"the environment has {len(lock.roots)} roots: pick the main one with --root")
    root = components[lock.roots[0].id]
    evidence = tuple(Evidence(document, root.id, name) for name in ("name", "version", "parameters"))
    return Known(_software_of(root), evidence)


def _software_of(root: Component) -> Software:
    return Software(root.name.lower(), root.version, _variants(root))


def _variants(component: Component) -> str:
    """Return a component's variants as Spack writes them: ``+mpi~cuda build_type=Release``."""
    flags, values = [], []
    for name, value in sorted(component.variants.items()):
        if isinstance(value, bool):
            flags.append(f"{'+' if value else '~'}{name}")
        elif value not in (None, "", ()):
            values.append(f"{name}={','.join(value) if isinstance(value, tuple) else value}")
    return " ".join(("".join(flags), *values)).strip()


def _target(lock: Lock, components: Mapping[str, Component], document: str) -> Fact[CpuTarget]:
    """Return the join over the built components of the runtime closure; build-only and external ones do not count.

    Its features are those that the lock lists: archspec's own list of them changes between its versions, and a recipe
    must not change with the archspec of whoever writes it.
    """
    example: dict[str, Component] = {}
    for component in components.values():
        if component.runtime and component.external is None:
            example.setdefault(component.target, component)
    if not example:
        return Unknown("nothing is built: every component of the runtime closure is external")
    for name, component in sorted(example.items()):
        if name not in known_targets():
            raise InputError(
                f"archspec does not know the target {name!r}",
                where=f"{document}: concrete_specs.{component.id}.arch.target",
                remedy="a newer archspec may: pip install --upgrade archspec",
            )
    least = least_common_target(example)
    if len(least) != 1:
        raise _no_common_target(example, least, document)
    evidence = tuple(Evidence(document, component.id, "arch.target") for _, component in sorted(example.items()))
    name = least[0]
    return Known(CpuTarget(name, is_generic(name), family(name), lock.features.get(name, ())), evidence)


def _no_common_target(example: Mapping[str, Component], least: tuple[str, ...], document: str) -> InputError:
    for first in sorted(example):
        for second in sorted(example):
            if first < second and not least_common_target((first, second)):
                pair = " and ".join(f"{name} ({example[name].name}/{example[name].id[:7]})" for name in (first, second))
                return InputError(f"no processor runs both {pair}", where=document, remedy="pick roots with --root")
    names = ", ".join(sorted(example))
    choice = f": {', '.join(least)} would all do" if least else ""
    return InputError(f"the targets {names} have no least common one{choice}", where=document, remedy="pick --root")


def _compiler(lock: Lock, components: Mapping[str, Component], document: str) -> Fact[Compiler]:
    found: dict[tuple[str, str], Evidence] = {}
    for root in lock.roots:
        compiler = _compiler_of(components[root.id], components, document)
        if compiler:
            found.setdefault(compiler[0], compiler[1])
    if len(found) == 1:
        (name, version), evidence = found.popitem()
        return Known(Compiler(name, version), (evidence,))
    if found:
        named = " and ".join(f"{name}@{version}" for name, version in sorted(found))
        return Unknown(f"the roots were compiled by {named}")
    return Unknown("the roots name no compiler: nothing of them was compiled")


def _compiler_of(
    root: Component, components: Mapping[str, Component], document: str
) -> tuple[tuple[str, str], Evidence] | None:
    for language in _LANGUAGES:
        for edge in root.dependencies:
            if language in edge.virtuals and "build" in edge.types:
                compiler = components[edge.id]
                evidence = Evidence(document, root.id, f"dependencies.{compiler.name}.virtuals")
                return (compiler.name, compiler.version), evidence
    if root.compiler:
        name, _, version = root.compiler.partition("@")
        return (name, version), Evidence(document, root.id, "compiler")
    return None


def _libc(components: Mapping[str, Component], document: str) -> Fact[Libc]:
    found = {
        (components[edge.id].name, components[edge.id].version): Evidence(document, component.id, "dependencies.libc")
        for component in components.values()
        if component.runtime
        for edge in component.dependencies
        if "libc" in edge.virtuals
    }
    if len(found) == 1:
        (name, version), evidence = found.popitem()
        return Known(Libc(name, version), (evidence,))
    return Unknown("the components name several C libraries" if found else "no component names its C library")


def _operating_system(components: Mapping[str, Component], document: str) -> Fact[OperatingSystem]:
    systems = {component.os: component for component in components.values() if component.runtime}
    if len(systems) != 1:
        return Unknown(f"the components were concretized for {' and '.join(sorted(systems))}")
    name, component = systems.popitem()
    for row in rows("operating_systems"):
        if row["os"] == name:
            evidence = Evidence(document, component.id, "arch.platform_os")
            return Known(OperatingSystem(row["vendor"], row["version"]), (evidence,))
    return Unknown(f"the table of operating systems has no row for {name}")
