"""The instruction sets that the code of one object uses, and those of several objects put together."""

from __future__ import annotations

import heapq
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from hpc3.facts import Evidence
from hpc3.observed import CpuUse, FeatureUse

from .code import CODE_LIMIT, Code, read_code
from .dispatch_names import is_in_target_folder, is_named_plugin
from .elf import ElfObject
from .functions import Function
from .instruction_set import CheckFollower, FeatureCounter, FunctionUse

#: Families whose code is disassembled.
FAMILIES = ("aarch64", "ppc64le", "x86_64")
_EXAMPLES = 3

#: Feature to instructions counted and places (file offset, function).
Places = Mapping[str, "tuple[int, tuple[tuple[int, str], ...]]"]


@dataclass(frozen=True)
class ObjectUse:
    """What the code of one object uses; ``soname`` and ``needed`` (DT_NEEDED) tell whether others always load it."""

    path: str
    family: str
    code_bytes: int
    required: Places = field(default_factory=dict)
    dispatched: Places = field(default_factory=dict)
    unclear: Places = field(default_factory=dict)
    trouble: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()


def analyse(stream: BinaryIO, elf: ElfObject, path: str) -> ObjectUse:
    """Return what the code of an ELF file uses; whatever its bytes do to the analysis becomes ``trouble``."""
    try:
        use = analyse_code(read_code(stream, elf, path))
    except (ValueError, OverflowError, IndexError, KeyError, RecursionError, MemoryError, OSError) as error:
        use = not_analysed(elf, path, f"{type(error).__name__} {error}")
    return replace(use, soname=elf.soname, needed=elf.needed, trouble=use.trouble or _missing(elf, use.code_bytes))


def _missing(elf: ElfObject, found: int) -> str:
    """Return what of an object's code was not there to be analysed: it may use anything."""
    if elf.hidden_code:
        return "not analysed: no section says where its code is"
    return "not analysed: the file ends before its code does" if found < sum(s.size for s in elf.code) else ""


def not_analysed(elf: ElfObject, path: str, why: str) -> ObjectUse:
    """Return what is left to say of an object that may use anything."""
    return ObjectUse(path, elf.family, sum(span.size for span in elf.code), trouble=f"not analysed: {why}")


def analyse_code(code: Code) -> ObjectUse:
    """Return what code uses."""
    from .dispatch import classify

    counter, follower = _instruction_set(code.family)
    found, uses = classify(code, counter, follower)
    return ObjectUse(
        code.path,
        code.family,
        code.code_bytes(),
        required=_places(code, found.required),
        dispatched=_places(code, found.dispatched),
        unclear=_places(code, found.unclear),
        trouble=_trouble(code, uses),
    )


def _instruction_set(family: str) -> tuple[FeatureCounter, CheckFollower | None]:
    """Return what counts a family's features and what follows its checks, if anything; the decoder is loaded now."""
    if family == "aarch64":
        from . import isa_aarch64

        return isa_aarch64, isa_aarch64
    if family == "ppc64le":
        from . import isa_power

        return isa_power, None
    from . import isa_x86

    return isa_x86, isa_x86


def _trouble(code: Code, uses: Iterable[FunctionUse]) -> str:
    """Return what of the code was not understood; an instruction that nobody knows may need anything."""
    unknown = [use for use in uses if use.unknown]
    if unknown:
        first = unknown[0].function
        place = f"0x{code.text.file_offset(first.start):x} ({code.functions.label(first.number)})"
        return f"{sum(use.unknown for use in unknown)} instructions are not known to the decoder, first in {place}"
    return f"code beyond {CODE_LIMIT >> 20} MiB was not decoded" if code.truncated else ""


def merge(family: str, uses: Iterable[ObjectUse]) -> CpuUse:
    """Return what several objects use together, examples from the objects that use a feature most."""
    ordered = _as_loaded(sorted(uses, key=lambda use: use.path))
    return CpuUse(
        family=family,
        required=_merged((use.path, use.required) for use in ordered),
        dispatched=_merged((use.path, use.dispatched) for use in ordered),
        unclear=_merged((use.path, use.unclear) for use in ordered),
        files=len(ordered),
        code_bytes=sum(use.code_bytes for use in ordered),
        missing=tuple(f"/{use.path}: {use.trouble}" for use in ordered if use.trouble),
    )


def _as_loaded(uses: list[ObjectUse]) -> list[ObjectUse]:
    """Return what objects use, where plug-ins for a CPU are dispatched unless another object always loads them.

    What loads one that is chosen itself was asked for already.
    """
    chosen = {use.path: use for use in uses if is_named_plugin(use.path)}
    files = {posixpath.basename(use.path) for use in uses}
    loaded = [""]
    while chosen and loaded:
        sure = (use for use in uses if use.path not in chosen and not is_in_target_folder(use.path))
        needed = {posixpath.basename(name) for use in sure for name in use.needed}
        loaded = [
            path
            for path, use in chosen.items()
            # several files may share a SONAME: the one called so is loaded
            if posixpath.basename(path) in needed or (use.soname in needed and use.soname not in files)
        ]
        for path in loaded:
            del chosen[path]
    return [_dispatched(use) if use.path in chosen else use for use in uses]


def _dispatched(use: ObjectUse) -> ObjectUse:
    """Return what an object uses that runs only behind a check elsewhere."""
    found: dict[str, tuple[int, tuple[tuple[int, str], ...]]] = {}
    for places in (use.required, use.dispatched, use.unclear):
        for feature, (number, functions) in places.items():
            before, others = found.get(feature, (0, ()))
            found[feature] = (before + number, (*others, *functions)[:_EXAMPLES])
    return replace(use, required={}, dispatched=found, unclear={})


def _merged(uses: Iterable[tuple[str, Places]]) -> dict[str, FeatureUse]:
    counts: dict[str, int] = {}
    examples: dict[str, list[tuple[int, Evidence]]] = {}
    for path, places in uses:
        for feature, (number, functions) in places.items():
            counts[feature] = counts.get(feature, 0) + number
            for offset, label in functions:
                example = Evidence(f"/{path}", f"0x{offset:x}", f"{feature} in {label}")
                examples.setdefault(feature, []).append((-number, example))
    return {
        feature: FeatureUse(
            feature,
            counts[feature],
            tuple(example for _, example in sorted(examples[feature], key=lambda pair: pair[0])[:_EXAMPLES]),
        )
        for feature in sorted(counts)
    }


def _places(code: Code, functions: Iterable[tuple[Function, Mapping[str, int]]]) -> Places:
    """Return the features by name, each with its instructions and the functions that use it most."""
    found: dict[str, list[tuple[int, Function]]] = {}
    for function, features in functions:
        for feature, number in features.items():
            found.setdefault(feature, []).append((-number, function))
    return {
        feature: (
            -sum(number for number, _ in places),
            tuple(
                (code.text.file_offset(function.start), code.functions.label(function.number))
                for _, function in heapq.nsmallest(_EXAMPLES, places)
            ),
        )
        for feature, places in sorted(found.items())
    }
