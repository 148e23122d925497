"""The instruction sets that the code of a tree uses, file by file, put together.

Objects are independent: with several jobs they are analysed by processes, a bounded number of them at a time, so that
memory stays bounded too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO

from hpc3.facts import Evidence, Unknown
from hpc3.observed import CpuUse, FeatureUse, Skipped

from .code import CODE_LIMIT, Code, read_code
from .elf import ElfObject
from .instruction_set import CheckFollower, FeatureCounter, FunctionUse

#: Families whose code is disassembled.
FAMILIES = ("aarch64", "ppc64le", "x86_64")
_EXAMPLES = 3

#: Feature to instructions counted and places (file offset, function).
Places = Mapping[str, "tuple[int, tuple[tuple[int, str], ...]]"]


@dataclass(frozen=True)
class ObjectUse:
    """What the code of one object uses."""

    path: str
    family: str
    code_bytes: int
    required: Places = field(default_factory=dict)
    dispatched: Places = field(default_factory=dict)
    unclear: Places = field(default_factory=dict)
    trouble: str = ""


def analyse(code: Code) -> ObjectUse:
    """Return what the code of one object uses; whatever its bytes do to the analysis becomes ``trouble``."""
    from .dispatch import classify

    counter, follower = _instruction_set(code.family)
    try:
        found, uses = classify(code, counter, follower)
    except (ValueError, OverflowError, IndexError, KeyError, RecursionError) as error:
        return ObjectUse(
            code.path, code.family, code.code_bytes(), trouble=f"not analysed: {type(error).__name__} {error}"
        )
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
        place = f"0x{code.file_offset(unknown[0].function.start):x} ({unknown[0].function.label})"
        return f"{sum(use.unknown for use in unknown)} instructions are not known to the decoder, first in {place}"
    return f"code beyond {CODE_LIMIT >> 20} MiB was not decoded" if code.truncated else ""


class Disassembly:
    """Takes ELF files as the walk meets them and analyses their code in the background.

    A context manager: leaving it ends the processes.
    """

    def __init__(self, jobs: int = 0, progress: Callable[[int], None] | None = None) -> None:
        self._jobs = jobs or len(os.sched_getaffinity(0))
        self._pool = ProcessPoolExecutor(self._jobs) if self._jobs > 1 else None
        self._running: list[tuple[Code, Future[ObjectUse]]] = []
        self._done: list[ObjectUse] = []
        self._families: set[str] = set()
        self._progress = progress
        self._code_bytes = 0

    def __enter__(self) -> Disassembly:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def visit(self, stream: BinaryIO, elf: ElfObject, path: str) -> None:
        """Take one ELF file; returns once a process is free for it."""
        if elf.kind not in ("executable", "library"):
            return
        self._families.add(elf.family)
        if elf.family not in FAMILIES:
            return
        code = read_code(stream, elf, path)
        if self._pool is None:
            self._take(analyse(code))
            return
        while len(self._running) >= 2 * self._jobs:
            self._await_oldest()
        try:
            self._running.append((code, self._pool.submit(analyse, code)))
        except BrokenProcessPool:
            self._take(_lost(code))

    def result(self) -> tuple[CpuUse | Unknown, tuple[Skipped, ...]]:
        """Wait for the rest and return what all of the code uses, and what was not analysed."""
        while self._running:
            self._await_oldest()
        skipped = [Skipped(f"/{use.path}", use.trouble) for use in self._done if use.trouble]
        by_family: dict[str, list[ObjectUse]] = {}
        for use in sorted(self._done, key=lambda use: use.family):
            by_family.setdefault(use.family, []).append(use)
        if not by_family:
            foreign = ", ".join(sorted(self._families))
            return Unknown(f"code for {foreign} is not disassembled" if foreign else "there is no code"), ()
        # what else lies in an image (a cross compiler's libraries) does not run there
        main = max(by_family, key=lambda family: sum(use.code_bytes for use in by_family[family]))
        for family, uses in by_family.items():
            if family != main:
                skipped.append(Skipped(f"/{uses[0].path}", f"is {family} code, beside that for {main}: not compared"))
        return merge(main, by_family[main]), tuple(skipped)

    def _await_oldest(self) -> None:
        code, future = self._running.pop(0)
        try:
            self._take(future.result())
        except BrokenProcessPool:
            self._take(_lost(code))

    def _take(self, use: ObjectUse) -> None:
        self._done.append(use)
        self._code_bytes += use.code_bytes
        if self._progress is not None:
            self._progress(self._code_bytes)


def _lost(code: Code) -> ObjectUse:
    return ObjectUse(code.path, code.family, 0, trouble="not analysed: the process died, perhaps for want of memory")


def merge(family: str, uses: Iterable[ObjectUse]) -> CpuUse:
    """Return what several objects use together, examples from the objects that use a feature most."""
    ordered = sorted(uses, key=lambda use: use.path)
    return CpuUse(
        family=family,
        required=_merged((use.path, use.required) for use in ordered),
        dispatched=_merged((use.path, use.dispatched) for use in ordered),
        unclear=_merged((use.path, use.unclear) for use in ordered),
        files=len(ordered),
        code_bytes=sum(use.code_bytes for use in ordered),
        missing=tuple(f"/{use.path}: {use.trouble}" for use in ordered if use.trouble),
    )


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


def _places(code: Code, functions: Iterable[tuple[object, Mapping[str, int]]]) -> Places:
    """Return the features by name, each with its instructions and the functions that use it most."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for function, features in functions:
        start, label = getattr(function, "start", 0), getattr(function, "label", "")
        for feature, number in features.items():
            found.setdefault(feature, []).append((-number, start, label))
    return {
        feature: (
            -sum(number for number, _, _ in places),
            tuple((code.file_offset(start), label) for _, start, label in sorted(places)[:_EXAMPLES]),
        )
        for feature, places in sorted(found.items())
    }
