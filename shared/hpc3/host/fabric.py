"""Network cards that matter to MPI, from sysfs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from hpc3.fingerprint import HostFabric

# Verbs devices are named <driver>_<number>; a site may rename them, then the driver's link still tells.
_DEVICE = re.compile(r"(mlx4|mlx5|hfi1|efa|irdma|bnxt_re|qedr|erdma|rxe|siw|mana)")
_RENAMED = {"mlx4_core": "mlx4", "mlx5_core": "mlx5", "efa": "efa", "hfi1": "hfi1", "ice": "irdma", "i40e": "irdma"}


def read_fabrics(root: Path) -> tuple[HostFabric, ...]:
    """Return the kinds of high-speed network cards, sorted; ``()`` where there are none."""
    kinds: Counter[str] = Counter()
    for device in _entries(root / "sys/class/infiniband"):
        kinds[_verbs_kind(device)] += 1
    kinds.update({"cxi": len(_entries(root / "sys/class/cxi"))})
    kinds.update({"tofu": len(_entries(root / "sys/class/tofu"))})
    return tuple(HostFabric(kind, count) for kind, count in sorted(kinds.items()) if count)


def _verbs_kind(device: Path) -> str:
    match = _DEVICE.match(device.name)
    if match:
        return match.group(1)
    driver = (device / "device/driver").resolve().name
    return _RENAMED.get(driver, "verbs")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
