"""The processor: its real flags, and the nearest archspec target.

archspec's own ``host()`` answers for the machine it runs on alone; what is done here is its rule (archspec 0.2.7,
``cpu/detect.py``) over its data, for the text of any machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hpc3.errors import HostError, InputError
from hpc3.fingerprint import Cpu
from hpc3.targets import known_targets

if TYPE_CHECKING:
    from archspec.cpu import Microarchitecture

# The kernel's names for what archspec calls otherwise (archspec json, conversions; linux arch/x86 cpufeatures.h).
_KERNEL_SPELLINGS = {"pni": "sse3", "lzcnt": "abm"}
_LSCPU_KEYS = {
    "Vendor ID": "vendor_id",
    "Flags": "flags",
    "Model name": "model name",
    "Architecture": "architecture",
}


def read_cpu(root: Path) -> Cpu:
    """Return the processor of the running machine; ``root`` is where its ``/proc`` is mounted.

    Raises:
        HostError: /proc/cpuinfo cannot be read or says nothing.
    """
    try:
        text = (root / "proc/cpuinfo").read_text("utf-8", "replace")
    except OSError as error:
        raise HostError(f"cannot be read: {error.strerror}", where="/proc/cpuinfo") from error
    return cpu_from_text(text, os.uname().machine)


def cpu_from_text(text: str, family: str = "", where: str = "cpuinfo") -> Cpu:
    """Return the processor that ``/proc/cpuinfo`` or ``lscpu`` describes.

    Args:
        text: the output, of one machine; only its first processor is read.
        family: what ``uname -m`` says there; recognized from the text where empty.
        where: what to call the text in an error.

    Raises:
        InputError: the text is not from either, or the family cannot be told from it.
    """
    fields = _fields(text)
    family = family or fields.get("architecture", "") or _family_of(fields)
    if not family:
        raise InputError("is neither /proc/cpuinfo nor lscpu output of a Linux machine", where=where)
    flags = _flags(fields, family)
    vendor = _vendor(fields, family)
    return Cpu(
        family=family,
        target=nearest_target(family, vendor, flags, _named_processor(fields, family)),
        vendor=vendor,
        flags=flags,
        model=fields.get("model name", "") or fields.get("cpu", ""),
    )


def nearest_target(family: str, vendor: str, flags: tuple[str, ...] | None, processor: str = "") -> str:
    """Return the most specific archspec target whose demands are all met; ``family`` where archspec knows none.

    Args:
        family: archspec family.
        vendor: as archspec spells it.
        flags: what the processor has; None where the family reports none.
        processor: what else names it: ``CPU part`` (aarch64), generation (ppc64le), target name (riscv64).
    """
    targets = known_targets()
    if family not in targets:
        return family
    members = [t for t in targets.values() if t.family.name == family]
    fitting = [t for t in members if _fits(t, vendor, frozenset(flags or ()), processor)]
    generic = max((t for t in fitting if t.vendor == "generic"), key=_rank, default=targets[family])
    same_part = [t for t in fitting if processor and getattr(t, "cpu_part", "") == processor]
    # A firmware switch may hide one rare feature: a named target must still beat the best generic one.
    named = [t for t in same_part or fitting if t > generic]
    return str(max(named, key=_rank, default=generic).name)


def _fits(target: Microarchitecture, vendor: str, flags: frozenset[str], processor: str) -> bool:
    family = target.family.name
    if family in ("ppc64le", "ppc64"):
        return bool(target.generation <= int(processor or 0))
    if family == "riscv64":
        return bool(target.vendor == "generic" or target.name == processor)
    if family == "aarch64" and target.vendor == "generic" and target.name != "aarch64":
        return False  # which Armv8 version a processor is cannot be told from its flags
    return target.vendor in (vendor, "generic") and target.features <= flags


def _rank(target: Microarchitecture) -> tuple[int, int, str]:
    return len(target.ancestors), len(target.features), target.name


def _fields(text: str) -> dict[str, str]:
    """Return the key-value lines of the first processor."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not colon:
            if fields:
                break  # a blank line ends the first processor
            continue
        name = name.strip()
        fields.setdefault(_LSCPU_KEYS.get(name, name), value.strip())
    return fields


def _family_of(fields: Mapping[str, str]) -> str:
    if "flags" in fields and "vendor_id" in fields:
        return "x86_64" if "lm" in fields["flags"].split() else "x86"
    if "CPU implementer" in fields:
        return "aarch64"
    if "isa" in fields:
        return "riscv64" if fields["isa"].startswith("rv64") else ""
    if fields.get("cpu", "").startswith("POWER"):
        # Big-endian systems name their platform, all else being equal; little endian starts with POWER8.
        little = int(_power_generation(fields["cpu"]) or 0) >= 8
        return "ppc64le" if little else "ppc64"
    return ""


def _flags(fields: Mapping[str, str], family: str) -> tuple[str, ...] | None:
    text = fields.get("flags", "") or fields.get("Features", "")
    if not text:
        return None
    flags = set(text.split())
    if family in ("x86_64", "x86"):
        flags.update(ours for theirs, ours in _KERNEL_SPELLINGS.items() if theirs in flags)
    return tuple(sorted(flags))


def _vendor(fields: Mapping[str, str], family: str) -> str:
    if family == "aarch64":
        from archspec.cpu.schema import TARGETS_JSON

        code = fields.get("CPU implementer", "")
        # lscpu translates the implementer's code by the table that archspec took over.
        return str(TARGETS_JSON["conversions"]["arm_vendors"].get(code, code) or fields.get("vendor_id", "generic"))
    if family in ("ppc64le", "ppc64"):
        return "IBM"
    if family == "riscv64":
        target = known_targets().get(_named_processor(fields, family))
        return str(target.vendor) if target else "generic"
    return fields.get("vendor_id", "generic")


def _named_processor(fields: Mapping[str, str], family: str) -> str:
    if family == "aarch64":
        return fields.get("CPU part", "")
    if family in ("ppc64le", "ppc64"):
        return _power_generation(fields.get("cpu", "") or fields.get("model name", ""))
    if family == "riscv64":
        words = re.sub(r"[^a-z0-9]", " ", (fields.get("uarch", "") or fields.get("model name", "")).lower()).split()
        joined = ["".join(words[-2:]), *words]  # "sifive,u74-mc" is archspec's u74mc; "Spacemit(R) X60" its x60
        known = [w for w in joined if w in known_targets() and known_targets()[w].family.name == "riscv64"]
        return known[0] if known else ""
    return ""


def _power_generation(cpu: str) -> str:
    match = re.search(r"POWER(\d{1,2})", cpu)
    return match.group(1) if match else ""
