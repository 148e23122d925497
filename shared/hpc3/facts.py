"""Facts: typed statements about the software in an image, each with the evidence for it.

A fact is `Known` or `Unknown`; unknown is a value with a reason, never a missing key and never a guess. The types
say nothing about Spack, EasyBuild or OCI: ``sources`` makes them, everything to the right reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Optional, TypeVar, Union

T = TypeVar("T")


@dataclass(frozen=True)
class Evidence:
    """Where a fact came from.

    Attributes:
        document: the kind of file, such as ``spack.lock``, ``spack.yaml``, an easyconfig's name, a path in an image.
        node: what in it: a Spack hash, a module name, an offset; empty for the document itself.
        field: the path below the node, such as ``arch.target`` or ``dependencies.mpi``.
    """

    document: str
    node: str = ""
    field: str = ""

    def __str__(self) -> str:
        return ":".join(part for part in (self.document, self.node, self.field) if part)


@dataclass(frozen=True)
class Known(Generic[T]):
    """A fact that is known: its value, and at least one piece of evidence."""

    value: T
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Unknown:
    """A fact that is not known, and why; the reason is shown to people."""

    reason: str


Fact = Union[Known[T], Unknown]


@dataclass(frozen=True)
class Software:
    """The main application of an image, or one of its roots.

    Attributes:
        name: lower case, as the package manager spells it.
        version: as the package manager spells it; need not be numeric (``develop``).
        variants: the build choices in the manager's own syntax (``+mpi~cuda cuda_arch=80``).
        title: as people write it, where the manager keeps that (``GROMACS``); empty elsewhere.
    """

    name: str
    version: str
    variants: str = ""
    title: str = ""


@dataclass(frozen=True)
class CpuTarget:
    """The CPU microarchitecture that the whole runtime closure needs: the join in archspec's order.

    Attributes:
        name: archspec name (``zen3``, ``x86_64_v3``).
        generic: whether archspec calls it a generic target (vendor ``generic``).
        family: archspec family (``x86_64``, ``aarch64``, ``ppc64le``, ``riscv64``).
        features: CPU features that archspec lists for it, sorted; may be empty (archspec lists none for some).
    """

    name: str
    generic: bool
    family: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mpi:
    """The MPI that the software links.

    Attributes:
        implementation: a value of the vocabulary: ``none``, ``threadmpi``, ``openmpi``, …, ``other``.
        version: empty for ``none`` and ``threadmpi``.
        abi_family: ``mpich``, ``openmpi``, ``mpi-abi``, ``none``; empty when not known.
        abi_version: what follows ``libmpi.so.`` as far as the release decides it; empty when not known.
        pmi: PMI clients supported (``pmix_v5``, ``pmi1``); None when not known, ``()`` for none.
        gpu_aware: ``cuda``, ``rocm``, ``ze``; None when not known, ``()`` for none.
        portability: ``container``, ``hybrid``, ``bind``, ``replace``, ``none``; empty when not known.
        lookup: how the loader finds the library: ``ldcache``, ``runpath``, ``rpath``, ``static``; empty: not known.
        external: whether the library is not in the image unless the recipe installs it.
    """

    implementation: str
    version: str = ""
    abi_family: str = ""
    abi_version: str = ""
    pmi: Optional[tuple[str, ...]] = None
    gpu_aware: Optional[tuple[str, ...]] = None
    portability: str = ""
    lookup: str = ""
    external: bool = False


@dataclass(frozen=True)
class Fabric:
    """How ranks talk.

    Attributes:
        frameworks: ``libfabric``, ``ucx``, ``verbs``, ``psm2``, ``psm3``, ``portals4``, ``tcp``, ``shm``; sorted;
            empty: there is no MPI; None when not known.
        providers: ``ofi:tcp``, ``ucx:rc``, …; sorted; empty when not known.
        libfabric: version, empty when absent or unknown.
        ucx: version, empty when absent or unknown.
        collectives: ``nccl@2.21.5``, …; sorted.
    """

    frameworks: Optional[tuple[str, ...]]
    providers: tuple[str, ...] = ()
    libfabric: str = ""
    ucx: str = ""
    collectives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gpu:
    """The GPUs that the software was built for.

    Attributes:
        vendors: ``nvidia``, ``amd``, ``intel``; sorted; empty: built for no GPU.
        runtimes: ``cuda``, ``rocm``, …; sorted.
        architectures: native code objects (``sm_80``, ``gfx90a``); sorted; empty when not known.
        cuda: toolkit version; empty when there is none.
        rocm: version; empty when there is none.
        driver_min: least host driver version; empty when not known.
        driver_mode: ``inject``, ``compat``, ``bundled``; empty when not known.
    """

    vendors: tuple[str, ...]
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    cuda: str = ""
    rocm: str = ""
    driver_min: str = ""
    driver_mode: str = ""


@dataclass(frozen=True)
class Compiler:
    """What compiled the main software; ``toolchain`` is EasyBuild's name-version, empty elsewhere."""

    name: str
    version: str
    toolchain: str = ""


