"""Which MPI the software of a lock links, and over what its ranks talk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hpc3.errors import InputError
from hpc3.facts import Component, Evidence, Fabric, Fact, Known, Mpi, Unknown
from hpc3.tables import Row, holds_for, rows

from .spack_lock import RUNTIME_EDGES, closure

_MANAGER = "spack"


@dataclass(frozen=True)
class Provider:
    """The component that provides MPI, and the evidence that it does."""

    component: Component
    evidence: Evidence


def mpi_provider(components: Mapping[str, Component], document: str) -> Provider | None:
    """Return what provides MPI to the runtime closure, or None where nothing does.

    The edge with virtual ``mpi`` decides; a root that is an MPI itself has no such edge, and lockfile 4 knows no
    virtuals: there the table of MPI packages does.

    Raises:
        InputError: the closure holds two MPIs.
    """
    found = {provider.component.id: provider for provider in _providers(components, document)}
    if len(found) > 1:
        named = " and ".join(
            sorted(f"{p.component.name}@{p.component.version}/{p.component.id[:7]}" for p in found.values())
        )
        raise InputError(f"two MPIs in one environment: {named}", where=document, remedy="pick roots with --root")
    return next(iter(found.values()), None)


def _providers(components: Mapping[str, Component], document: str) -> Iterable[Provider]:
    runtime = [component for component in components.values() if component.runtime]
    virtuals_known = False
    for component in runtime:
        for edge in component.dependencies:
            virtuals_known = virtuals_known or bool(edge.virtuals)
            if "mpi" in edge.virtuals and not RUNTIME_EDGES.isdisjoint(edge.types):
                provider = components[edge.id]
                yield Provider(provider, Evidence(document, component.id, f"dependencies.{provider.name}.virtuals"))
    for component in runtime:
        row = _mpi_row(component)
        # Compilers and languages that can bring an MPI along (nvhpc, charmpp) are "other": being a root proves nothing.
        if row and row["implementation"] != "other" and (component.root or not virtuals_known):
            yield Provider(component, Evidence(document, component.id, "name"))


def mpi_fact(provider: Provider | None, components: Mapping[str, Component], document: str) -> Fact[Mpi]:
    """Return the MPI of the runtime closure."""
    if provider is None:
        thread_mpi = _thread_mpi(components, document)
        if thread_mpi:
            return Known(Mpi("threadmpi", portability="none"), (thread_mpi,))
        return Known(Mpi("none", portability="none"), (Evidence(document, "", "roots: no edge with virtual mpi"),))
    component = provider.component
    row = _mpi_row(component)
    implementation = row["implementation"] if row else "other"
    # A compiler suite or a bundle that carries an MPI has a version of its own, which tells nothing of the MPI.
    version = component.version if row is None or row["version_is_mpi"] else ""
    abi = _abi_row(implementation, component) if version else None
    pmi = _pmi(component, components)
    return Known(
        Mpi(
            implementation=implementation,
            version=version,
            abi_family=abi["family"] if abi else "",
            abi_version=abi["abi_version"] if abi else "",
            pmi=pmi,
            gpu_aware=_gpu_aware(component),
            # A host's launcher can start the image's MPI once it speaks a PMI; more than that needs the binaries.
            portability="hybrid" if pmi else "",
            external=component.external is not None,
        ),
        (
            provider.evidence,
            Evidence(document, component.id, "version"),
            Evidence(document, component.id, "parameters"),
        ),
    )


def fabric_fact(provider: Provider | None, components: Mapping[str, Component], document: str) -> Fact[Fabric]:
    """Return over what the ranks talk, as far as the variants of MPI, libfabric and UCX decide it."""
    runtime = {c.id: c for c in components.values() if c.runtime}
    collectives = _of_role(runtime, ("nccl", "rccl", "oneccl", "ucc", "hcoll"))
    versions = {role: _single_version(_of_role(runtime, (role,))) for role in ("libfabric", "ucx")}
    frameworks = _frameworks(provider.component) if provider else ()
    if frameworks is None and not any(versions.values()) and not collectives:
        assert provider is not None
        return Unknown(f"the variants of {provider.component.name} do not say which transports were built")
    evidence = [Evidence(document, id_, "parameters") for id_ in _evidence_ids(provider, runtime)]
    return Known(
        Fabric(
            frameworks=frameworks,
            providers=tuple(sorted({*_libfabric_providers(runtime), *_ucx_transports(runtime)})),
            libfabric=versions["libfabric"],
            ucx=versions["ucx"],
            collectives=tuple(sorted(f"{role}@{component.version}" for role, component in collectives)),
        ),
        tuple(evidence) or (Evidence(document, "", "roots"),),
    )


def _evidence_ids(provider: Provider | None, runtime: Mapping[str, Component]) -> list[str]:
    ids = [component.id for _, component in _of_role(runtime, ("libfabric", "ucx"))]
    return [provider.component.id, *ids] if provider else ids


def _mpi_row(component: Component) -> Row | None:
    for row in rows("mpi_packages"):
        if row["manager"] == _MANAGER and row["package"] == component.name:
            return row
    return None


def _thread_mpi(components: Mapping[str, Component], document: str) -> Evidence | None:
    """GROMACS and its like run ranks as threads where they are built without MPI."""
    for component in components.values():
        for row in rows("thread_mpi"):
            if row["manager"] == _MANAGER and component.root and component.name == row["package"]:
                return Evidence(document, component.id, f"parameters.{row['variant']}")
    return None


def _abi_row(implementation: str, component: Component) -> Row | None:
    for row in rows("mpi_abi"):
        same = row["implementation"] == implementation and row.get("package", "") in ("", component.name)
        if same and holds_for(row, component.version):
            return row
    return None


def _pmi(provider: Component, components: Mapping[str, Component]) -> tuple[str, ...] | None:
    found: set[str] = set()
    for row in rows("mpi_pmi"):
        if provider.external is not None and row["variant"]:
            continue  # as in _gpu_aware: an external's variants may be defaults
        if row["package"] == provider.name and holds_for(row, provider.version) and _has_variant(provider, row):
            found.update(row["pmi"])
    if "pmix" in found:
        edges = {id_: component.dependencies for id_, component in components.items()}
        reached = closure(edges, [provider.id], RUNTIME_EDGES)
        version = _single_version(_of_role({id_: components[id_] for id_ in reached}, ("pmix",)))
        if version.split(".")[0].isdigit():
            found.discard("pmix")
            found.add(f"pmix_v{version.split('.')[0]}")
    return tuple(sorted(found)) or None


def _gpu_aware(provider: Component) -> tuple[str, ...] | None:
    if provider.external is not None:
        return None  # the concretizer fills an external's unstated variants with defaults: nobody looked
    stated = {name: provider.variants[name] for name in ("cuda", "rocm", "level_zero") if name in provider.variants}
    if not stated:
        return None
    names = {"level_zero": "ze"}
    return tuple(sorted(names.get(name, name) for name, on in stated.items() if on is True))


def _frameworks(provider: Component) -> tuple[str, ...] | None:
    """Return the frameworks that the provider's variants state; None where no value of them has a row."""
    is_external = provider.external is not None
    stating = [
        row
        for row in rows("mpi_transports")
        if row["package"] == provider.name
        and row["value"] in _values(provider, row["variant"])
        and holds_for(row, provider.version)
        # The default on an external is the concretizer's filling, not what somebody stated.
        and not (is_external and row["is_default"])
    ]
    overridden = {variant for row in stating for variant in row["overrides"]}
    found = {framework for row in stating if row["variant"] not in overridden for framework in row["frameworks"]}
    return tuple(sorted(found)) or None


