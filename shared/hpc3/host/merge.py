"""The weakest common host of several: what an image may rely on wherever the scheduler puts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hpc3.errors import InputError
from hpc3.fingerprint import (
    ContainerRuntime,
    Cpu,
    Fingerprint,
    HostFabric,
    HostGpu,
    HostLibc,
    HostLibrary,
    HostMpi,
    Kernel,
    Launcher,
    Limits,
)
from hpc3.versions import version_numbers

from .cpu import nearest_target

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True)
class Difference:
    """An attribute in which hosts differ: the value that most have, and the hosts that have another one."""

    attribute: str
    common: str
    others: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        named = ", ".join(f"{host} has {value}" for host, value in self.others)
        return f"{self.attribute}: most have {self.common}; {named}"


def weakest_common_host(hosts: Sequence[tuple[str, Fingerprint]], name: str = "") -> Fingerprint:
    """Return the host that promises only what every one of ``hosts`` promises; unknown in one is unknown in all.

    Args:
        hosts: a name (its file) and a fingerprint each; at least one.
        name: what to call the result.

    Raises:
        InputError: there is no host, or their processors are of different families.
    """
    if not hosts:
        raise InputError("no host was given to merge")
    unknown: dict[str, str] = {}

    def common(attribute: str, merge: Callable[[list[T]], T]) -> T | None:
        missing = [(label, host) for label, host in hosts if getattr(host, attribute) is None]
        if missing:
            label, host = missing[0]
            unknown[attribute] = f"{label}: {host.why_unknown(attribute)}"
            return None
        return merge([getattr(host, attribute) for _, host in hosts])

    merged = Fingerprint(
        name=name,
        cpu=common("cpu", _cpu),
        kernel=common("kernel", _kernel),
        libc=common("libc", _libc),
        gpus=common("gpus", _gpus),
        fabrics=common("fabrics", _fabrics),
        libraries=common("libraries", _libraries),
        mpis=common("mpis", _mpis),
        launcher=common("launcher", _launcher),
        runtimes=common("runtimes", _runtimes),
        devices=common("devices", _intersection),
        limits=common("limits", _limits),
    )
    return replace(merged, unknown=unknown)


def differences(hosts: Sequence[tuple[str, Fingerprint]]) -> tuple[Difference, ...]:
    """Return the attributes in which the hosts differ, sorted, naming those that are not like most."""
    found = []
    for attribute, shown in _SHOWN.items():
        values = [(label, shown(host)) for label, host in hosts]
        counts = Counter(value for _, value in values)
        # The most frequent value; of equally frequent ones the first in order, so that the result does not wander.
        usual = min(counts, key=lambda value: (-counts[value], value))
        others = tuple((label, value) for label, value in values if value != usual)
        if others:
            found.append(Difference(attribute, usual, others))
    return tuple(found)


def _cpu(cpus: list[Cpu]) -> Cpu:
    families = sorted({cpu.family for cpu in cpus})
    if len(families) > 1:
        raise InputError(
            f"the hosts are of different families: {', '.join(families)}", remedy="merge one partition at a time"
        )
    first = cpus[0]
    if all(cpu.target == first.target and cpu.flags == first.flags for cpu in cpus):
        return first
    flags = None if any(cpu.flags is None for cpu in cpus) else _intersection([cpu.flags or () for cpu in cpus])
    vendor = _same(cpu.vendor for cpu in cpus) or "generic"
    # Without flags (POWER, RISC-V) the weaker of two named targets is the older one; archspec's order is not asked
    # here: the family alone is safe.
    target = nearest_target(first.family, vendor, flags)
    return Cpu(first.family, target, vendor, flags, _same(cpu.model for cpu in cpus))


def _kernel(kernels: list[Kernel]) -> Kernel:
    page_sizes = {kernel.page_size for kernel in kernels}
    allowed = {kernel.user_namespaces for kernel in kernels}
    return Kernel(
        version=min((kernel.version for kernel in kernels), key=version_numbers),
        page_size=page_sizes.pop() if len(page_sizes) == 1 else None,
        modules=None if any(k.modules is None for k in kernels) else _intersection([k.modules or () for k in kernels]),
        user_namespaces=False if False in allowed else None if None in allowed else True,
        cgroup=_same(kernel.cgroup for kernel in kernels),
    )


def _libc(libcs: list[HostLibc]) -> HostLibc:
    # Host libraries are put into containers: the newest C library is the most demanding one.
    name = _same(libc.name for libc in libcs)
    return HostLibc(name or "mixed", max((libc.version for libc in libcs), key=version_numbers) if name else "")


def _gpus(groups: list[tuple[HostGpu, ...]]) -> tuple[HostGpu, ...]:
    kept = []
    for vendor, architecture in _shared(groups, lambda gpu: (gpu.vendor, gpu.architecture)):
        like = [g for group in groups for g in group if (g.vendor, g.architecture) == (vendor, architecture)]
        kept.append(
            HostGpu(
                vendor,
                _same(gpu.model for gpu in like),
                architecture,
                min(gpu.count for gpu in like),
                _least(gpu.driver for gpu in like),
                _same(gpu.brand for gpu in like),
                _least(gpu.rocm for gpu in like),
            )
        )
    return tuple(kept)


def _fabrics(groups: list[tuple[HostFabric, ...]]) -> tuple[HostFabric, ...]:
    counts = [{fabric.kind: fabric.count for fabric in group} for group in groups]
    return tuple(HostFabric(kind, min(c[kind] for c in counts)) for kind in _shared(groups, lambda f: f.kind))


def _libraries(groups: list[tuple[HostLibrary, ...]]) -> tuple[HostLibrary, ...]:
    first = {library.soname: library for group in groups for library in reversed(group)}
    kept = []
    for soname in _shared(groups, lambda library: library.soname):
        like = [library for group in groups for library in group if library.soname == soname]
        abi = min((library.abi for library in like), key=version_numbers)
        glibc = max((library.glibc for library in like), key=version_numbers)
        kept.append(replace(first[soname], abi=abi, glibc=glibc))
    return tuple(kept)


def _mpis(groups: list[tuple[HostMpi, ...]]) -> tuple[HostMpi, ...]:
    kept = []
    for implementation, soname in _shared(groups, lambda mpi: (mpi.implementation, mpi.soname)):
        like = [m for group in groups for m in group if (m.implementation, m.soname) == (implementation, soname)]
        weakest = min(like, key=lambda mpi: (version_numbers(mpi.abi_version), version_numbers(mpi.version)))
        needed = max((mpi.glibc for mpi in like), key=version_numbers)
        kept.append(replace(weakest, glibc=needed, path=_same(mpi.path for mpi in like)))
    return tuple(kept)


def _launcher(launchers: list[Launcher]) -> Launcher:
    pmi = None if any(one.pmi is None for one in launchers) else _intersection([one.pmi or () for one in launchers])
    version = min((one.version for one in launchers), key=version_numbers)
    return Launcher(_same(one.name for one in launchers) or "mixed", version, pmi)


def _runtimes(groups: list[tuple[ContainerRuntime, ...]]) -> tuple[ContainerRuntime, ...]:
    versions = [{runtime.name: runtime.version for runtime in group} for group in groups]
    return tuple(
        ContainerRuntime(name, min((v[name] for v in versions), key=version_numbers))
        for name in _shared(groups, lambda runtime: runtime.name)
    )


def _limits(limits: list[Limits]) -> Limits:
    locked = [limit.memlock for limit in limits]
    bounded = [limit for limit in locked if limit is not None and limit >= 0]
    shm = [limit.shm for limit in limits]
    return Limits(
        memlock=None if None in locked else min(bounded, default=-1),
        shm=None if None in shm else min(size for size in shm if size is not None),
    )


def _intersection(groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(set(groups[0]).intersection(*groups[1:])))


def _shared(groups: Sequence[Sequence[E]], key: Callable[[E], T]) -> list[T]:
    keys = [{key(entry) for entry in group} for group in groups]
    return sorted(keys[0].intersection(*keys[1:]))  # type: ignore[type-var]


def _same(values: Iterable[str]) -> str:
    """Return the value that all share, else an empty string."""
    different = set(values)
    return different.pop() if len(different) == 1 else ""


def _least(versions: Iterable[str]) -> str:
    """Return the oldest version; an empty string where one is not known."""
    return min(versions, key=version_numbers)  # "" is older than every version


def _listed(entries: Iterable[str] | None) -> str:
    return "unknown" if entries is None else " ".join(sorted(entries)) or "none"


_SHOWN: dict[str, Callable[[Fingerprint], str]] = {
    "cpu": lambda h: "unknown" if h.cpu is None else h.cpu.target,
    "cpu.flags": lambda h: "unknown" if h.cpu is None or h.cpu.flags is None else f"{len(h.cpu.flags)} flags",
    "devices": lambda h: _listed(h.devices),
    "fabrics": lambda h: _listed(None if h.fabrics is None else [f.kind for f in h.fabrics]),
    "gpus": lambda h: _listed(None if h.gpus is None else [f"{g.count}x{g.architecture or g.vendor}" for g in h.gpus]),
    "gpus.driver": lambda h: _listed(None if h.gpus is None else {g.rocm or g.driver or "unknown" for g in h.gpus}),
    "kernel": lambda h: "unknown" if h.kernel is None else h.kernel.version,
    "launcher": lambda h: "unknown" if h.launcher is None else _listed(h.launcher.pmi),
    "libc": lambda h: "unknown" if h.libc is None else f"{h.libc.name} {h.libc.version}",
    "mpis": lambda h: _listed(None if h.mpis is None else {f"{m.implementation}@{m.version}" for m in h.mpis}),
    "runtimes": lambda h: _listed(None if h.runtimes is None else [f"{r.name}@{r.version}" for r in h.runtimes]),
}
