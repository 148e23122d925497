"""What the analysis of code asks of one family of processors; `isa_x86`, `isa_aarch64` and `isa_power` answer.

Each of these modules is a `FeatureCounter`, the first two a `CheckFollower`, too: the rest of the analysis (`dispatch`,
`reach`) knows functions, edges and features, and no instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
_MOST_STATES = 6


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
        reached: addresses of the instructions that run.
        targets: code that is jumped to or called there.
        pointers: addresses that leave the function there.
        checks: whether any branch was decided by a feature.
    """

    reached: set[int] = field(default_factory=set)
    targets: set[int] = field(default_factory=set)
    pointers: set[int] = field(default_factory=set)
    checks: bool = False


class Visits:
    """The states of registers in which an absent path came to each place."""

    def __init__(self) -> None:
        self._seen: dict[int, set[frozenset[tuple[int, int]]]] = {}

    def is_new(self, place: int, state: dict[int, int]) -> bool:
        """Note a visit and return whether it is the first in this state, which is emptied where there were too many."""
        seen = self._seen.setdefault(place, set())
        if len(seen) >= _MOST_STATES:
            state.clear()  # forget what is known rather than go on for ever
        mark = frozenset(state.items())
        if mark in seen:
            return False
        seen.add(mark)
        return True


@dataclass(frozen=True)
class Oracle:
    """What is known of CPU features outside of the function.

    Attributes:
        is_variable: whether an address belongs to a variable that holds CPU features.
        is_table_slot: whether a slot holds the address of such a table in another object.
        is_predicate: whether a function returns something of the CPU's features.
        is_final: whether a function never comes back.
    """

    is_variable: Callable[[int], bool]
    is_table_slot: Callable[[int], bool]
    is_predicate: Callable[[int], bool]
    is_final: Callable[[int], bool]


class FeatureCounter(Protocol):
    """What every family's module offers."""

    def count_features(self, code: Code) -> list[FunctionUse]:
        """Return the functions that use a feature, ask for one, or hold an instruction that nobody knows."""


class CheckFollower(Protocol):
    """What a family's module offers if checks can be followed; ``data`` are the bytes of ``function``."""

    def find_references(self, code: Code) -> References:
        """Return where the functions lead."""

    def written_variables(self, code: Code, function: Function, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield address and size of the variables that a function writes, or whose address it hands on."""

    def stub_slot(self, code: Code, address: int, data: bytes) -> int:
        """Return the slot that the PLT entry ``data`` at an address jumps through; 0 where it is none."""

    def absent_path(self, code: Code, function: Function, data: bytes, oracle: Oracle) -> AbsentPath:
        """Return what of a function runs on a CPU without the features that it asks for."""

    def features_among(self, function: Function, data: bytes, addresses: set[int]) -> dict[str, int]:
        """Return how many of the instructions at some addresses need each feature."""


def bodies(code: Code) -> Iterator[tuple[Function, bytes]]:
    """Yield each function with its bytes."""
    for function in code.functions:
        yield function, code.bytes_of(function)
