"""Does the host's processor execute the image's code, and does the code use the processor?

archspec's order alone is a bad oracle: a flag that a hypervisor hides demotes a host by a generation, and processors
of another vendor are never "greater". The flags decide; the order only vouches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from hpc3 import tables
from hpc3.fingerprint import Cpu, Fingerprint
from hpc3.targets import family, features, is_generic, known_targets

from ..evidence import find_remedy, host_side, image_sides
from ..image import Image
from ..verdict import Judgement, Side, Verdict

FACET = "cpu"
_TARGET = "hardware.cpu.optimized.version"
#: Vector extensions in the order of their width: code built without the widest that a host has leaves speed behind.
_WIDE = ("avx2", "avx512f", "sve", "sve2")
_FAMILIES = {"amd64": "x86_64", "arm64": "aarch64", "386": "x86"}


def check_cpu(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield what the processor says to the image: always at least one judgement."""
    if host.cpu is None:
        yield _judgement(
            Verdict.UNKNOWN,
            "CPU_HOST_UNKNOWN",
            f"The host's processor is not known: {host.why_unknown('cpu')}",
            image,
            host,
        )
        return
    other = _other_family(image, host.cpu)
    if other:
        reason = f"The image is for {other} and the host is {host.cpu.family}: it does not start."
        yield _judgement(Verdict.FAILS, "CPU_FAMILY", reason, image, host, "pull the image for this platform")
        return
    name = canonical_target(image.value(_TARGET))
    if not name:
        yield _unknown_target(image, host)
        return
    yield _against_flags(image, host, host.cpu, name)
    yield from _against_baseline(image, host, host.cpu)


def canonical_target(name: str) -> str:
    """Return archspec's name of a target, through other spellings where needed; empty where nobody knows it."""
    known = known_targets()
    if name in known:
        return name
    return _aliases().get(name.lower(), "")


def missing_flags(cpu: Cpu, target: str, more: tuple[str, ...] = ()) -> frozenset[str]:
    """Return the flags that ``target`` (and ``more``) needs and the processor lacks."""
    return frozenset({*features(target), *more} - _flags_of(cpu))


def is_intrinsics_only(target_family: str, flags: frozenset[str]) -> bool:
    """Whether compilers never use any of the flags on their own."""
    return flags <= _intrinsics(target_family)


def _against_flags(image: Image, host: Fingerprint, cpu: Cpu, target: str) -> Judgement:
    stated = tuple(flag for flag in image.values("hardware.cpu.features"))
    missing = missing_flags(cpu, target, stated)
    vouched = _is_vouched(cpu, target)
    if missing and not is_intrinsics_only(family(target), missing):
        traps = ", ".join(sorted(missing - _intrinsics(family(target))))
        reason = f"It will die with SIGILL: built for {target}, and the host lacks {traps}."
        return _judgement(Verdict.FAILS, "CPU_MISSING_FLAGS", reason, image, host, find_remedy(image))
    if missing:
        listed = ", ".join(sorted(missing))
        reason = (
            f"Built for {target}, and the host lacks {listed}. Compilers never use these by themselves: it traps only "
            "where hand-written code does."
        )
        return _judgement(Verdict.DEGRADED, "CPU_MISSING_INTRINSICS", reason, image, host, find_remedy(image))
    if not features(target) and not vouched:
        return _without_flags(image, host, cpu, target)
    if not vouched:
        reason = (
            f"The host has every flag of {target}, but archspec's order does not vouch for {cpu.target} running it."
        )
        return _judgement(Verdict.DEGRADED, "CPU_UNORDERED", reason, image, host, find_remedy(image))
    unused = _unused(image, cpu, target)
    if unused:
        reason = f"Runs, but suboptimally: built for {target}, which leaves the host's {', '.join(unused)} unused."
        return _judgement(Verdict.DEGRADED, "CPU_SUBOPTIMAL", reason, image, host, find_remedy(image))
    return _judgement(Verdict.OK, "CPU_OK", f"Built for {target}, which {cpu.target} runs.", image, host)


