"""Which code does a program reach without a run-time check, and which only behind one?

The way starts where a program starts (entry, exports, constructors) and goes along calls, jumps and pointers; where a
function asks for CPU features, only along the branches that a CPU without any takes (`AbsentPath`). What is reached so
needs its features; what is reached only otherwise is dispatched; what no edge leads to is unclear.

Flags that were copied into memory cannot be followed: what only a pointer leads to, and the few functions that are
called under conditions nobody can read, are unclear rather than required.
"""

from __future__ import annotations

import bisect
import operator
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property

from .call_graph import CallGraph
from .code import Code
from .dispatch_names import (
    FEATURE_FUNCTIONS,
    FEATURE_IMPORTS,
    FINAL_FUNCTIONS,
    IMPLIED,
    told_by_names,
)
from .functions import Function
from .instruction_set import CheckFollower, FunctionUse, Oracle
from .references import References

_PREDICATE_SIZE = 160
_ASKER_SIZE = 4096
_GUESS_SIZE = 1 << 20
_GAP = 256
#: An object with dispatch of its own that is nevertheless compiled for a target uses it in many of its functions;
#: hand-written kernels behind flags that lie in memory are few.
_PERVASIVE = 20
#: Beside code without AVX one or two functions with it may well be kernels behind a condition that nobody can read.
_FEWEST = 3
#: Features whose instructions have AVX's encoding, beside AVX itself and its successors.
_WITH_AVX = ("f16c", "fma", "fma4")


@dataclass
class Classified:
    """Features with instruction counts by function, by what guards them."""

    required: list[tuple[Function, Mapping[str, int]]] = field(default_factory=list)
    dispatched: list[tuple[Function, Mapping[str, int]]] = field(default_factory=list)
    unclear: list[tuple[Function, Mapping[str, int]]] = field(default_factory=list)


@dataclass(frozen=True)
class _Path:
    """What of a function runs on a CPU without the features that it asks for, as nodes of the call graph.

    ``features``: instructions that run there, by feature; only looked up for a function that uses any. ``returned`` and
    ``left_to``: as `AbsentPath` has them, for what may be a predicate.
    """

    targets: array[int]
    pointers: array[int]
    tables: array[int]
    checks: bool
    features: Mapping[str, int]
    returned: Set[int | None] = frozenset()
    left_to: Set[int] = frozenset()


