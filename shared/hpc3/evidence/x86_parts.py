"""Which part of a whole register an x86-64 operand is: AL, AH, AX, EAX, or all of it.

Only whole registers hold values; an operand is read from, and written to, the bits that belong to it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import iced_x86 as iced
from iced_x86 import OpKind, Register, RegisterExt

from .instruction_set import is_in_feature_table
from .x86_semantics import IMMEDIATES

_ALL = (1 << 64) - 1
_HIGH = (Register.AH, Register.BH, Register.CH, Register.DH)


class Part(NamedTuple):
    """So many bits, from this one on."""

    bits: int
    first: int = 0

    def of(self, whole: int | None) -> int | None:
        """Return what the part holds."""
        if not whole:
            return whole
        if self.bits == 64:
            return whole & _ALL
        return None if is_in_feature_table(whole) else whole >> self.first & (1 << self.bits) - 1

    def into(self, whole: int | None, value: int | None) -> int | None:
        """Return what the whole register holds once a value is written to this part: 32 bits clear the upper half."""
        if value is None or self.bits >= 32:
            return value if value is None or self.bits == 64 else self._low(value)
        if whole is None or is_in_feature_table(whole):
            return None
        mask = (1 << self.bits) - 1
        return whole & _ALL & ~(mask << self.first) | (value & mask) << self.first

    def _low(self, value: int) -> int | None:
        return None if is_in_feature_table(value) else value & (1 << self.bits) - 1


def part_of(instruction: iced.Instruction, operand: int) -> Part:
    """Return the part that an operand is; an immediate is as large as the first operand."""
    kind = instruction.op_kind(operand)
    if kind in IMMEDIATES and operand:
        return Part(part_of(instruction, 0).bits)
    if kind == OpKind.REGISTER:
        return _part_of_register(instruction.op_register(operand))
    size = iced.MemorySizeExt.size(instruction.memory_size) if kind == OpKind.MEMORY else 8
    return Part(min(size, 8) * 8 or 64)


def _part_of_register(register: Any) -> Part:
    return Part(min(RegisterExt.size(register), 8) * 8, 8 if register in _HIGH else 0)
