"""NVIDIA's compatibility rules: drivers and toolkits, cubin and PTX, ``NVIDIA_REQUIRE_*``.

Sources: CUDA Compatibility (docs.nvidia.com/deploy/cuda-compatibility), the GPU architectures' compatibility guides,
NVIDIA Container Toolkit ``internal/config/image/cuda_image.go`` at d34b3046.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from hpc3 import tables
from hpc3.versions import is_at_least, version_numbers

_COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "!=": operator.ne,
}
_ARCHITECTURE = re.compile(r"(?:sm|compute)_([0-9]{1,2})([0-9])([af]?)")


class DriverSupport(Enum):
    """What a driver does for a toolkit."""

    FULL = "full"
    MINOR_VERSION = "minor version compatibility"
    TOO_OLD = "too old"
    UNKNOWN = "unknown"


class CodeSupport(Enum):
    """How a GPU runs the code in an image."""

    NATIVE = "native"
    SAME_MAJOR = "same major"
    PTX = "ptx"
    NONE = "none"


@dataclass(frozen=True)
class Driver:
    """What ``NVIDIA_REQUIRE_*`` may ask of a host.

    Attributes:
        driver: version of the kernel driver.
        cuda: newest toolkit that it runs in full, ``major.minor``.
        arch: compute capability, ``8.0``.
        brand: ``tesla``, ``geforce``, …; ``unknown`` where NVML does not say.
    """

    driver: str
    cuda: str
    arch: str
    brand: str = "unknown"


def driver_support(toolkit: str, driver: str, platform: str = "linux-x86_64") -> DriverSupport:
    """Return what the driver does for a toolkit, by NVIDIA's tables.

    Args:
        toolkit: ``12.4`` or ``12.4.1``.
        driver: such as ``550.54.14``.
        platform: ``linux-x86_64`` or ``linux-aarch64``.
    """
    rows = [row for row in tables.rows("cuda_drivers") if row["platform"] == platform]
    major, full = toolkit.partition(".")[0], ".".join(toolkit.split(".")[:2])
    of_major = [r["driver_min"] for r in rows if r["kind"] == "minor-version-compatibility" and r["cuda"] == major]
    of_toolkit = [r["driver_min"] for r in rows if r["kind"] == "toolkit" and r["cuda"] == full]
    if of_toolkit and is_at_least(driver, of_toolkit[0]):
        return DriverSupport.FULL
    if of_major:
        return DriverSupport.MINOR_VERSION if is_at_least(driver, of_major[0]) else DriverSupport.TOO_OLD
    return DriverSupport.TOO_OLD if of_toolkit else DriverSupport.UNKNOWN


def released_driver(toolkit: str, platform: str = "linux-x86_64") -> str:
    """Return the driver that was released with a toolkit; empty where the table has none."""
    full = ".".join(toolkit.split(".")[:2])
    rows = (r for r in tables.rows("cuda_drivers") if r["platform"] == platform and r["kind"] == "toolkit")
    return next((str(row["driver_min"]) for row in rows if row["cuda"] == full), "")


def newest_toolkit(driver: str, platform: str = "linux-x86_64") -> str:
    """Return the newest toolkit that a driver runs in full, ``major.minor``; empty where the table has none."""
    rows = (r for r in tables.rows("cuda_drivers") if r["platform"] == platform and r["kind"] == "toolkit")
    full = [row["cuda"] for row in rows if is_at_least(driver, row["driver_min"])]
    return str(max(full, key=version_numbers, default=""))


def code_support(gpu: str, cubins: Iterable[str], ptx: str = "") -> CodeSupport:
    """Return how a GPU runs an image's code.

    Args:
        gpu: ``sm_86``.
        cubins: native code in the image, ``sm_80``, ``sm_90a``.
        ptx: highest embedded PTX, ``compute_90``; empty: none is known.
    """
    major, minor, _ = _capability(gpu)
    best = CodeSupport.NONE
    for cubin_major, cubin_minor, suffix in map(_capability, cubins):
        if (cubin_major, cubin_minor) == (major, minor):
            return CodeSupport.NATIVE
        # "a" code runs on that very processor, "f" code within its family; else within the major release, upwards.
        if suffix != "a" and cubin_major == major and cubin_minor <= minor:
            best = CodeSupport.SAME_MAJOR
    if best is CodeSupport.NONE and ptx:
        ptx_major, ptx_minor, suffix = _capability(ptx)
        runs = (ptx_major, ptx_minor) <= (major, minor) if not suffix else (ptx_major, ptx_minor) == (major, minor)
        return CodeSupport.PTX if runs else CodeSupport.NONE
    return best


def is_dropped(toolkit: str, gpu: str) -> bool:
    """Whether a toolkit no longer makes code for a GPU of this architecture."""
    major, minor, _ = _capability(gpu)
    oldest = [
        _capability(row["oldest"])[:2] for row in tables.rows("cuda_architectures") if is_at_least(toolkit, row["cuda"])
    ]
    return bool(oldest) and (major, minor) < max(oldest)


def unmet_requirements(environment: Mapping[str, str], host: Driver) -> tuple[str, ...]:
    """Return the ``NVIDIA_REQUIRE_*`` variables that the host does not meet, sorted.

    Blanks separate alternatives, commas conditions that must all hold; a property that nobody knows is passed over,
    as the toolkit does. ``NVIDIA_DISABLE_REQUIRE`` switches all of them off; an image with ``CUDA_VERSION`` alone
    asks for that toolkit.
    """
    if environment.get("NVIDIA_DISABLE_REQUIRE", "").lower() in ("1", "true"):
        return ()
    required = {name: value for name, value in environment.items() if name.startswith("NVIDIA_REQUIRE_")}
    cuda = re.match(r"[0-9]+\.[0-9]+", environment.get("CUDA_VERSION", ""))
    if not required and cuda:
        required = {"CUDA_VERSION": f"cuda>={cuda.group()}"}
    return tuple(sorted(name for name, value in required.items() if not is_met(value, host)))


def is_met(requirement: str, host: Driver) -> bool:
    """Whether a host meets one requirement string; an empty one is always met."""
    alternatives = requirement.split()
    return not alternatives or any(
        all(_holds(condition, host) for condition in alternative.split(",") if condition)
        for alternative in alternatives
    )


def _holds(condition: str, host: Driver) -> bool:
    match = re.fullmatch(r"(\w+)(>=|<=|!=|=|>|<)(\S+)", condition)
    values = {"driver": host.driver, "cuda": host.cuda, "arch": host.arch}
    if not match or match.group(1) not in (*values, "brand"):
        return True
    name, comparison, wanted = match.groups()
    if name == "brand":
        return (host.brand == wanted) == (comparison == "=")
    have, want = version_numbers(values[name]), version_numbers(wanted)
    return bool(_COMPARISONS[comparison](have, want))


def _capability(architecture: str) -> tuple[int, int, str]:
    match = _ARCHITECTURE.fullmatch(architecture)
    return (int(match.group(1)), int(match.group(2)), match.group(3)) if match else (0, 0, "")
