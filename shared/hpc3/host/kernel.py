"""The kernel: version, page size, loaded modules, and what it lets an ordinary user's container do."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from hpc3.fingerprint import Kernel, Limits

#: Modules that images of HPC software may ask for; all others of the host are nobody's business.
MODULES = (
    "amdgpu", "cxi_core", "cxi_ss1", "fuse", "gdrdrv", "hfi1", "i915", "ib_uverbs", "irdma", "knem", "mlx4_ib",
    "mlx5_ib", "nvidia", "nvidia_peermem", "nvidia_uvm", "overlay", "rdma_ucm", "xe", "xpmem",
)  # fmt: skip


def read_kernel(root: Path) -> Kernel:
    """Return the running kernel; ``root`` is where its ``/proc`` and ``/sys`` are mounted."""
    return Kernel(
        version=os.uname().release,
        page_size=resource.getpagesize(),
        modules=_modules(root),
        user_namespaces=_user_namespaces(root),
        cgroup=_cgroup(root),
    )


def read_limits(root: Path) -> Limits:
    """Return the limits that this process would hand to a container."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    shm = root / "dev/shm"
    size = os.statvfs(shm) if shm.is_dir() else None
    return Limits(
        memlock=-1 if soft == resource.RLIM_INFINITY else soft // 1024,
        shm=size.f_blocks * size.f_frsize // 2**20 if size else None,
    )


def _modules(root: Path) -> tuple[str, ...]:
    # /sys/module lists what is loaded and what is built in with parameters, unlike /proc/modules.
    return tuple(sorted(name for name in MODULES if (root / "sys/module" / name).is_dir()))


def _user_namespaces(root: Path) -> bool | None:
    most = _number(root / "proc/sys/user/max_user_namespaces")
    if most is None:
        return None
    # Debian's and Ubuntu's own switches; absent elsewhere.
    cloning = _number(root / "proc/sys/kernel/unprivileged_userns_clone")
    restricted = _number(root / "proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    return most > 0 and cloning != 0 and restricted != 1


def _cgroup(root: Path) -> str:
    mount = root / "sys/fs/cgroup"
    if (mount / "cgroup.controllers").exists():
        return "v2"
    if (mount / "unified").is_dir():
        return "hybrid"
    return "v1" if (mount / "memory").is_dir() else ""


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None
