"""Images and hosts for the tests of consumers."""

from __future__ import annotations

from hpc3.consume.image import Image, image_of
from hpc3.fingerprint import (
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
from hpc3.targets import known_targets
from hpc3.vocabulary import key

#: A CPU-only image that states all that a check asks for.
PLAIN = {
    "software.name": "gromacs",
    "software.version": "2025.3",
    "hardware.cpu.optimized.mode": "microarch",
    "hardware.cpu.optimized.version": "zen3",
    "hardware.gpu.vendor": "none",
    "mpi.implementation": "none",
    "os.vendor": "debian",
    "os.version": "12",
    "system.libc.name": "glibc",
    "system.libc.version": "2.36",
}
MPICH = {
    "mpi.implementation": "mpich",
    "mpi.version": "4.2.2",
    "mpi.abi.family": "mpich",
    "mpi.abi.version": "12.3.1",
    "mpi.abi.soname": "libmpi.so.12",
    "mpi.pmi": "pmi1,pmi2",
    "mpi.portability.mode": "replace",
    "mpi.portability.optimization": "libfabric-inject,mpi-replace",
    "communication.framework": "libfabric",
    "libfabric.abi.version": "1.6",
}
OPENMPI5 = {
    "mpi.implementation": "openmpi",
    "mpi.version": "5.0.3",
    "mpi.abi.family": "openmpi",
    "mpi.abi.version": "40.40.3",
    "mpi.pmi": "pmix_v5",
    "mpi.portability.mode": "hybrid",
    "communication.framework": "libfabric,ucx",
}
CUDA = {
    "hardware.gpu.vendor": "nvidia",
    "hardware.gpu.runtime": "cuda",
    "hardware.gpu.architecture": "sm_80,sm_90",
    "hardware.gpu.ptx": "compute_90",
    "hardware.gpu.cuda.version": "12.4",
    "hardware.gpu.driver.version": "525.60.13",
}
ROCM = {
    "hardware.gpu.vendor": "amd",
    "hardware.gpu.runtime": "rocm",
    "hardware.gpu.architecture": "gfx90a",
    "hardware.gpu.rocm.version": "6.1.2",
}


def image(*parts: dict[str, str], place: str = "annotation", without: str = "", **changed: str) -> Image:
    """An image that states PLAIN, then ``parts``, then ``changed`` (``__`` for a dot), less one key."""
    values = dict(PLAIN)
    for part in parts:
        values.update(part)
    values.update({name.replace("__", "."): value for name, value in changed.items()})
    values.pop(without, None)
    return image_of({place: {key(name): value for name, value in values.items()}}, digest="sha256:" + "0" * 64)


def cpu(target: str, without: tuple[str, ...] = ()) -> Cpu:
    chosen = known_targets()[target]
    flags = tuple(sorted(set(chosen.features) - set(without)))
    return Cpu(chosen.family.name, target, chosen.vendor, flags)


def host(target: str = "zen3", **changed: object) -> Fingerprint:
    """A plain Slurm node without GPU and fast network."""
    base: dict[str, object] = {
        "cpu": cpu(target),
        "kernel": Kernel("5.14.21", 4096, ("fuse",), user_namespaces=True, cgroup="v2"),
        "libc": HostLibc("glibc", "2.31"),
        "gpus": (),
        "fabrics": (),
        "libraries": (),
        "mpis": (),
        "launcher": Launcher("slurm", "23.02", ("pmi2", "pmix_v4")),
        "runtimes": (),
        "devices": (),
        "limits": Limits(-1, 1024),
    }
    return Fingerprint(**{**base, **changed})  # type: ignore[arg-type]


CRAY = HostMpi("cray-mpich", "8.1.29", "mpich", "libmpi.so.12", "12.0.0", "/opt/cray/lib/libmpi.so.12", "2.17")
CRAY_FABRIC = HostLibrary("libfabric", "libfabric.so.1", "/opt/cray/libfabric/lib64/libfabric.so.1", "1.7", "2.17")
A100 = HostGpu("nvidia", "NVIDIA A100-SXM4-80GB", "sm_80", 4, "550.54.15", "tesla")
MI250X = HostGpu("amd", "MI250X", "gfx90a", 8, "6.3.6", rocm="6.0.3")


def lumi_g() -> Fingerprint:
    """A node like LUMI-G: Cray MPICH, Slingshot, MI250X, no PMIx."""
    return host(
        "zen3",
        name="lumi-g",
        gpus=(MI250X,),
        fabrics=(HostFabric("cxi", 4),),
        libraries=(CRAY_FABRIC,),
        mpis=(CRAY,),
        launcher=Launcher("slurm", "23.02", ("cray_shasta", "pmi2")),
        devices=("/dev/cxi0", "/dev/dri", "/dev/kfd"),
    )
