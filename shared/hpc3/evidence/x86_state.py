"""What an absent path knows at one moment of x86-64 code: registers, flags, and what has left the function."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from iced_x86 import RegisterExt

from .code import Code
from .instruction_set import FEATURE_TABLE, LARGEST_TABLE, AbsentPath, Oracle
from .x86_semantics import Condition, Flags


class State:
    """What is known at one moment of a path; a value that is not known is None.

    Attributes:
        registers: by iced's number of the whole register.
        flags: None where nothing is known of them.
        tainted: whether anything known comes from the CPU's features.
        dropped: what a CMOV did not choose; it may stay in a register and is no argument.
        summed: registers that an addition made: a jump to one is a switch.
        path: takes what leaves the function.
    """

    __slots__ = ("code", "dropped", "flags", "oracle", "path", "registers", "summed", "tainted")

    def __init__(self, code: Code, oracle: Oracle) -> None:
        self.code = code
        self.oracle = oracle
        self.path = AbsentPath()
        self.registers: dict[int, int] = {}
        self.flags: Flags | None = None
        self.tainted = False
        self.dropped: set[int] = set()
        self.summed: set[int] = set()

    def start(self, known: Iterable[tuple[int, int]]) -> None:
        """Begin a stretch of the path with these registers known."""
        self.registers.clear()
        self.registers.update(known)
        self.summed.clear()
        self.flags = None

    def load(self, address: int) -> int | None:
        """Return what lies at an address: nothing where CPU features do, else a pointer that nobody changes."""
        if address >= FEATURE_TABLE or self.oracle.is_variable(address):
            self.tainted = True
            return 0
        if self.oracle.is_table_slot(address):
            return FEATURE_TABLE
        pointer = self.code.slots.get(address)
        if pointer and self.code.is_writable(address):
            self.path.pointers.add(pointer)  # what lies there at first; something else may be written there
            return None
        return pointer

    def load_from(self, table: int, number: int | None, scale: int) -> int | None:
        """Return an entry of a table; any of its pointers leave where it is not known which one."""
        if number is not None and number < LARGEST_TABLE:
            return self.load(table + number * scale)
        self.path.tables.add(table)
        return None

    def holds(self, condition: Condition | None) -> bool | None:
        """Return whether a condition holds; None where that is not known."""
        return None if self.flags is None or condition is None else condition(self.flags)

    def escape(self, register: int) -> None:
        """Note that what a register holds leaves the function."""
        value = self.registers.get(register)
        if value and value not in self.dropped:
            self.path.pointers.add(value)

    def set(self, register: int, value: int | None) -> None:
        """Put a value into a register."""
        if self.summed:
            self.summed.discard(register)
        if value is None:
            self.registers.pop(register, None)
        else:
            self.registers[register] = value


@cache
def full_register(register: Any) -> int:
    """Return the whole register of which a register is a part."""
    return int(RegisterExt.full_register(register))