def _without_flags(image: Image, host: Fingerprint, cpu: Cpu, target: str) -> Judgement:
    """Judge families for which archspec lists no flags: POWER by generation, others not at all."""
    if family(target) in ("ppc64le", "ppc64"):
        reason = f"Built for {target}, which is newer than the host's {cpu.target}: it will die with SIGILL."
        return _judgement(Verdict.FAILS, "CPU_GENERATION", reason, image, host, find_remedy(image))
    reason = f"Nobody says whether {cpu.target} runs code for {target}: archspec lists no flags for either."
    return _judgement(Verdict.UNKNOWN, "CPU_UNORDERED", reason, image, host)


def _against_baseline(image: Image, host: Fingerprint, cpu: Cpu) -> Iterator[Judgement]:
    """Yield a failure where the image's operating system itself needs more than the host has."""
    if cpu.family != "x86_64":
        return
    vendor, version = image.value("os.vendor"), image.value("os.version")
    for row in tables.rows("os_baselines"):
        if row["vendor"] == vendor and f"{version}.".startswith(f"{row['version']}."):
            missing = missing_flags(cpu, row["target"])
            if missing:
                lacking = ", ".join(sorted(missing))
                reason = f"{vendor} {version} itself is built for {row['target']}; the host lacks {lacking}."
                sides = image_sides(image, "os.vendor", "os.version")
                yield Judgement(FACET, Verdict.FAILS, "CPU_OS_BASELINE", reason, sides, _host_sides(host))


def _unknown_target(image: Image, host: Fingerprint) -> Judgement:
    stated = image.value(_TARGET)
    if stated:
        reason = f"Nobody knows a CPU target called {stated}."
        return _judgement(Verdict.UNKNOWN, "CPU_TARGET_UNKNOWN", reason, image, host)
    platform = f" It says {image.architecture} and no more." if image.architecture else ""
    reason = f"Cannot tell: the image does not say what CPU it was built for.{platform}"
    return _judgement(
        Verdict.UNKNOWN, "CPU_NOT_STATED", reason, image, host, f"hpc3 verify {image.reference or 'IMAGE'}"
    )


def _other_family(image: Image, cpu: Cpu) -> str:
    """Return the image's family where it is not the host's."""
    target = canonical_target(image.value(_TARGET))
    stated = family(target) if target else _FAMILIES.get(image.architecture, image.architecture)
    return stated if stated and stated != cpu.family else ""


def _is_vouched(cpu: Cpu, target: str) -> bool:
    known = known_targets()
    return cpu.target in known and bool(known[cpu.target] >= known[target])


def _flags_of(cpu: Cpu) -> frozenset[str]:
    """Return the processor's flags; a profile that names only a target has that target's."""
    if cpu.flags is not None:
        return frozenset(cpu.flags)
    name = canonical_target(cpu.target)
    return frozenset(features(name)) if name else frozenset()


def _unused(image: Image, cpu: Cpu, target: str) -> list[str]:
    if image.value("hardware.cpu.optimized.mode") == "dispatch":
        return []  # the software picks its code at run time
    has = _flags_of(cpu)
    unused = [flag for flag in _WIDE if flag in has and flag not in features(target)]
    return unused or ([f"{cpu.target} tuning"] if is_generic(target) and not is_generic(cpu.target) else [])


def _host_sides(host: Fingerprint) -> tuple[Side, ...]:
    return (host_side("cpu.target", host.cpu.target if host.cpu else None),)


def _judgement(
    verdict: Verdict, code: str, reason: str, image: Image, host: Fingerprint, remedy: str = ""
) -> Judgement:
    return Judgement(FACET, verdict, code, reason, image_sides(image, _TARGET), _host_sides(host), remedy)


@cache
def _aliases() -> dict[str, str]:
    return {row["name"]: row["target"] for row in tables.rows("cpu_aliases")}


@cache
def _intrinsics(target_family: str) -> frozenset[str]:
    return frozenset(row["flag"] for row in tables.rows("cpu_intrinsics") if row["family"] == target_family)
