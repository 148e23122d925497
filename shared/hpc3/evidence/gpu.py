"""Which GPUs the software in a tree was built for, told from the code objects and run-time libraries in it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from hpc3.facts import Evidence, Fact, Known, Unknown
from hpc3.observed import Package
from hpc3.vocabulary import key

from .inventory import Inventory, evidence_of
from .mpi import library_version

#: Libraries of the vendors hold code for every GPU there is: they say nothing about the software.
_VENDOR_LIBRARY = re.compile(
    r"lib(cu[a-z]+|cudnn[a-z_]*|nv[a-zA-Z]+|npp[a-z]+|nccl[a-z_-]*|rccl|roc[a-z]+|hip[a-z]+|MIOpen|amd[a-z0-9_]+"
    r"|cutensor[A-Za-z]*|magma)(Lt|_static)?\.so.*"
)
#: A library that only GPU software needs: soname's beginning to (vendor, runtime).
_RUNTIMES = {
    "libamdhip64.so": ("amd", "rocm"),
    "libcublas.so": ("nvidia", "cuda"),
    "libcuda.so": ("nvidia", "cuda"),
    "libcudart.so": ("nvidia", "cuda"),
    "libcufft.so": ("nvidia", "cuda"),
    "libhsa-runtime64.so": ("amd", "rocm"),
    "libze_loader.so": ("intel", "level-zero"),
}
_KINDS = {"cubin": ("nvidia", "cuda"), "hip": ("amd", "rocm"), "ptx": ("nvidia", "cuda")}


def observe_gpu(inventory: Inventory, packages: Mapping[str, tuple[Package, ...]]) -> dict[str, Fact[str]]:
    """Return the ``hardware.gpu.*`` values that the files show."""
    if not inventory.elf:
        return {}
    built_for = _built_for(inventory)
    vendors = {vendor: evidence for (vendor, _), evidence in sorted(built_for.items())}
    runtimes = {runtime: evidence for (_, runtime), evidence in sorted(built_for.items())}
    if not vendors:
        nothing = Evidence("/", f"{len(inventory.elf)} ELF files", "DT_NEEDED, fat binaries")
        return {key("hardware.gpu.vendor"): Known("none", (nothing,))}
    values: dict[str, Fact[str]] = {
        key("hardware.gpu.vendor"): _listed(vendors),
        key("hardware.gpu.runtime"): _listed(runtimes),
    }
    native = _architectures(inventory, ("cubin", "hip"))
    if native:
        values[key("hardware.gpu.architecture")] = _listed(native)
    elif "nvidia" in vendors or "amd" in vendors:
        values[key("hardware.gpu.architecture")] = Unknown("no code object for a GPU is in the software's own files")
    ptx = _architectures(inventory, ("ptx",))
    if ptx:
        highest = max(ptx, key=lambda name: (int(re.sub(r"[^0-9]", "", name)), name))
        values[key("hardware.gpu.ptx")] = Known(highest, (ptx[highest],))
    for component, name in (("cuda", "cuda.version"), ("rocm", "rocm.version")):
        found = [lib for lib in inventory.libraries if lib.component == component]
        if found:
            values[key(f"hardware.gpu.{name}")] = _toolkit(library_version(found[0], packages))
    return values


def _toolkit(version: Fact[str]) -> Fact[str]:
    """Return MAJOR.MINOR: the third number in a run-time library's file name is a build number."""
    if isinstance(version, Unknown):
        return version
    return Known(".".join(version.value.split(".")[:2]), version.evidence)


def _built_for(inventory: Inventory) -> dict[tuple[str, str], Evidence]:
    found: dict[tuple[str, str], Evidence] = {}
    for path, codes in sorted(inventory.gpu_code.items()):
        if not _is_vendors(path):
            for code in codes:
                found.setdefault(_KINDS[code.kind], evidence_of(path, f"0x{code.offset:x}", code.architecture))
    for path, elf in sorted(inventory.elf.items()):
        for needed in elf.needed if not _is_vendors(path) else ():
            for stem, pair in _RUNTIMES.items():
                if needed.startswith(stem):
                    found.setdefault(pair, evidence_of(path, "", f"NEEDED {needed}"))
    return found


def _architectures(inventory: Inventory, kinds: tuple[str, ...]) -> dict[str, Evidence]:
    """Return each architecture that the software's own files hold code for, with the first place."""
    return {
        code.architecture: evidence_of(path, f"0x{code.offset:x}", code.kind)
        for path, codes in sorted(inventory.gpu_code.items(), reverse=True)
        if not _is_vendors(path)
        for code in codes
        if code.kind in kinds
    }


def _is_vendors(path: str) -> bool:
    return bool(_VENDOR_LIBRARY.fullmatch(posixpath.basename(path)))


def _listed(found: Mapping[str, Evidence]) -> Known[str]:
    return Known(",".join(sorted(found)), tuple(found[name] for name in sorted(found)))
