"""The ``optarch`` that builds for a target, whatever host the image is built on."""

from __future__ import annotations

from hpc3.errors import InputError
from hpc3.facts import CpuTarget
from hpc3.request import EasyBuildRequest
from hpc3.targets import known_targets


def optarch_for(target: CpuTarget, request: EasyBuildRequest) -> str:
    """Return the value of ``--optarch``: the session's own where it decides the target, else the target's flags.

    ``GENERIC`` is the baseline of the family; anything else is spelled for each compiler by archspec.

    Raises:
        InputError: archspec does not know how a compiler of the closure is told the target.
    """
    if request.optarch:
        return request.optarch
    if target.name == target.family:
        return "GENERIC"
    flags = {family: _flags(target, compiler, version, request) for compiler, family, version in request.compilers}
    if not flags:
        return ""
    if len(set(flags.values())) == 1:
        return next(iter(flags.values()))
    return ";".join(f"{family}:{text}" for family, text in sorted(flags.items()))


def _flags(target: CpuTarget, compiler: str, version: str, request: EasyBuildRequest) -> str:
    import archspec.cpu

    try:
        flags = known_targets()[target.name].optimization_flags(compiler, version)
    except archspec.cpu.UnsupportedMicroarchitecture as error:
        raise InputError(
            f"{compiler} {version} cannot build for {target.name}: {error}",
            where=request.easyconfig,
            remedy="record it with an explicit optarch: eb --optarch=… ",
        ) from error
    if not flags:
        raise InputError(
            f"archspec does not tell how {compiler} builds for {target.name}",
            where=request.easyconfig,
            remedy="record it with an explicit optarch: eb --optarch=…",
        )
    # EasyBuild adds the first dash (tools/toolchain/compiler.py); with one of its own 4.x would write two.
    return str(flags).strip().removeprefix("-")