def _libfabric_providers(runtime: Mapping[str, Component]) -> Iterable[str]:
    for _, component in _of_role(runtime, ("libfabric",)):
        yield from (f"ofi:{value}" for value in _values(component, "fabrics") if value != "none")


def _ucx_transports(runtime: Mapping[str, Component]) -> Iterable[str]:
    """Yield what the variants of UCX compile in: by default no ``verbs``, and thus nothing for InfiniBand."""
    for _, component in _of_role(runtime, ("ucx",)):
        # An external's variants are mostly the concretizer's filling, and old recipes had none of them.
        if component.external is None and "verbs" in component.variants:
            for row in rows("ucx_transports"):
                wanted = [variant for variant in (row["variant"], *row["needs"]) if variant]
                if all(component.variants.get(variant) is True for variant in wanted):
                    yield f"ucx:{row['transport']}"


def _of_role(components: Mapping[str, Component], roles: tuple[str, ...]) -> list[tuple[str, Component]]:
    names = {row["package"]: row["role"] for row in rows("fabric_packages") if row["manager"] == _MANAGER}
    return [(names[c.name], c) for c in components.values() if names.get(c.name) in roles]


def _single_version(found: list[tuple[str, Component]]) -> str:
    versions = {component.version for _, component in found}
    return versions.pop() if len(versions) == 1 else ""


def _has_variant(component: Component, row: Row) -> bool:
    return not row["variant"] or row["value"] in _values(component, row["variant"])


def _values(component: Component, variant: str) -> tuple[str, ...]:
    """Return a variant's values as text; ``true`` and ``false`` for a boolean; ``()`` where there is none."""
    value = component.variants.get(variant)
    if value is None:
        return ()
    if isinstance(value, bool):
        return (str(value).lower(),)
    return tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)
