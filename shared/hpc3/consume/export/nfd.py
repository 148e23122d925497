"""node-feature-discovery: an image compatibility specification (v1alpha1) that ``nfd compat`` reads.

NFD knows processors, kernels and PCI devices, but no driver, CUDA, MPI or C library: these are not said here. Flags
that only hand-written code uses are no rules either, as for `hpc3.consume.facets.cpu`.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hpc3 import tables
from hpc3.targets import family, features
from hpc3.versions import version_numbers

from ..facets.cpu import canonical_target, is_intrinsics_only
from ..image import Image

ARTIFACT_TYPE = "application/vnd.nfd.image-compatibility.v1alpha1"
LAYER_TYPE = "application/vnd.nfd.image-compatibility.spec.v1alpha1+yaml"
# PCI vendor IDs (pci.ids).
_PCI = {"nvidia": "10de", "amd": "1002", "intel": "8086"}
_WEIGHTS = {"microarch": 10, "dispatch": 5, "generic": 1}

Rule = dict[str, Any]


def nfd_specification(image: Image) -> str:
    """Return the specification as YAML, written as JSON, which YAML is a superset of."""
    rules = [*_cpu(image), *_kernel(image), *_modules(image), *_gpu(image)]
    mode = image.value("hardware.cpu.optimized.mode")
    compatibility: dict[str, Any] = {"rules": rules, "weight": _WEIGHTS.get(mode, 1)}
    if mode:
        compatibility["tag"] = mode
    compatibility["description"] = image.title
    document = {"version": "v1alpha1", "compatibilities": [compatibility]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _cpu(image: Image) -> list[Rule]:
    target = canonical_target(image.value("hardware.cpu.optimized.version"))
    if not target:
        return []
    of = family(target)
    needed = (flag for flag in features(target) if not is_intrinsics_only(of, frozenset({flag})))
    names = sorted({_names(of)[flag] for flag in needed if flag in _names(of)})
    flags = {name: {"op": "Exists"} for name in names}
    return [_rule(f"cpu {target}", [_term("cpu.cpuid", flags)])] if flags else []


def _kernel(image: Image) -> list[Rule]:
    least = version_numbers(image.value("system.kernel.version.min"))
    if not least:
        return []
    major, minor = str(least[0]), str(least[1] if len(least) > 1 else 0)
    newer = _term("kernel.version", {"major": {"op": "Gt", "value": [major]}})
    # NFD has no "greater or equal" before v0.18: one less, and greater.
    same = _term("kernel.version", {"major": _in(major), "minor": {"op": "Gt", "value": [str(int(minor) - 1)]}})
    return [{"name": f"kernel {major}.{minor}", "matchAny": [{"matchFeatures": [newer]}, {"matchFeatures": [same]}]}]


def _modules(image: Image) -> list[Rule]:
    modules = image.values("system.kernel.modules.required")
    wanted = {module.replace("-", "_"): {"op": "Exists"} for module in modules}
    return [_rule("kernel modules", [_term("kernel.enabledmodule", wanted)])] if wanted else []


def _gpu(image: Image) -> list[Rule]:
    vendors = [_PCI[name] for name in image.values("hardware.gpu.vendor") if name in _PCI]
    if not vendors:
        return []
    card = {"vendor": _in(*vendors), "class": {"op": "InRegexp", "value": ["^03", "^12"]}}
    return [_rule("gpu", [_term("pci.device", card)])]


def _rule(name: str, terms: list[Rule]) -> Rule:
    return {"name": name, "matchFeatures": terms}


def _term(feature: str, expressions: Rule) -> Rule:
    return {"feature": feature, "matchExpressions": expressions}


def _in(*values: str) -> Rule:
    return {"op": "In", "value": list(values)}


@cache
def _names(of: str) -> dict[str, str]:
    return {row["flag"]: row["cpuid"] for row in tables.rows("nfd_cpuid") if row["family"] == of}
