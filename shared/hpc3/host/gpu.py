"""GPUs and their drivers: sysfs and procfs first, ``nvidia-smi`` only for what these do not say.

AMD's kernel driver tells the architecture in sysfs, so ``rocm-smi`` has nothing to add. Intel's are known by their
PCI device: a table names the architecture.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hpc3 import tables
from hpc3.errors import InputError
from hpc3.fingerprint import HostGpu

# PCI vendor IDs (pci.ids); class 03xxxx is a display controller, 12xxxx a processing accelerator.
_VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
_CLASSES = ("0x03", "0x12")
_NVIDIA_DRIVER = re.compile(r"Kernel Module.*?\s([0-9]+\.[0-9.]+)\s")
_QUERY = ("nvidia-smi", "--query-gpu=gpu_name,driver_version,compute_cap", "--format=csv,noheader")
_MOST_SECONDS = 5.0
# Kernel drivers of Intel's GPUs (kernel.org, gpu/drivers.html: "drm/i915", "drm/xe").
_INTEL_DRIVERS = ("i915", "xe")
# NVML calls these product lines brand "tesla", the others "geforce", "quadro", …; nvidia-smi does not print the brand.
_TESLA = re.compile(r"\b(Tesla|[AHBLVPKT][0-9]{1,3}[a-zA-Z]{0,2}|GH200|GB200|GB300)\b")


def read_gpus(root: Path) -> tuple[HostGpu, ...]:
    """Return the GPUs of the running machine; ``()`` where its PCI bus and kernel show none.

    Raises:
        InputError: ``nvidia-smi`` answered something unreadable.
    """
    cards = list(_pci_cards(root))
    found = Counter(vendor for vendor, _ in cards)
    gpus: list[HostGpu] = []
    if found["nvidia"]:
        gpus += _nvidia(root) or [HostGpu("nvidia", count=found["nvidia"])]
    amd = _amd(root)
    if amd or found["amd"]:
        gpus += amd or [HostGpu("amd", count=found["amd"])]
    gpus += [_intel(card, root) for vendor, card in cards if vendor == "intel"]
    return grouped(gpus)


def gpus_from_nvidia_smi(text: str, where: str = "nvidia-smi") -> tuple[HostGpu, ...]:
    """Return the GPUs that ``nvidia-smi`` printed, as its table or as ``--query-gpu=… --format=csv``.

    The columns of the CSV form may come in any order: a driver has two dots, a compute capability one.

    Raises:
        InputError: the text is none of the two.
    """
    if "No devices were found" in text:
        return ()
    table = re.search(r"Driver Version:\s*([0-9.]+)", text)
    if table:
        names = re.findall(r"^\|\s+\d+\s+(\S.*?\S)\s+(?:On|Off|N/A)\s*\|", text, re.MULTILINE)
        return grouped([_nvidia_gpu(name, table.group(1)) for name in names])
    gpus = [_gpu_from_csv(line, where) for line in text.splitlines() if line.strip() and not line.startswith("name,")]
    if not gpus:
        raise InputError("lists no GPU and does not say that there is none", where=where)
    return grouped(gpus)


def grouped(gpus: list[HostGpu]) -> tuple[HostGpu, ...]:
    """Return equal GPUs as one entry with their count, sorted."""
    counts: Counter[HostGpu] = Counter()
    for gpu in gpus:
        counts[replace(gpu, count=1)] += gpu.count
    ordered = sorted(counts, key=lambda gpu: (gpu.vendor, gpu.architecture, gpu.model, gpu.driver))
    return tuple(replace(gpu, count=counts[gpu]) for gpu in ordered)


def gfx_name(target_version: int) -> str:
    """Return the name of a KFD ``gfx_target_version``: ``90010`` is ``gfx90a`` (major, minor, step; step in hex)."""
    major, minor, step = target_version // 10000, target_version // 100 % 100, target_version % 100
    return f"gfx{major}{minor:x}{step:x}"


def _pci_cards(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield vendor and sysfs folder of each display controller and accelerator."""
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor = _text(device / "vendor")
        if vendor in _VENDORS and _text(device / "class").startswith(_CLASSES):
            yield _VENDORS[vendor], device


def _nvidia(root: Path) -> list[HostGpu]:
    smi = shutil.which(_QUERY[0]) if root == Path("/") else None
    answer = _asked(smi) if smi else ""
    if answer:
        return list(gpus_from_nvidia_smi(answer))
    match = _NVIDIA_DRIVER.search(_text(root / "proc/driver/nvidia/version"))
    driver = match.group(1) if match else ""
    cards = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    names = [re.search(r"^Model:\s*(.+)$", _text(card), re.MULTILINE) for card in cards]
    return [_nvidia_gpu(name.group(1).strip(), driver) for name in names if name]


def _asked(smi: str) -> str:
    """Return what ``nvidia-smi`` says; nothing where it fails or hangs, as it does while a driver is being replaced."""
    try:
        done = subprocess.run([smi, *_QUERY[1:]], capture_output=True, timeout=_MOST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _amd(root: Path) -> list[HostGpu]:
    driver = _text(root / "sys/module/amdgpu/version")
    nodes = sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties"))
    versions = [re.search(r"^gfx_target_version (\d+)$", _text(node), re.MULTILINE) for node in nodes]
    # A node whose version is 0 is a processor.
    named = [gfx_name(int(v.group(1))) for v in versions if v and int(v.group(1))]
    rocm = _text(root / "opt/rocm/.info/version").partition("-")[0]
    return [HostGpu("amd", "", name, driver=driver, rocm=rocm) for name in named]


def _intel(card: Path, root: Path) -> HostGpu:
    """Return a card as its PCI device tells; only drivers that Intel ships apart from the kernel have a version."""
    device = _text(card / "device")
    row = next((row for row in tables.rows("intel_gpus") if row["device"] == device), None)
    driver = (card / "driver").resolve().name
    version = _text(root / "sys/module" / driver / "version") if driver in _INTEL_DRIVERS else ""
    return HostGpu("intel", row["model"] if row else "", row["architecture"] if row else "", driver=version)


def _nvidia_gpu(name: str, driver: str, architecture: str = "") -> HostGpu:
    brand = "tesla" if _TESLA.search(name) else "geforce" if "GeForce" in name else ""
    return HostGpu("nvidia", name, architecture, driver=driver, brand=brand)


def _gpu_from_csv(line: str, where: str) -> HostGpu:
    name, *columns = (column.strip() for column in line.split(","))
    driver = next((c for c in columns if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+|[0-9]{3}\.[0-9]{2}", c)), "")
    capability = next((c for c in columns if re.fullmatch(r"[0-9]{1,2}\.[0-9]", c)), "")
    if not columns or not (driver or capability):
        raise InputError("is not what nvidia-smi prints", where=where, remedy="take nvidia-smi's output as it is")
    return _nvidia_gpu(name, driver, f"sm_{capability.replace('.', '')}" if capability else "")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
