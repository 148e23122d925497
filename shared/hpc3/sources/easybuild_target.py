"""Which processor an EasyBuild installation needs: ``optarch`` in its four forms, checked against archspec.

Rules: easybuild/tools/toolchain/compiler.py (``_set_optimal_architecture``) of EasyBuild 4.9 and 5.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hpc3.errors import InputError
from hpc3.facts import CpuTarget, Evidence, Fact, Known, Unknown
from hpc3.targets import family, features, is_generic, known_targets, least_common_target

from .easybuild_types import Built, Module, Record

#: EasyBuild's names of CPU families (easybuild/tools/systemtools.py) that archspec spells otherwise.
_FAMILIES = {"AArch64": "aarch64", "RISCV64": "riscv64"}

#: ``-march=znver3``, ``-mcpu=neoverse-v1``; EasyBuild 4 takes the flags without the first dash.
_ARCHITECTURE_FLAG = re.compile(r"(?:^|\s)-?(?:march|mcpu)=([A-Za-z0-9_.+-]+)")

GENERIC = "GENERIC"


def module_target(module: Module, record: Record) -> str | Unknown:
    """Return the archspec name of what a module was, or will be, built for; empty where nothing is compiled."""
    if not is_built(module):
        return ""
    if module.toolchain.system or module.toolchain.options.get("optarch") is False:
        # EasyBuild gives the compiler no architecture: it builds for the baseline of the family.
        return host_family(record)
    built = module.built if module.installed else record.session
    if built is None:
        return Unknown(f"nothing beside the installation of {module.module} tells which processor it was built for")
    own = module.toolchain.options.get("optarch")
    return _target_of(own if isinstance(own, str) else _for_compiler(built, module), module, built, record)


def is_built(module: Module) -> bool:
    """Whether the installation holds anything: a toolchain or a wrapper only loads other modules."""
    return not module.wrapper and bool(module.sources or module.parts or module.extensions)


def host_family(record: Record) -> str:
    """Return archspec's name of the recording host's family: the baseline that every host of it runs."""
    if record.session.host in known_targets():
        return family(record.session.host)
    return _FAMILIES.get(record.host_family, record.host_family)


def _for_compiler(built: Built, module: Module) -> str:
    """Return the option for a module's compiler: by module name, then by family; empty: the building host."""
    if not isinstance(built.optarch, Mapping):
        return built.optarch
    for name in (*module.toolchain.compiler_modules, module.toolchain.compiler_family):
        if name in built.optarch:
            return built.optarch[name]
    return ""


def _target_of(optarch: str, module: Module, built: Built, record: Record) -> str | Unknown:
    if optarch == GENERIC:
        return host_family(record)
    found = _ARCHITECTURE_FLAG.search(optarch)
    name = found[1] if found else ""
    if not optarch or name == "native" or optarch.lstrip("-") == "xHost":
        if built.host:
            return _checked(built.host, module)
        return Unknown(
            f"{module.module} is built for the host, and archspec, which names it, is not in EasyBuild's Python"
        )
    if not name:
        return Unknown(f"optarch {optarch!r} names no processor that archspec knows")
    return target_of_flag(name) or Unknown(f"archspec knows no processor for optarch {optarch!r}")


def _checked(name: str, module: Module) -> str:
    if name in known_targets():
        return name
    raise InputError(
        f"archspec does not know the target {name!r}",
        where=f"record of {module.module}",
        remedy="a newer archspec may: pip install --upgrade archspec",
    )


def target_of_flag(name: str) -> str:
    """Return the archspec target that a compiler calls ``name``; empty where there is none.

    Several targets can share a name (``znver3`` also stands for zen4 with an older compiler): the least of them is
    what the code needs.
    """
    same = name.replace("-", "_")
    if same in known_targets():
        return same
    sharing = [
        target.name
        for target in known_targets().values()
        for flags in target.compilers.get("gcc", [])
        if flags.get("name", target.name) == name
    ]
    lowest = [n for n in sharing if all(known_targets()[n] <= known_targets()[other] for other in sharing)]
    return lowest[0] if lowest else ""


def target_fact(record: Record, targets: Mapping[str, str | Unknown]) -> Fact[CpuTarget]:
    """Return the join over the built modules of the runtime closure.

    Args:
        record: the record.
        targets: `module_target` of every module, by its name.

    Raises:
        InputError: no processor runs every module.
    """
    example: dict[str, str] = {}
    for name, module in record.modules.items():
        target = targets[name]
        if not module.runtime:
            continue
        if isinstance(target, Unknown):
            return target
        if target:
            example.setdefault(target, name)
    if not example:
        return Unknown("nothing is built: every module of the runtime closure wraps what is installed already")
    least = least_common_target(example)
    if len(least) != 1:
        named = " and ".join(f"{target} ({module})" for target, module in sorted(example.items()))
        raise InputError(f"no processor runs all of {named}", where="record.json", remedy="rebuild one of them")
    evidence = tuple(
        Evidence(record.modules[module].easyconfig, module, f"optarch ({_origin(record.modules[module], record)})")
        for _, module in sorted(example.items())
    )
    return Known(CpuTarget(least[0], is_generic(least[0]), family(least[0]), features(least[0])), evidence)


def _origin(module: Module, record: Record) -> str:
    if module.toolchain.system:
        return "toolchain SYSTEM"
    return (module.built or record.session).evidence if module.installed else record.session.evidence
