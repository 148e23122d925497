"""Which code does a program reach without a run-time check, and which only behind one?

The way starts where a program starts (entry, exports, constructors) and goes along calls, jumps and pointers; where a
function asks for CPU features, only along the branches that a CPU without any takes (`AbsentPath`). What is reached so
needs its features; what is reached only otherwise is dispatched; what no edge leads to is unclear.

Flags that were copied into memory cannot be followed: what only a pointer leads to, and the few functions that are
called under conditions nobody can read, are unclear rather than required. A table of pointers reaches from the address
that code names up to the next one that code names.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

from .code import Code, Function
from .dispatch_names import FEATURE_FUNCTIONS, FEATURE_IMPORTS, FINAL_FUNCTIONS, IMPLIED, LISTS, TARGET_NAME
from .instruction_set import AbsentPath, CheckFollower, FunctionUse, Oracle, References

_PREDICATE_SIZE = 160
_ASKER_SIZE = 4096
_GAP = 256
_STUB_SIZE = 32
#: An object with dispatch of its own that is nevertheless compiled for a target uses it in many of its functions;
#: hand-written kernels behind flags that lie in memory are few.
PERVASIVE = 20
#: Features whose instructions have AVX's encoding, beside AVX itself and its successors.
_WITH_AVX = ("f16c", "fma", "fma4")


@dataclass
class Classified:
    """Features with instruction counts by function, by what guards them."""

    required: list[tuple[Function, Mapping[str, int]]] = field(default_factory=list)
    dispatched: list[tuple[Function, Mapping[str, int]]] = field(default_factory=list)
    unclear: list[tuple[Function, Mapping[str, int]]] = field(default_factory=list)


class Reach:
    """The functions of one object and what leads to what."""

    def __init__(
        self,
        code: Code,
        uses: list[FunctionUse],
        references: Mapping[int, References],
        follower: CheckFollower,
        *,
        has_fallbacks: bool,
    ) -> None:
        self._code = code
        self._follower = follower
        self._has_fallbacks = has_fallbacks
        self._by_start = {function.start: function for function in code.functions}
        self._starts = sorted(self._by_start)
        self._stubs: dict[int, int] = {}
        self._functions: dict[int, int | None] = {}
        self._pointed: dict[int, Set[int]] = {}
        self._for_a_target = {start for start, function in self._by_start.items() if TARGET_NAME.search(function.name)}
        self._askers = {use.function.start for use in uses if use.asks}
        self._users = {use.function.start for use in uses if use.features}
        self._references = references
        self._slot_places = sorted(code.slots)
        self._bases = self._named_data()
        targets: set[int] = set().union(*(found.targets for found in references.values()))
        asking = {target for target in targets if self._name_called(target) in FEATURE_FUNCTIONS}
        self._askers |= self._users_of(asking, lambda found: found.targets)
        self._variables = self._feature_variables()
        self._slots = {slot for slot, name in code.imports.items() if name in FEATURE_IMPORTS}
        reading = self._reading_functions()
        self._predicates = {s for s in reading if self._size(s) <= _PREDICATE_SIZE and s not in self._users}
        predicates = {target for target in targets if self._is_predicate(target)}
        callers = self._users_of(predicates, lambda found: found.targets)
        self._checkers = reading | callers | (code.resolvers & references.keys())
        self._paths: dict[int, AbsentPath] = {}
        choosers = code.resolvers | {f.start for f in code.functions if f.name in LISTS}
        self._picked = {a for r in choosers if r in self._references for a in self._references[r].pointers}

    def classify(self, uses: list[FunctionUse]) -> Classified:
        """Return functions that use features, by what guards them."""
        own = ({self._code.entry, *self._code.constructors} - {0}) | self._start_pointers()
        exported = {a for a in self._code.exports if a not in self._for_a_target}
        roots = own | exported | self._code.resolvers
        called = self._reach(roots, pointers=False, guarded=False)
        named = self._reach(roots, pointers=True, guarded=False)
        asked = {use.function.start for use in uses if use.features} - called - named
        anyhow = self._reach(roots | self._code.exports, pointers=True, guarded=True) if asked else set()
        pervasive = self._pervasive(uses, called | named)
        fallback = self._fallbacks(called | named)
        found = Classified()
        for use in uses:
            start = use.function.start
            if not use.features:
                continue
            # an IFUNC's choice that others only name
            if start in self._for_a_target or (start in self._picked and start not in called):
                found.dispatched.append((use.function, use.features))
            elif use.function.guessed:
                found.unclear.append((use.function, use.features))
            elif start in called or start in named:
                sure = pervasive if start in called else frozenset()
                self._sort_in(found, use, sure, is_sure=start in own or start in fallback)
            elif start in anyhow:
                found.dispatched.append((use.function, use.features))
            else:  # nothing leads there, and yet it may check for itself
                self._sort_in(found, use, frozenset(), is_sure=False)
        return found

    def _fallbacks(self, reached: set[int]) -> set[int]:
        """Return the functions of the tables that a dispatcher hands on when no feature is there (OpenBLAS's core)."""
        found: set[int] = set()
        for start in reached if self._has_fallbacks else ():
            if start in self._checkers and self._path(start).checks:
                tables = [a for a in self._path(start).pointers if self._function_at(a) is None]
                targets = [target for table in tables for target in self._pointed_at(table)]
                found.update(at for at in map(self._function_at, targets) if at is not None)
        return found

    def _pervasive(self, uses: list[FunctionUse], called: set[int]) -> frozenset[str]:
        """Return the features that one in `PERVASIVE` of the functions in reach uses, with those they imply."""
        spread: dict[str, int] = {}
        for use in uses:
            if use.function.start in called and use.function.start not in self._for_a_target:
                for feature in self._features_reached(use):
                    spread[feature] = spread.get(feature, 0) + 1
        old = sum(self._references[start].is_old for start in called)
        overall = Counter(feature for use in uses for feature in use.features)
        found = [
            feature
            for feature, number in spread.items()
            # few functions are in reach where a library is entered by pointers: then they stand for nothing
            if number * PERVASIVE >= len(called)
            and overall[feature] * PERVASIVE * 2 >= len(self._by_start)
            # and code compiled for AVX has no vectors in the old encoding
            and (number >= old or not (feature.startswith("avx") or feature in _WITH_AVX))
        ]
        return frozenset(found).union(*(IMPLIED.get(feature, ()) for feature in found))

    def _sort_in(self, found: Classified, use: FunctionUse, pervasive: frozenset[str], *, is_sure: bool) -> None:
        """File a function that no check is seen to guard: some of its code may still lie behind checks of its own."""
        always = self._features_reached(use)
        sure = {name: number for name, number in always.items() if is_sure or name in pervasive}
        unsure = {name: number for name, number in always.items() if name not in sure}
        checked = {name: number for name, number in use.features.items() if name not in always}
        for place, features in ((found.required, sure), (found.unclear, unsure), (found.dispatched, checked)):
            if features:
                place.append((use.function, features))

    def _start_pointers(self) -> set[int]:
        """Return what the program's first function hands to the C library: ``main``."""
        start = self._function_at(self._code.entry)
        return set(self._references[start].pointers) if start is not None else set()

    # -- reach

    def _reach(self, roots: Iterable[int], *, pointers: bool, guarded: bool) -> set[int]:
        """Return the starts of the functions that the roots lead to.

        Args:
            roots: addresses of code.
            pointers: whether an address that code or a table names counts as a call.
            guarded: whether what lies behind checks counts.
        """
        reached: set[int] = set()
        pending = list(roots)
        known = set(pending)
        edges: Set[int]
        while pending:
            address = pending.pop()
            start = self._function_at(address)
            if start is None:
                edges = self._pointed_at(address)
            # What a function compiled for a target leads to is its own matter.
            elif start not in reached and (guarded or start not in self._for_a_target):
                edges = self._edges(start, pointers=pointers, guarded=guarded)
            else:
                edges = frozenset()
            if start is not None:
                reached.add(start)
            found = edges - known
            pending.extend(found)
            known |= found
        return reached

    def _edges(self, start: int, *, pointers: bool, guarded: bool) -> Set[int]:
        found = self._references[start]
        if self._by_start[start].name in LISTS:
            return frozenset()
        if guarded or start not in self._checkers:
            return found.targets.union(found.pointers, found.accesses) if pointers else found.targets
        path = self._path(start)
        is_resolver = start in self._code.resolvers
        if is_resolver and not path.checks:
            return frozenset()
        # what a resolver returns is what is called
        return path.targets | path.pointers if pointers or is_resolver else path.targets

    def _function_at(self, address: int) -> int | None:
        """Return the start of the function that an address leads to; None for data and PLT entries."""
        if address not in self._functions:
            self._functions[address] = self._find_function(address)
        return self._functions[address]

    def _find_function(self, address: int) -> int | None:
        place = bisect.bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        function = self._by_start[self._starts[place]]
        if address >= function.end or (address != function.start and self._stub_slot(address)):
            return None
        return function.start

    def _pointed_at(self, address: int) -> Set[int]:
        """Return what a slot, a PLT entry or a table of pointers leads to."""
        if address not in self._pointed:
            self._pointed[address] = self._read_pointers(self._stub_slot(address) or address)
        return self._pointed[address]

    def _read_pointers(self, address: int) -> Set[int]:
        following = bisect.bisect_right(self._bases, address)
        end = self._bases[following] if following < len(self._bases) else address + 8
        first = bisect.bisect_left(self._slot_places, address)
        last = bisect.bisect_left(self._slot_places, max(end, address + 8), first)
        return frozenset(self._code.slots[place] for place in self._slot_places[first:last])

    def _stub_slot(self, address: int) -> int:
        """Return the slot that a PLT entry at an address jumps through; 0 where there is none."""
        if address not in self._stubs:
            data = self._code.bytes_at(address, _STUB_SIZE)
            self._stubs[address] = self._follower.stub_slot(self._code, address, data) if data else 0
        return self._stubs[address]

    def _named_data(self) -> list[int]:
        named = set(self._code.slots.values())
        for found in self._references.values():
            named |= found.pointers
            named |= found.accesses
        return sorted(named)

    # -- checks

    def _feature_variables(self) -> list[tuple[int, int]]:
        """Return the address ranges that functions asking the CPU write, or hand on to be written."""
        ranges: set[tuple[int, int]] = set()
        small = {s for s in self._askers if self._size(s) <= _ASKER_SIZE}
        callers = self._users_of(small, lambda found: found.targets)
        for start in self._askers | {s for s in callers if self._size(s) <= _ASKER_SIZE}:
            for address, size in self._follower.written_variables(self._code, *self._body(start)):
                if any(low <= address < high for low, high in self._code.writable):
                    ranges.add((address, address + size))
        return _closed(sorted(ranges))

    def _users_of(self, places: set[int], kind: Callable[[References], set[int]]) -> set[int]:
        """Return the functions with one of the places among their references of a kind."""
        if not places:
            return set()
        return {start for start, found in self._references.items() if not places.isdisjoint(kind(found))}

    def _reading_functions(self) -> set[int]:
        """Return the functions that ask for CPU features, or name a variable or table that holds them."""
        places = self._slots | {a for a in self._bases if self._is_variable(a)}
        return (
            self._askers
            | self._users_of(places, lambda found: found.accesses)
            | self._users_of(places, lambda found: found.pointers)
        )

    def _name_called(self, address: int) -> str:
        """Return the name of the function, here or elsewhere, that a call of an address reaches."""
        known = self._by_start.get(address)
        return (known.name if known else "") or self._code.imports.get(self._stub_slot(address) or address, "")

    def _is_variable(self, address: int) -> bool:
        place = bisect.bisect_right(self._variables, (address, 1 << 62))
        return any(low <= address < high for low, high in self._variables[max(place - 4, 0) : place])

    def _is_predicate(self, address: int) -> bool:
        if address in self._predicates:
            return True
        slot = self._stub_slot(address) or address
        return self._name_called(address) in FEATURE_FUNCTIONS or self._code.slots.get(slot, 0) in self._predicates

    def _is_final(self, address: int) -> bool:
        known = self._references.get(address)
        if known is not None:
            return not known.returns
        return self._name_called(address) in FINAL_FUNCTIONS

    def _path(self, start: int) -> AbsentPath:
        if start not in self._paths:
            oracle = Oracle(self._is_variable, self._slots.__contains__, self._is_predicate, self._is_final)
            self._paths[start] = self._follower.absent_path(self._code, *self._body(start), oracle)
        return self._paths[start]

    def _features_reached(self, use: FunctionUse) -> Mapping[str, int]:
        """Return the features that a function uses on the way of a CPU without any."""
        if use.function.start not in self._checkers:
            return use.features
        function, data = self._body(use.function.start)
        return self._follower.features_among(function, data, self._path(function.start).reached)

    def _size(self, start: int) -> int:
        function = self._by_start[start]
        return function.end - function.start

    def _body(self, start: int) -> tuple[Function, bytes]:
        function = self._by_start[start]
        return function, self._code.bytes_of(function)


def _closed(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return sorted ranges with small gaps closed: a table of flags is written in pieces."""
    closed: list[tuple[int, int]] = []
    for low, high in ranges:
        if closed and low - closed[-1][1] <= _GAP:
            closed[-1] = closed[-1][0], max(high, closed[-1][1])
        else:
            closed.append((low, high))
    return closed