@dataclass(frozen=True)
class Libc:
    """The C library that the software was built against."""

    name: str
    version: str


@dataclass(frozen=True)
class OperatingSystem:
    """The system that the software was built for: os-release's ID and as much of VERSION_ID as is known."""

    vendor: str
    version: str


@dataclass(frozen=True)
class Manager:
    """What installs the software: ``spack``, ``easybuild``, …, its version and, where known, its exact commit."""

    name: str
    version: str = ""
    commit: str = ""


@dataclass(frozen=True)
class Dependency:
    """An edge to another component.

    Attributes:
        id: identifier of the component that is depended upon.
        types: ``build``, ``link``, ``run``, ``test``; sorted.
        virtuals: interfaces it provides on this edge (``mpi``, ``c``, ``libc``); sorted.
    """

    id: str
    types: tuple[str, ...]
    virtuals: tuple[str, ...] = ()


@dataclass(frozen=True)
class External:
    """A component that was not built but found on the build host: its prefix and modules."""

    path: str
    modules: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageMetadata:
    """What only the package manager's own recipes know; each field is empty when not known.

    Attributes:
        license: SPDX expression.
        homepage: URL.
        description: one line.
        source_url: where the source is fetched from.
        source_sha256: its checksum, lower-case hex.
    """

    license: str = ""
    homepage: str = ""
    description: str = ""
    source_url: str = ""
    source_sha256: str = ""


@dataclass(frozen=True)
class Component:
    """One package of the closure, as it was resolved.

    Attributes:
        id: what tells it from every other: a Spack DAG hash, an EasyBuild module name.
        name: package name as the manager spells it.
        version: as the manager spells it.
        namespace: package repository (``builtin``); empty where the manager has none.
        target: archspec name; empty when not known.
        os: the manager's name of the operating system (``debian12``); empty when not known.
        runtime: in the link/run closure of the roots.
        root: asked for by name.
        external: set where it is not built.
        compiler: ``name@version``; empty when not known.
        variants: as the manager states them; values are strings, booleans, numbers or lists of strings.
        patches: SHA-256 of each patch, in order.
        dependencies: sorted by id.
        metadata: what the manager's recipes know, where they were asked.
        purl: package URL where the source knows a closer one than the manager's (``pkg:pypi/numpy@1.26.4``).
    """

    id: str
    name: str
    version: str
    namespace: str = ""
    target: str = ""
    os: str = ""
    runtime: bool = False
    root: bool = False
    external: Optional[External] = None
    compiler: str = ""
    variants: Mapping[str, object] = field(default_factory=dict)
    patches: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    metadata: PackageMetadata = PackageMetadata()
    purl: str = ""


@dataclass(frozen=True)
class Facts:
    """Everything that one source states about the software of one image.

    Attributes:
        source: kind of source: ``spack.lock``, ``easyconfig``, ``record``, ``rootfs``, ``hpccm``.
        digest: ``sha256:…`` of the source document's bytes; empty when there is no such document.
        manager: what installs the software.
        roots: what was asked for, in the order of the source.
        components: every component by id, runtime and build-only, sorted by (name, version, id).
        documentation: vocabulary's documentation keys without prefix (``readme``, ``howto.run``) to markdown text.
        stated: annotations that a person stated beside the source (labels of ``spack.yaml``), key to value.
    """

    source: str
    digest: str
    manager: Manager
    roots: tuple[Software, ...]
    software: Fact[Software]
    target: Fact[CpuTarget]
    mpi: Fact[Mpi]
    fabric: Fact[Fabric]
    gpu: Fact[Gpu]
    compiler: Fact[Compiler]
    libc: Fact[Libc]
    os: Fact[OperatingSystem]
    components: Mapping[str, Component]
    license: Fact[str] = Unknown("the source does not state a licence")
    description: Fact[str] = Unknown("the source does not state a description")
    documentation: Mapping[str, str] = field(default_factory=dict)
    stated: Mapping[str, str] = field(default_factory=dict)

    def runtime(self) -> dict[str, Component]:
        """Return the components of the runtime closure by id, in the order of `components`."""
        return {id_: component for id_, component in self.components.items() if component.runtime}
