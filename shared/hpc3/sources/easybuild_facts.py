"""From a record to facts; MPI and fabrics, processor and GPU beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from hpc3.facts import (
    Compiler,
    Component,
    Dependency,
    Evidence,
    External,
    Fact,
    Facts,
    Gpu,
    Known,
    Manager,
    OperatingSystem,
    PackageMetadata,
    Software,
    Unknown,
)
from hpc3.tables import Row, rows
from hpc3.versions import version_numbers

from .easybuild_communication import fabric_fact, mpi_fact, mpi_provider
from .easybuild_target import module_target, target_fact
from .easybuild_types import Module, Part, Record
from .spack_gpu import least_driver


def facts_from_record(record: Record, documentation: Mapping[str, str] | None = None) -> Facts:
    """Return what a record states of the module that was asked for and its closure.

    Raises:
        InputError: a target is unknown to archspec, no processor runs every module, or there are two MPIs.
    """
    targets = {name: module_target(module, record) for name, module in record.modules.items()}
    root = record.modules[record.requested]
    software = _software(root)
    provider = mpi_provider(record)
    components = [component for module in record.modules.values() for component in _components(module, record, targets)]
    by_id = {component.id: component for component in sorted(components, key=_order)}
    return Facts(
        source="record",
        digest=record.digest,
        manager=Manager("easybuild", record.easybuild),
        roots=(software,),
        software=Known(software, tuple(Evidence(root.easyconfig, root.module, name) for name in ("name", "version"))),
        target=target_fact(record, targets),
        mpi=mpi_fact(provider, record),
        fabric=fabric_fact(provider, record),
        gpu=_gpu(record),
        compiler=_compiler(record),
        libc=Unknown("the easyconfigs do not name the C library: the base image brings it"),
        os=_operating_system(record),
        components=by_id,
        license=_license(root),
        description=_description(root),
        documentation=dict(documentation or {}),
    )


def _order(component: Component) -> tuple[str, str, str]:
    return component.name, component.version, component.id


def _software(root: Module) -> Software:
    variants = f"toolchain={_toolchain(root)}"
    if root.versionsuffix:
        variants += f" versionsuffix={root.versionsuffix}"
    return Software(root.name.lower(), root.version, variants, title=root.name)


def _toolchain(module: Module) -> str:
    return "SYSTEM" if module.toolchain.system else f"{module.toolchain.name}-{module.toolchain.version}"


def _components(module: Module, record: Record, targets: Mapping[str, str | Unknown]) -> Iterable[Component]:
    """Return a module, what it holds inside (parts and extensions), and the external modules that it names."""
    parts = () if module.is_system_or_parts else module.parts
    inside = [*_inside(module, parts), *_inside(module, module.extensions)]
    target = targets[module.module]
    edges = [Dependency(edge.module, edge.types) for edge in module.dependencies]
    edges += [Dependency(component.id, ("run",)) for component in inside]
    yield Component(
        id=module.module,
        name=module.name,
        version=module.version,
        target=target if isinstance(target, str) else "",
        runtime=module.runtime,
        root=module.module == record.requested,
        external=External(_wrapped_prefix(module, record)) if module.wrapper else None,
        compiler="" if module.toolchain.system else "@".join(_compiler_of(module, record) or ("", "")).strip("@"),
        variants={"toolchain": _toolchain(module), "versionsuffix": module.versionsuffix},
        patches=tuple(patch.sha256 for patch in module.patches if patch.sha256),
        dependencies=tuple(sorted(edges, key=lambda edge: edge.id)),
        metadata=_metadata(module),
    )
    yield from inside
    for edge in module.dependencies:
        if edge.external is not None:
            name, version = edge.external[0] if edge.external else (edge.module.split("/")[0], "")
            runtime = module.runtime and "run" in edge.types
            yield Component(edge.module, name, version, runtime=runtime, external=External(edge.prefix, (edge.module,)))


def _wrapped_prefix(module: Module, record: Record) -> str:
    values = (record.environment or {}).get(root_variable(module.name), ("",))
    return values[0]


def root_variable(name: str) -> str:
    """Return the variable in which a module gives its prefix (easybuild/tools/filetools.py, ``convert_name``)."""
    return "EBROOT" + name.replace("+", "plus").replace("-", "min").replace(".", "").upper()


def _inside(module: Module, parts: Iterable[Part]) -> Iterable[Component]:
    types = {row["class"]: str(row["purl_type"]) for row in rows("easybuild_extensions")}
    for part in parts:
        yield Component(
            id=f"{module.module}::{part.name}@{part.version}",
            name=part.name,
            version=part.version,
            runtime=module.runtime,
            purl=_purl(types.get(part.class_, ""), part),
            metadata=PackageMetadata(source_url=part.urls[0] if part.urls else "", source_sha256=part.sha256),
        )


def _purl(type_: str, part: Part) -> str:
    """Return the package URL of an extension in its registry; empty where no registry is known for it.

    The rules per type are those of https://github.com/package-url/purl-spec/tree/main/types.
    """
    if not type_ or any("bioconductor" in url for url in part.urls):
        return ""
    name = part.name.replace("::", "-")
    if type_ == "pypi":
        name = name.lower().replace("_", "-")
    return f"pkg:{type_}/{quote(name, safe='')}" + (f"@{quote(part.version, safe='')}" if part.version else "")


def _metadata(module: Module) -> PackageMetadata:
    first = module.sources[0] if module.sources else None
    license_ = _license(module)
    return PackageMetadata(
        license=license_.value if isinstance(license_, Known) else "",
        homepage=module.homepage if module.homepage.startswith(("http://", "https://")) else "",
        description=module.description[:512],
        source_url=first.urls[0] if first and first.urls else "",
        source_sha256=first.sha256 if first else "",
    )


def _license(module: Module) -> Fact[str]:
    """Return the licence as an SPDX expression: what the easyconfig states, else what the table knows by name."""
    for row in rows("easybuild_licenses"):
        if row["kind"] == "license" and row["name"] == module.license:
            return Known(str(row["spdx"]), (Evidence(module.easyconfig, module.module, "software_license"),))
    for row in rows("easybuild_licenses"):
        if row["kind"] == "software" and row["name"] == module.name:
            return Known(str(row["spdx"]), (Evidence("easybuild_licenses.json", module.name, "spdx"),))
    return Unknown("the easyconfig states no licence, and the table of licences has no row for it")


def _operating_system(record: Record) -> Fact[OperatingSystem]:
    if not record.host_os:
        return Unknown("the recording host has no /etc/os-release")
    return Known(OperatingSystem(*record.host_os), (Evidence("record.json", "", "session.host"),))


def _description(root: Module) -> Fact[str]:
    if not root.description:
        return Unknown("the easyconfig states no description")
    return Known(root.description[:512], (Evidence(root.easyconfig, root.module, "description"),))


def _compiler(record: Record) -> Fact[Compiler]:
    root = record.modules[record.requested]
    if root.toolchain.system:
        return Unknown("the toolchain is SYSTEM: whatever compiler the build host has")
    found = _compiler_of(root, record)
    if found is None:
        return Unknown(f"the runtime closure holds no compiler of the toolchain {_toolchain(root)}")
    return Known(Compiler(*found, toolchain=_toolchain(root)), (Evidence(root.easyconfig, root.module, "toolchain"),))


def _compiler_of(module: Module, record: Record) -> tuple[str, str] | None:
    """Return the compiler's name in the field's words and its version, from the module that the toolchain names."""
    words = {"GCCcore": "gcc"}
    for compiler in record.modules.values():
        if compiler.runtime and compiler.name in module.toolchain.compiler_modules:
            return words.get(compiler.name, compiler.name.lower()), compiler.version
    return None


def _gpu(record: Record) -> Fact[Gpu]:
    runtime = [module for module in record.modules.values() if module.runtime]
    found = [(row, module) for module in runtime for row in _gpu_rows(module)]
    root = record.modules[record.requested]
    if not found:
        return Known(Gpu(vendors=()), (Evidence(root.easyconfig, root.module, "dependencies"),))
    cuda, rocm = (_versions(found, name) for name in ("cuda", "rocm"))
    for name, versions in (("CUDA", cuda), ("ROCm", rocm)):
        if len(versions) > 1:
            return Unknown(f"the closure holds {name} {' and '.join(versions)}")
    users = _users(runtime, {module.module for _, module in found}, record.requested)
    modes = {row["driver_mode"] for row, _ in found if row["driver_mode"]}
    return Known(
        Gpu(
            vendors=tuple(sorted({row["vendor"] for row, _ in found})),
            runtimes=tuple(sorted({row["runtime"] for row, _ in found})),
            architectures=_architectures(users, {row["runtime"] for row, _ in found}),
            cuda="".join(cuda),
            rocm="".join(rocm),
            driver_min=least_driver(cuda[0]) if cuda else "",
            driver_mode=modes.pop() if len(modes) == 1 else "",
        ),
        tuple(Evidence(module.easyconfig, module.module, "version") for _, module in found)
        + tuple(Evidence(m.easyconfig, m.module, "cuda_compute_capabilities") for m in users if m.cuda),
    )


def _gpu_rows(module: Module) -> Iterable[Row]:
    return (row for row in rows("gpu_runtimes") if row["manager"] == "easybuild" and row["package"] == module.name)


def _versions(found: Iterable[tuple[Row, Module]], what: str) -> list[str]:
    versions = {module.version for row, module in found if row["version_of"] == what}
    return sorted(sorted(versions), key=version_numbers)


def _users(runtime: Iterable[Module], providers: set[str], requested: str) -> list[Module]:
    """Return the modules that decide the architectures: the requested one, where it uses a GPU runtime, else all users.

    What NCCL was told says nothing of a PyTorch that was told nothing and chose for itself.
    """
    users = [m for m in runtime if any(edge.module in providers for edge in m.dependencies) and m.sources]
    return [m for m in users if m.module == requested] or users


def _architectures(users: Iterable[Module], runtimes: set[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for module in users:
        if "cuda" in runtimes:
            found.update(f"sm_{capability.replace('.', '')}" for capability in module.cuda)
        if "rocm" in runtimes:
            found.update(module.amdgcn)
    return tuple(sorted(found))
