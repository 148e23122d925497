"""Which processor the software of an HPCCM recipe is compiled for.

HPCCM's CPU target reaches the compiler only through the toolchains of gnu and llvm, and only in blocks that are given
one. So the target alone says nothing: the flags must stand in the block of the image's software, and no block that is
in the image may have flags for another processor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hpc3.facts import CpuTarget, Evidence, Fact, Known, Unknown
from hpc3.targets import family, features, is_generic, known_targets

from .easybuild_target import target_of_flag
from .hpccm_answer import Answer
from .hpccm_blocks import Installed

_ARCHITECTURE_FLAG = re.compile(r"-m(?:arch|cpu)=([A-Za-z0-9_.+-]+)")
_FAMILIES = {"ppc64el": "ppc64le"}


def target_fact(answer: Answer, installed: Sequence[Installed], main: Installed | None, recipe: str) -> Fact[CpuTarget]:
    """Return HPCCM's CPU target, where the image's software is compiled for it."""
    target = answer.cpu_target
    if not target:
        return Unknown("the recipe sets no CPU target (hpccm.config.set_cpu_target, --cpu-target)")
    if target not in known_targets():
        return Unknown(f"archspec does not know the CPU target {target}")
    if family(target) != _FAMILIES.get(answer.architecture, answer.architecture):
        return Unknown(f"the CPU target is {target}, but the recipe is for {answer.architecture}")
    if main is None:
        return Unknown(f"the CPU target is {target}, but it is not known which block is the image's software")
    if not _ARCHITECTURE_FLAG.search(main.layer.text):
        return Unknown(
            f"the CPU target is {target}, but {main.place} ({main.component.name}) is not given its flags: "
            "hand it the toolchain of gnu() or llvm()"
        )
    for found in installed:
        for flag in _ARCHITECTURE_FLAG.findall(found.layer.text) if found.component.runtime else ():
            if not _is_run_by(target, flag):
                return Unknown(f"the CPU target is {target}, but {found.place} ({found.component.name}) has {flag}")
    evidence = (Evidence("hpccm.config", "", "g_cpu_target"), Evidence(recipe, main.place, "toolchain"))
    return Known(CpuTarget(target, is_generic(target), family(target), features(target)), evidence)


def _is_run_by(target: str, flag: str) -> bool:
    """Whether a processor runs what a flag asks for: an older compiler is asked for a lesser one."""
    asked = target_of_flag(flag)
    return bool(asked) and known_targets()[asked] <= known_targets()[target]
