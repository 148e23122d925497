"""Fingerprint: what a host is, as far as containers care; made by ``host``, read by ``consume``.

None says "not known" and `Fingerprint.unknown` says why; an empty tuple says "known not to be there". A fingerprint
holds no host name, user, address or serial number unless a person gave it a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Version of the JSON form; readers accept every document with the same number after the slash.
SCHEMA = "hpc3.fingerprint/1"


@dataclass(frozen=True)
class Cpu:
    """The processor of a host.

    Attributes:
        family: archspec family (``x86_64``, ``aarch64``, ``ppc64le``, ``riscv64``), else what ``uname -m`` says.
        target: the nearest archspec target; the family's own name where archspec knows nothing nearer.
        vendor: as archspec spells it (``GenuineIntel``, ``ARM``); ``generic`` when not known.
        flags: what the kernel reports, in archspec's spelling, sorted; None where a family reports none.
        model: what the vendor calls it, for people; empty when not known.
    """

    family: str
    target: str
    vendor: str = "generic"
    flags: tuple[str, ...] | None = None
    model: str = ""


@dataclass(frozen=True)
class Kernel:
    """The kernel and what it lets a container do.

    Attributes:
        version: as ``uname -r`` prints it.
        page_size: bytes; None when not known.
        modules: modules that matter to HPC images and are loaded or built in, sorted; None when not known.
        user_namespaces: whether an ordinary user may create one; None when not known.
        cgroup: ``v1``, ``v2``, ``hybrid``; empty when not known.
    """

    version: str
    page_size: int | None = None
    modules: tuple[str, ...] | None = None
    user_namespaces: bool | None = None
    cgroup: str = ""


@dataclass(frozen=True)
class HostLibc:
    """The host's C library: ``glibc`` or ``musl``, and its version."""

    name: str
    version: str


@dataclass(frozen=True)
class HostGpu:
    """Equal GPUs of a host.

    Attributes:
        vendor: ``nvidia``, ``amd``, ``intel``.
        model: product name; empty when not known.
        architecture: ``sm_80``, ``gfx90a``; empty when not known.
        count: how many; at least 1.
        driver: version of the kernel driver; empty when not known.
        brand: NVIDIA's product brand (``tesla``, ``geforce``); empty when not known.
        rocm: ROCm release on the host, which AMD's kernel driver came with; empty when not known.
    """

    vendor: str
    model: str = ""
    architecture: str = ""
    count: int = 1
    driver: str = ""
    brand: str = ""
    rocm: str = ""


@dataclass(frozen=True)
class HostFabric:
    """A kind of network card: ``cxi``, ``efa``, ``hfi1``, ``mlx5``, ``mlx4``, ``irdma``, … and how many ports."""

    kind: str
    count: int = 1


@dataclass(frozen=True)
class HostLibrary:
    """A shared library of the host that may be put into a container.

    Attributes:
        name: ``libfabric``, ``ucx``, ``pmix``, ``pmi2``.
        soname: such as ``libfabric.so.1``.
        path: where it is, without the user's name.
        abi: highest versioned symbol set that it offers (``FABRIC_1.6`` gives ``1.6``); empty when not known.
        glibc: highest ``GLIBC_x.y`` that it needs; empty when not known.
    """

    name: str
    soname: str
    path: str
    abi: str = ""
    glibc: str = ""


@dataclass(frozen=True)
class HostMpi:
    """An MPI installation of the host.

    Attributes:
        implementation: a value of the vocabulary (``mpich``, ``openmpi``, ``cray-mpich``, …).
        version: empty when not known.
        abi_family: ``mpich``, ``openmpi``, ``mpi-abi``; empty when not known.
        soname: of the C library, such as ``libmpi.so.12``.
        abi_version: suffix of the real file, such as ``12.2.2``; may be shorter; empty when there is none.
        path: of the C library, without the user's name.
        glibc: highest ``GLIBC_x.y`` that the library needs; empty when not known.
        fabric_abi: highest ``FABRIC_x.y`` that the library needs; empty when it needs none or it is not known.
    """

    implementation: str
    version: str = ""
    abi_family: str = ""
    soname: str = ""
    abi_version: str = ""
    path: str = ""
    glibc: str = ""
    fabric_abi: str = ""


@dataclass(frozen=True)
class Launcher:
    """What starts ranks, and the PMI flavours that it serves.

    Attributes:
        name: ``slurm``, ``flux``, ``jsm`` (IBM's jsrun), ``none`` where nothing does, ``mixed`` of several hosts.
        version: empty when not known.
        pmi: in the launcher's own words (``pmi2``, ``pmix_v4``, ``cray_shasta``); None when not known.
    """

    name: str
    version: str = ""
    pmi: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ContainerRuntime:
    """A container engine on the host and its version (empty when not known)."""

    name: str
    version: str = ""


@dataclass(frozen=True)
class Limits:
    """Limits that a process inherits: locked memory in KiB (-1: unlimited), size of /dev/shm in MiB; None: unknown."""

    memlock: int | None = None
    shm: int | None = None


@dataclass(frozen=True)
class Fingerprint:
    """Everything that one host, or the weakest common host of several, states about itself.

    Attributes:
        name: given by a person; empty: anonymous.
        devices: device files and CDI names that HPC images ask for and that are there, sorted.
        unknown: name of an attribute above that is None, to the reason.
    """

    name: str = ""
    cpu: Cpu | None = None
    kernel: Kernel | None = None
    libc: HostLibc | None = None
    gpus: tuple[HostGpu, ...] | None = None
    fabrics: tuple[HostFabric, ...] | None = None
    libraries: tuple[HostLibrary, ...] | None = None
    mpis: tuple[HostMpi, ...] | None = None
    launcher: Launcher | None = None
    runtimes: tuple[ContainerRuntime, ...] | None = None
    devices: tuple[str, ...] | None = None
    limits: Limits | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)

    def why_unknown(self, attribute: str) -> str:
        """Return why an attribute is None, for a person."""
        return self.unknown.get(attribute, "the fingerprint does not state it")


def host_line(host: Fingerprint) -> str:
    """Return a host in one line for a person: name, processor, GPUs, network, C library, launcher."""
    parts = [host.name] if host.name else []
    parts.append(host.cpu.target if host.cpu else "cpu unknown")
    if host.gpus is None:
        parts.append("GPUs unknown")
    else:
        listed = [f"{gpu.count}x {gpu.model or gpu.vendor} {gpu.architecture}".strip() for gpu in host.gpus]
        parts.append(", ".join(listed) or "no GPU")
    if host.fabrics:
        parts.append("+".join(fabric.kind for fabric in host.fabrics))
    if host.libc:
        parts.append(f"{host.libc.name} {host.libc.version}".strip())
    if host.launcher and host.launcher.name != "none":
        parts.append(f"{host.launcher.name} {','.join(host.launcher.pmi or ()) or 'PMI unknown'}")
    return " · ".join(parts)
