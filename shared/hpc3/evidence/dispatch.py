"""Does code that uses a CPU feature run without a check, or behind run-time dispatch?

The question is one of reach: from where a program starts (entry, exports, constructors) along calls, jumps and
pointers; where a function asks for CPU features, only along the way that a CPU without any takes (`absent_path`).
What is reached so needs its features; what is reached only otherwise is dispatched; what no edge leads to is unclear.

Edges are rather taken once too often than once too rarely: a pointer counts as a call, a table of pointers counts
from the address that code names up to the next one that code names.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import iced_x86 as iced

from .absent_path import AbsentPath, Oracle, absent_path
from .code import Code, Function
from .isa_x86 import FunctionUse, References, bodies, data_address, features_of, references

#: Data or functions of other objects by which code learns the CPU's features: GCC's libgcc, glibc's loader.
FEATURE_IMPORTS = frozenset({"__cpu_features2", "__cpu_model", "_dl_x86_cpu_features", "_rtld_global_ro"})
_FEATURE_FUNCTIONS = frozenset(
    {
        "__builtin_cpu_supports",
        "__get_cpuid",
        "__get_cpuid_max",
        "__x86_get_cpu_features",
        "__x86_get_cpuid_feature_leaf",
        "_dl_x86_get_cpu_features",
    }
)
#: Names of functions compiled for a target: GCC's target_clones (``f.avx2.0``), OpenBLAS (``dgemm_kernel_HASWELL``).
_TARGET_NAME = re.compile(
    r"[._](sse[0-9_]*|ssse3|avx[0-9a-z_]*|fma[34]?|bmi2?|xop|aesni|evex[0-9a-z_]*|arch_[a-z0-9_-]+|x86[_-]64[_-]v[234]|"
    r"core2|nehalem|penryn|dunnington|sandybridge|ivybridge|haswell|broadwell|skylakex?|cooperlake|icelake[a-z_]*|"
    r"cascadelake|sapphirerapids|atom|barcelona|bobcat|bulldozer|piledriver|steamroller|excavator|zen[0-9]*|znver[0-9])"
    r"(?=$|[._])",
    re.IGNORECASE,
)
#: Folders and names by which the loader, or a program, picks whole objects for a CPU.
_TARGET_FILE = re.compile(r"/glibc-hwcaps/|/haswell/|/avx512_1/|[._-](avx2?|avx512[a-z]*|haswell|skylakex?|zen[0-9])\.so")
_PREDICATE_SIZE = 160
_ASKER_SIZE = 4096
_STRUCTURE = 64


@dataclass
class Classified:
    """Features with instruction counts by function, by what guards them."""

    required: list[tuple[Function, dict[str, int]]] = field(default_factory=list)
    dispatched: list[tuple[Function, dict[str, int]]] = field(default_factory=list)
    unclear: list[tuple[Function, dict[str, int]]] = field(default_factory=list)


def classify(code: Code, uses: list[FunctionUse]) -> Classified:
    """Return the functions that use features, by whether a run-time check guards them."""
    with_features = [use for use in uses if use.counts]
    if _TARGET_FILE.search("/" + code.path):
        return Classified(dispatched=[(use.function, use.features()) for use in with_features])
    asks = any(use.asks for use in uses) or code.resolvers
    if not with_features or not (asks or FEATURE_IMPORTS.intersection(code.imports.values())):
        return Classified(required=[(use.function, use.features()) for use in with_features])
    return _Graph(code, uses).classify(with_features)


class _Graph:
    """The functions of one object and what leads to what."""

    def __init__(self, code: Code, uses: list[FunctionUse]) -> None:
        self._code = code
        self._bodies = {function.start: (function, data) for function, data in bodies(code)}
        self._starts = sorted(self._bodies)
        self._askers = {use.function.start for use in uses if use.asks}
        self._users = {use.function.start for use in uses if use.counts}
        self._references: dict[int, References] = {
            start: references(code, function, data) for start, (function, data) in self._bodies.items()
        }
        self._slot_places = sorted(code.slots)
        self._bases = self._named_data()
        self._variables = self._feature_variables()
        self._slots = {slot for slot, name in code.imports.items() if name in FEATURE_IMPORTS}
        self._predicates = set(self._find_predicates())
        self._paths: dict[int, AbsentPath] = {}

    def classify(self, uses: list[FunctionUse]) -> Classified:
        roots = {self._code.entry, *self._code.constructors, *self._code.resolvers} - {0}
        exported = {a for a in self._code.exports if not self._is_for_a_target(a)}
        unguarded = self._reach(roots | exported, guarded=False)
        anyhow = self._reach(roots | set(self._code.exports), guarded=True)
        found = Classified()
        for use in uses:
            self._sort_in(found, use, unguarded, anyhow)
        return found

    def _sort_in(self, found: Classified, use: FunctionUse, unguarded: set[int], anyhow: set[int]) -> None:
        start = use.function.start
        if start in unguarded:
            if self._is_for_a_target(start):
                found.unclear.append((use.function, use.features()))
                return
            always = self._features_reached(use)
            sometimes = {name: number for name, number in use.features().items() if name not in always}
            if always:
                found.required.append((use.function, always))
            if sometimes:
                found.dispatched.append((use.function, sometimes))
        elif start in anyhow or self._is_for_a_target(start):
            found.dispatched.append((use.function, use.features()))
        else:
            found.unclear.append((use.function, use.features()))

    # -- reach

    def _reach(self, roots: Iterable[int], *, guarded: bool) -> set[int]:
        """Return the starts of the functions that the roots lead to; with ``guarded`` also past checks."""
        reached: set[int] = set()
        data_seen: set[int] = set()
        pending = list(roots)
        while pending:
            address = pending.pop()
            start = self._function_at(address)
            if start is None:
                pending.extend(self._pointed_at(address, data_seen))
            elif start not in reached:
                reached.add(start)
                pending.extend(self._edges(start, guarded=guarded))
        return reached

    def _edges(self, start: int, *, guarded: bool) -> Iterator[int]:
        if not guarded and self._checks_features(start):
            path = self._path(start)
            if start not in self._code.resolvers or path.checks:
                yield from path.targets
            return
        found = self._references[start]
        for address in (*found.targets, *found.pointers, *found.accesses):
            yield address

    def _function_at(self, address: int) -> int | None:
        place = bisect.bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        function, _ = self._bodies[self._starts[place]]
        if address >= function.end or (address != function.start and self._stub_slot(address)):
            return None
        return function.start

    def _pointed_at(self, address: int, seen: set[int]) -> Iterator[int]:
        """Yield what a slot, a PLT entry or a table of pointers leads to."""
        stub = self._stub_slot(address)
        if stub:
            address = stub
        if address in seen:
            return
        seen.add(address)
        following = bisect.bisect_right(self._bases, address)
        end = self._bases[following] if following < len(self._bases) else address + 8
        first = bisect.bisect_left(self._slot_places, address)
        last = bisect.bisect_left(self._slot_places, max(end, address + 8))
        for place in self._slot_places[first:last]:
            yield self._code.slots[place]

    def _stub_slot(self, address: int) -> int:
        """Return the slot that a PLT entry at an address jumps through; 0 where there is none."""
        for start, data in self._code.sections:
            if start <= address < start + len(data):
                inside = address - start
                decoder = iced.Decoder(64, data[inside : inside + 16], ip=address)
                for instruction in decoder:
                    if instruction.mnemonic == iced.Mnemonic.ENDBR64:
                        continue
                    if instruction.mnemonic == iced.Mnemonic.JMP:
                        return data_address(self._code, instruction)
                    return 0
        return 0

    def _named_data(self) -> list[int]:
        named = {a for found in self._references.values() for a in (*found.pointers, *found.accesses)}
        named.update(self._code.slots.values())
        return sorted(named)

    # -- checks

    def _feature_variables(self) -> list[tuple[int, int]]:
        """Return the address ranges that functions asking the CPU write, or hand on to be written."""
        ranges: set[tuple[int, int]] = set()
        small = {s for s in self._askers if self._size(s) <= _ASKER_SIZE}
        callers = {s for s, found in self._references.items() if small.intersection(found.targets)}
        for start in self._askers | {s for s in callers if self._size(s) <= _ASKER_SIZE}:
            for address, size in self._written(start):
                if any(low <= address < high for low, high in self._code.writable):
                    ranges.add((address, address + size))
        return sorted(ranges)

    def _written(self, start: int) -> Iterator[tuple[int, int]]:
        function, data = self._bodies[start]
        info = iced.InstructionInfoFactory()
        for instruction in iced.Decoder(64, data, ip=function.start):
            address = data_address(self._code, instruction)
            if not address:
                continue
            if instruction.mnemonic == iced.Mnemonic.LEA:
                yield address, _STRUCTURE
            elif any(
                used.access in (iced.OpAccess.WRITE, iced.OpAccess.READ_WRITE, iced.OpAccess.COND_WRITE)
                for used in info.info(instruction).used_memory()
            ):
                yield address, 8

    def _is_variable(self, address: int) -> bool:
        place = bisect.bisect_right(self._variables, (address, 1 << 62))
        return any(low <= address < high for low, high in self._variables[max(place - 4, 0) : place])

    def _find_predicates(self) -> Iterator[int]:
        for start, found in self._references.items():
            if self._size(start) <= _PREDICATE_SIZE and start not in self._users:
                addresses = (*found.accesses, *found.pointers)
                if start in self._askers or any(self._is_variable(a) or a in self._slots for a in addresses):
                    yield start

    def _is_predicate(self, address: int) -> bool:
        if address in self._predicates:
            return True
        slot = self._stub_slot(address) or address
        return self._code.imports.get(slot, "") in _FEATURE_FUNCTIONS or self._code.slots.get(slot, 0) in self._predicates

    def _checks_features(self, start: int) -> bool:
        found = self._references[start]
        return (
            start in self._askers
            or any(self._is_variable(a) or a in self._slots for a in (*found.accesses, *found.pointers))
            or any(self._is_predicate(target) for target in found.targets)
        )

    def _path(self, start: int) -> AbsentPath:
        if start not in self._paths:
            oracle = Oracle(self._is_variable, self._slots.__contains__, self._is_predicate)
            self._paths[start] = absent_path(self._code, *self._bodies[start], oracle)
        return self._paths[start]

    def _features_reached(self, use: FunctionUse) -> dict[str, int]:
        """Return the features that a function uses on the way of a CPU without any."""
        if not self._checks_features(use.function.start):
            return use.features()
        reached = self._path(use.function.start).reached
        found: dict[str, int] = {}
        function, data = self._bodies[use.function.start]
        for instruction in iced.Decoder(64, data, ip=function.start):
            if instruction.ip in reached:
                for feature in features_of(instruction.code):
                    found[feature] = found.get(feature, 0) + 1
        return found

    def _is_for_a_target(self, start: int) -> bool:
        known = self._bodies.get(start)
        return bool(known and _TARGET_NAME.search(known[0].name))

    def _size(self, start: int) -> int:
        function, _ = self._bodies[start]
        return function.end - function.start