class Reach:
    """The functions of one object, which of them check, and what a CPU without any feature reaches."""

    def __init__(
        self,
        code: Code,
        uses: list[FunctionUse],
        references: References,
        follower: CheckFollower,
        *,
        has_fallbacks: bool,
    ) -> None:
        self._code = code
        self._functions = code.functions
        self._follower = follower
        self._has_fallbacks = has_fallbacks
        self._is_old, self._returns = references.is_old, references.returns
        self._graph = CallGraph(code, references, follower)
        told = told_by_names(code.functions.names())
        self._lists, self._for_a_target = told.lists, told.for_a_target
        self._users = {use.function.number for use in uses if use.features}
        self._resolvers = {number for number in map(code.functions.number_of, code.resolvers) if number is not None}
        self._slots = {slot for slot, name in code.imports.items() if name in FEATURE_IMPORTS}
        self._asked = self._with_slots({self._functions.starts[number] for number in told.asking})
        self._asked |= {slot for slot, name in code.imports.items() if name in FEATURE_FUNCTIONS}
        calling = self._callers(references, self._asked)
        self._askers = {use.function.number for use in uses if use.asks} | calling
        self._variables = self._feature_variables(references)
        reading = self._reading_functions(references)
        predicates = {n for n in reading - self._users if self._size(n) <= self._predicate_size(n)}
        telling = self._with_slots({self._functions.starts[number] for number in predicates})
        self._asked |= telling
        self._checkers = reading | calling | self._callers(references, telling) | self._resolvers
        self._paths: dict[int, _Path] = {}
        self._returning: set[int] = set()
        self._wide = wide_features(code, uses)

    @cached_property
    def _relevant(self) -> bytearray:
        """By node, whether to go on from there: to where features may be pervasive all functions in reach count."""
        return bytearray() if self._wide else self._graph.leading_to(self._users)

    def classify(self, uses: list[FunctionUse]) -> Classified:
        """Return functions that use features, by what guards them."""
        users = [use for use in uses if use.features]
        if not any(use.function.guessed or self._features_reached(use) for use in users):
            # each checks for itself, as functions for atomics do: whatever leads there is as good
            return Classified(dispatched=[(use.function, use.features) for use in users])
        own = self._nodes({self._code.entry, *self._code.constructors} - {0}) | self._start_pointers()
        exports = self._nodes(self._code.exports)
        roots = own | (exports - self._for_a_target) | self._nodes(self._code.resolvers)
        called = self._reach(roots, pointers=False, guarded=False)
        named = self._reach(roots, pointers=True, guarded=False)
        is_everything = all(named[use.function.number] for use in users)
        anyhow = named if is_everything else self._reach(roots | exports, pointers=True, guarded=True)
        pervasive = self._pervasive(uses, named)
        fallback = self._fallbacks(named)
        picked = {node for number in self._resolvers | self._lists for node in self._graph.pointers[number]}
        found = Classified()
        for use in users:
            number = use.function.number
            # named after a target, or an IFUNC's choice: as long as others only name it
            if (number in self._for_a_target or number in picked) and not called[number]:
                found.dispatched.append((use.function, use.features))
            elif use.function.guessed:
                found.unclear.append((use.function, use.features))
            elif named[number]:
                sure = pervasive if called[number] else frozenset()
                self._sort_in(found, use, sure, is_sure=number in own or number in fallback)
            elif anyhow[number]:
                found.dispatched.append((use.function, use.features))
            else:  # nothing leads there, and yet it may check for itself
                self._sort_in(found, use, frozenset(), is_sure=False)
        return found

    def _fallbacks(self, reached: bytearray) -> set[int]:
        """Return what dispatchers hand on where no feature is: a table's functions (OpenBLAS's core), an IFUNC's."""
        found: set[int] = set()
        for number in self._checkers if self._has_fallbacks else ():
            is_relevant = not self._relevant or self._relevant[number]
            if reached[number] and is_relevant and self._path(number).checks:
                pointers = self._path(number).pointers
                tables = [node for node in pointers if not self._graph.is_function(node)]
                found.update(node for table in tables for node in self._graph.following(table))
                if number in self._resolvers and len(pointers) == 1:
                    found.update(pointers)
        return found

    def _pervasive(self, uses: list[FunctionUse], reached: bytearray) -> frozenset[str]:
        """Return the features that one in `_PERVASIVE` of the functions in reach uses, with those they imply."""
        spread: Counter[str] = Counter()
        for use in uses:
            number = use.function.number
            if reached[number] and number not in self._for_a_target and not self._wide.isdisjoint(use.features):
                spread.update(self._wide.intersection(self._features_reached(use)))
        within = reached[: len(self._functions)]
        reached_functions, old = sum(within), sum(map(operator.and_, within, self._is_old))
        wide = {feature: number for feature, number in spread.items() if number * _PERVASIVE >= reached_functions}
        avx = {feature: number for feature, number in wide.items() if feature.startswith("avx") or feature in _WITH_AVX}
        # code compiled for AVX has no vectors in the old encoding
        has_base = any(number >= max(old, _FEWEST) for number in avx.values())
        least = old if has_base or not old else max(old, _FEWEST)
        found = [feature for feature, number in wide.items() if feature not in avx or number >= least]
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

    # -- reach

    def _nodes(self, addresses: Iterable[int]) -> set[int]:
        return {self._graph.node(address) for address in addresses}

    def _start_pointers(self) -> set[int]:
        """Return what the program's first function hands to the C library: ``main``."""
        start = self._graph.node(self._code.entry)
        return set(self._graph.pointers[start]) if self._graph.is_function(start) else set()

    def _reach(self, roots: Iterable[int], *, pointers: bool, guarded: bool) -> bytearray:
        """Return, by node, whether the roots lead there.

        Args:
            roots: nodes.
            pointers: whether an address that code or a table names counts as a call.
            guarded: whether what lies behind checks counts.
        """
        graph, opaque = self._graph, self._lists | (set() if guarded else self._for_a_target)

        def leads(number: int) -> Iterable[int]:
            if number in opaque:  # what a function compiled for a target leads to is its own matter
                return ()
            if number in self._checkers and not guarded:
                return self._unguarded(number, pointers=pointers)
            if pointers:
                return graph.calls[number] + graph.pointers[number] + graph.accesses[number]
            return graph.calls[number]

        return graph.reach(roots, leads, self._relevant)

    def _unguarded(self, number: int, *, pointers: bool) -> Iterable[int]:
        """Return where a function that checks leads on a CPU without the features."""
        path = self._path(number)
        is_resolver = number in self._resolvers
        if is_resolver and not path.checks:
            return ()
        # what a resolver returns is what is called
        return path.targets + path.pointers + path.tables if pointers or is_resolver else path.targets

    # -- checks

    def _with_slots(self, starts: Set[int]) -> set[int]:
        """Return where some functions begin, and the slots through which they are called."""
        return {*starts, *self._code.slots.pointing_at(starts)}

    def _callers(self, references: References, called: Set[int]) -> set[int]:
        """Return the functions that call others, directly, through a PLT entry or through a slot (``-fno-plt``).

        Args:
            references: of all functions.
            called: where the others begin, and their slots.
        """
        targets = {target for target in sorted(set(references.targets.values)) if self._is_call_of(target, called)}
        return references.targets.functions_with(targets) | references.accesses.functions_with(called)

    def _is_call_of(self, address: int, called: Set[int]) -> bool:
        """Return whether a call of an address, a function's, a PLT entry's or a slot's, calls one of some functions."""
        return bool(called) and (address in called or self._graph.stub_slot(address) in called)

    def _feature_variables(self, references: References) -> list[tuple[int, int]]:
        """Return the address ranges that functions asking the CPU write, or hand on to be written."""
        ranges: set[tuple[int, int]] = set()
        askers = {number for number in self._askers if not self._is_a_guess_of_all(number)}
        small = {number for number in askers if self._size(number) <= _ASKER_SIZE}
        callers = references.targets.functions_with({self._functions.starts[number] for number in small})
        for number in askers | {n for n in callers if self._size(n) <= _ASKER_SIZE}:
            for address, size in self._follower.written_variables(self._code, *self._body(number)):
                if self._code.is_writable(address):
                    ranges.add((address, address + size))
        return _closed(sorted(ranges))

    def _reading_functions(self, references: References) -> set[int]:
        """Return the functions that ask for CPU features, or name a variable or table that holds them."""
        named = {*references.accesses.values, *references.pointers.values}
        places = self._slots | {address for address in named if self._is_variable(address)}
        return self._askers | references.accesses.functions_with(places) | references.pointers.functions_with(places)

    def _is_variable(self, address: int) -> bool:
        place = bisect.bisect_right(self._variables, (address, 1 << 62))
        return any(low <= address < high for low, high in self._variables[max(place - 4, 0) : place])

    def _is_predicate(self, address: int) -> bool:
        return self._is_call_of(address, self._asked)

    def _returned(self, address: int) -> int | None:
        """Return what a function returns where there is no feature; None where that cannot be told, or is not one."""
        slot = self._graph.stub_slot(address) or address
        number = self._functions.number_of(self._code.slots.get(slot) or address)
        if number is None or self._functions.name(number) in FEATURE_FUNCTIONS:
            return 0 if self._is_predicate(address) else None
        if number in self._returning or number not in self._checkers:
            return None
        self._returning.add(number)
        path = self._path(number)
        values = {*path.returned, *map(self._returned, path.left_to)}
        self._returning.discard(number)
        return values.pop() if len(values) == 1 else None

    def _is_final(self, address: int) -> bool:
        number = self._functions.number_of(address)
        if number is not None:
            return not self._returns[number]
        return self._graph.name_called(address) in FINAL_FUNCTIONS

    def _path(self, number: int) -> _Path:
        if number not in self._paths:
            oracle = Oracle(
                self._is_variable,
                self._slots.__contains__,
                self._is_predicate,
                self._is_final,
                self._functions.handles,
                self._returned,
            )
            function, data = self._body(number)
            path = self._follower.absent_path(self._code, function, data, oracle)
            self._paths[number] = _Path(
                array("I", self._nodes(path.targets)),
                array("I", self._nodes(path.pointers)),
                array("I", self._nodes(path.tables)),
                path.checks,
                path.features if number in self._users else {},
                path.returned,
                path.left_to,
            )
        return self._paths[number]

    def _features_reached(self, use: FunctionUse) -> Mapping[str, int]:
        """Return the features that a function uses on the way of a CPU without any."""
        number = use.function.number
        return self._path(number).features if number in self._checkers else use.features

    def _predicate_size(self, number: int) -> int:
        """Return how large a predicate may be: what asks the CPU itself is larger than what reads a variable."""
        return _ASKER_SIZE if number in self._askers else _PREDICATE_SIZE

    def _size(self, number: int) -> int:
        function = self._functions[number]
        return function.end - function.start

    def _is_a_guess_of_all(self, number: int) -> bool:
        """Whether a guessed function may be a whole stripped program: what that writes says nothing."""
        return self._functions[number].guessed and self._size(number) > _GUESS_SIZE

    def _body(self, number: int) -> tuple[Function, bytes]:
        function = self._functions[number]
        return function, self._code.bytes_of(function)


def wide_features(code: Code, uses: Iterable[FunctionUse]) -> set[str]:
    """Return the features in so many of all functions that they may be the object's base.

    Few functions are in reach where a library is entered by pointers: then those alone stand for nothing.
    """
    overall = Counter(feature for use in uses for feature in use.features)
    return {feature for feature, number in overall.items() if number * _PERVASIVE * 2 >= len(code.functions)}


def _closed(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return sorted ranges with small gaps closed: a table of flags is written in pieces."""
    closed: list[tuple[int, int]] = []
    for low, high in ranges:
        if closed and low - closed[-1][1] <= _GAP:
            closed[-1] = closed[-1][0], max(high, closed[-1][1])
        else:
            closed.append((low, high))
    return closed
