"""Where the functions of one object lead: what they call, which addresses they take, which data they touch.

Kept in arrays, a row for each function: a large library has millions of references.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

_PIECE = 1 << 16


@dataclass
class Leads:
    """Where one function leads.

    Attributes:
        targets: of calls and jumps.
        pointers: addresses that it takes.
        accesses: data that it reads or writes.
        returns: whether it comes back.
        is_old: whether it uses vectors in an encoding that no compiler uses where AVX is there.
    """

    targets: set[int] = field(default_factory=set)
    pointers: set[int] = field(default_factory=set)
    accesses: set[int] = field(default_factory=set)
    returns: bool = False
    is_old: bool = False


class Rows:
    """Numbers by function: row ``n`` are those of the function with that number."""

    def __init__(self) -> None:
        self.values = array("Q")
        self._ends = array("Q")

    def append(self, row: Iterable[int]) -> None:
        """Add the next function's."""
        self.values.extend(row)
        self._ends.append(len(self.values))

    def __getitem__(self, number: int) -> array[int]:
        return self.values[self._ends[number - 1] if number else 0 : self._ends[number]]

    def mapped(self, number_of: Callable[[int], int]) -> Rows:
        """Return the same rows with other numbers, of 32 bits, in place of theirs."""
        rows = Rows()
        rows.values, rows._ends = array("I"), self._ends
        for start in range(0, len(self.values), _PIECE):
            piece = self.values[start : start + _PIECE]
            numbers = {value: number_of(value) for value in sorted(set(piece))}  # code is read in its order
            rows.values.extend(map(numbers.__getitem__, piece))
        return rows

    def functions_with(self, wanted: Container[int]) -> set[int]:
        """Return the functions whose rows hold one of the wanted numbers."""
        places = (place for place, value in enumerate(self.values) if value in wanted)
        return {bisect.bisect_right(self._ends, place) for place in places}


class References:
    """`Leads` of every function, in the order of the functions."""

    def __init__(self) -> None:
        self.targets, self.pointers, self.accesses = Rows(), Rows(), Rows()
        self.returns, self.is_old = bytearray(), bytearray()

    def append(self, leads: Leads) -> None:
        """Add the next function's."""
        self.targets.append(leads.targets)
        self.pointers.append(leads.pointers)
        self.accesses.append(leads.accesses)
        self.returns.append(leads.returns)
        self.is_old.append(leads.is_old)
