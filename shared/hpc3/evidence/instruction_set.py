"""What the analysis of code asks of one family of processors; `isa_x86`, `isa_aarch64` and `isa_power` answer.

Each of these modules is a `FeatureCounter`, the first two a `CheckFollower`, too: the rest of the analysis (`dispatch`,
`reach`) knows functions, edges and features, and no instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .code import Code
from .functions import Function
from .references import References

#: Base of an address that stands for "somewhere in the loader's table of CPU features".
FEATURE_TABLE = 1 << 60
#: Bytes behind an address that is handed on to be written.
STRUCTURE = 64
#: Instructions that an absent path executes at most; then everything runs.
MOST_STEPS = 400_000
#: Entries of a table that a known number picks from, at most.
LARGEST_TABLE = 4096
_MOST_STATES = 6
_TABLE_END = FEATURE_TABLE + (1 << 32)


def is_in_feature_table(value: int) -> bool:
    """Return whether a value stands for an address in a table of CPU features: its number and its bits mean nothing."""
    return FEATURE_TABLE <= value < _TABLE_END


@dataclass(frozen=True)
class FunctionUse:
    """What one function does.

    Attributes:
        function: where it lies.
        features: instructions by the feature that they need beyond the family's baseline.
        asks: whether it asks the CPU for its features.
        unknown: instructions that the decoder does not know.
    """

    function: Function
    features: Mapping[str, int] = field(default_factory=dict)
    asks: bool = False
    unknown: int = 0


@dataclass
class AbsentPath:
    """What of a function runs on a CPU without the features that it asks for.

    Attributes:
        features: instructions that run, by the feature that they need.
        targets: code that is jumped to or called there.
        pointers: addresses that leave the function there.
        tables: pointers, and tables of them, through which is called or jumped there.
        checks: whether any branch was decided by a feature.
        returned: the numbers that the function returns there; None for one that is not known.
        left_to: functions that it jumps to there, and that return in its place.
    """

    features: Mapping[str, int] = field(default_factory=dict)
    targets: set[int] = field(default_factory=set)
    pointers: set[int] = field(default_factory=set)
    tables: set[int] = field(default_factory=set)
    checks: bool = False
    returned: set[int | None] = field(default_factory=set)
    left_to: set[int] = field(default_factory=set)


class Visits:
    """What an absent path has still to do: places, and the states of registers in which it comes to each.

    A *state* is what is known of registers, as pairs of register and value.
    """

    def __init__(self, start: int, state: Mapping[int, int]) -> None:
        self._seen: dict[int, set[frozenset[tuple[int, int]]]] = {}
        self._pending: list[tuple[int, frozenset[tuple[int, int]]]] = []
        self.add((start,), state)

    def add(self, places: Iterable[int], state: Mapping[int, int]) -> None:
        """Come to some places in a state; it is forgotten where there were too many, rather than to go on for ever."""
        known = frozenset(state.items())
        for place in places:
            seen = self._seen.setdefault(place, set())
            mark = known if len(seen) < _MOST_STATES else frozenset()
            if mark not in seen:
                seen.add(mark)
                self._pending.append((place, mark))

    def next(self) -> tuple[int, frozenset[tuple[int, int]]] | None:
        """Return a place and the state in which to go on there; None once all is done."""
        return self._pending.pop() if self._pending else None


@dataclass(frozen=True)
class Oracle:
    """What is known of CPU features outside of the function.

    Attributes:
        is_variable: whether an address belongs to a variable that holds CPU features.
        is_table_slot: whether a slot holds the address of such a table in another object.
        is_predicate: whether a function returns something of the CPU's features.
        is_final: whether a function never comes back.
        handles: whether the function of a number holds code that only an exception leads to.
        returned: what a function returns where there is no feature; None where that is not known.
    """

    is_variable: Callable[[int], bool]
    is_table_slot: Callable[[int], bool]
    is_predicate: Callable[[int], bool]
    is_final: Callable[[int], bool]
    handles: Callable[[int], bool]
    returned: Callable[[int], int | None]


class FeatureCounter(Protocol):
    """What every family's module offers."""

    def count_features(self, code: Code) -> list[FunctionUse]:
        """Return the functions that use a feature, ask for one, or hold an instruction that nobody knows."""


class CheckFollower(Protocol):
    """What a family's module offers if checks can be followed; ``data`` are the bytes of ``function``."""

    def seems_to_dispatch(self, code: Code) -> bool:
        """Return a quick guess whether checks will have to be followed; a wrong one costs nothing but time."""

    def count_and_follow(self, code: Code) -> tuple[list[FunctionUse], References]:
        """Return what `FeatureCounter.count_features` does, and where the functions lead."""

    def written_variables(self, code: Code, function: Function, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield address and size of the variables that a function writes, or whose address it hands on."""

    def stub_slot(self, code: Code, address: int, data: bytes) -> int:
        """Return the slot that the PLT entry ``data`` at an address jumps through; 0 where it is none."""

    def absent_path(self, code: Code, function: Function, data: bytes, oracle: Oracle) -> AbsentPath:
        """Return what of a function runs on a CPU without the features that it asks for."""


def bodies(code: Code) -> Iterator[tuple[Function, bytes]]:
    """Yield each function with its bytes."""
    for function in code.functions:
        yield function, code.bytes_of(function)
