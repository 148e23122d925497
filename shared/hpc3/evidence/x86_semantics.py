"""What the x86 instructions do that decide a branch on CPU features: conditions over flags, arithmetic at a size.

A wrong constant hides code, an unknown one hides nothing: what is not surely known is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Optional

from iced_x86 import ConditionCode, Mnemonic, OpKind


class Flags(NamedTuple):
    """The flags that a condition asks for, each None where it is not known. Parity never is."""

    zero: bool | None = None
    carry: bool | None = None
    sign: bool | None = None
    overflow: bool | None = None


UNKNOWN = Flags()

Condition = Callable[[Flags], Optional[bool]]
#: Takes two operands, both below 2 ** bits, their size in bits and the flags before; returns the result and the flags.
Operation = Callable[[Optional[int], Optional[int], int, Flags], tuple[Optional[int], Flags]]


def _or(left: bool | None, right: bool | None) -> bool | None:
    if left or right:
        return True
    return None if left is None or right is None else False


def _differ(left: bool | None, right: bool | None) -> bool | None:
    return None if left is None or right is None else left != right


def _not(condition: Condition) -> Condition:
    def inverted(flags: Flags) -> bool | None:
        holds = condition(flags)
        return None if holds is None else not holds

    return inverted


def _is_less(flags: Flags) -> bool | None:
    return _differ(flags.sign, flags.overflow)


def _is_below_or_equal(flags: Flags) -> bool | None:
    return _or(flags.zero, flags.carry)


def _is_less_or_equal(flags: Flags) -> bool | None:
    return _or(flags.zero, _is_less(flags))


#: Without parity, of which nothing is known.
CONDITIONS: Mapping[int, Condition] = {
    ConditionCode.O: lambda flags: flags.overflow,
    ConditionCode.NO: _not(lambda flags: flags.overflow),
    ConditionCode.B: lambda flags: flags.carry,
    ConditionCode.AE: _not(lambda flags: flags.carry),
    ConditionCode.E: lambda flags: flags.zero,
    ConditionCode.NE: _not(lambda flags: flags.zero),
    ConditionCode.BE: _is_below_or_equal,
    ConditionCode.A: _not(_is_below_or_equal),
    ConditionCode.S: lambda flags: flags.sign,
    ConditionCode.NS: _not(lambda flags: flags.sign),
    ConditionCode.L: _is_less,
    ConditionCode.GE: _not(_is_less),
    ConditionCode.LE: _is_less_or_equal,
    ConditionCode.G: _not(_is_less_or_equal),
}

IMMEDIATES = (
    OpKind.IMMEDIATE8,
    OpKind.IMMEDIATE16,
    OpKind.IMMEDIATE32,
    OpKind.IMMEDIATE64,
    OpKind.IMMEDIATE8TO16,
    OpKind.IMMEDIATE8TO32,
    OpKind.IMMEDIATE8TO64,
    OpKind.IMMEDIATE32TO64,
)


def signed(value: int, bits: int) -> int:
    """Return the number that bits stand for where the topmost is a sign."""
    return value - (value >> bits - 1 << bits)


def _flags(result: int, bits: int, carry: bool | None = False, overflow: bool | None = False) -> Flags:
    return Flags(result == 0, carry, bool(result >> bits - 1), overflow)


def _add(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    if left is None or right is None:
        return None, UNKNOWN
    total = left + right
    result = total & (1 << bits) - 1
    return result, _flags(
        result, bits, total != result, signed(left, bits) + signed(right, bits) != signed(result, bits)
    )


def _subtract(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    if left is None or right is None:
        return None, UNKNOWN
    result = left - right & (1 << bits) - 1
    return result, _flags(result, bits, left < right, signed(left, bits) - signed(right, bits) != signed(result, bits))


def _and(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    if left == 0 or right == 0:  # nothing and anything is nothing
        return 0, _flags(0, bits)
    if left is None or right is None:
        return None, UNKNOWN
    return left & right, _flags(left & right, bits)


def _or_bits(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    return (None, UNKNOWN) if left is None or right is None else (left | right, _flags(left | right, bits))


def _xor(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    return (None, UNKNOWN) if left is None or right is None else (left ^ right, _flags(left ^ right, bits))


def _not_bits(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    return None if left is None else ~left & (1 << bits) - 1, before


def _negate(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    return _subtract(0, left, bits, before)


def _increment(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    result, flags = _add(left, 1, bits, before)
    return result, flags._replace(carry=before.carry)


def _decrement(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    result, flags = _subtract(left, 1, bits, before)
    return result, flags._replace(carry=before.carry)


def _test_bit(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
    if left == 0:
        return None, Flags(carry=False)
    if left is None or right is None:
        return None, UNKNOWN
    return None, Flags(carry=bool(left >> right % bits & 1))


def _shift(by: Callable[[int, int, int], int]) -> Operation:
    """Return a shift; its carry and overflow are the bits shifted out, on which nothing of interest branches."""

    def shift(left: int | None, right: int | None, bits: int, before: Flags) -> tuple[int | None, Flags]:
        count = None if right is None else right & (63 if bits == 64 else 31)
        if left is None or count is None:
            return None, UNKNOWN
        result = by(left, count, bits) & (1 << bits) - 1
        return result, _flags(result, bits, None, None) if count else before

    return shift


#: Flags and nothing else.
COMPARISONS: Mapping[int, Operation] = {Mnemonic.TEST: _and, Mnemonic.CMP: _subtract, Mnemonic.BT: _test_bit}
OPERATIONS: Mapping[int, Operation] = {
    **COMPARISONS,
    Mnemonic.ADD: _add,
    Mnemonic.AND: _and,
    Mnemonic.DEC: _decrement,
    Mnemonic.INC: _increment,
    Mnemonic.NEG: _negate,
    Mnemonic.NOT: _not_bits,
    Mnemonic.OR: _or_bits,
    Mnemonic.SAR: _shift(lambda left, count, bits: signed(left, bits) >> count),
    Mnemonic.SHL: _shift(lambda left, count, bits: left << count),
    Mnemonic.SHR: _shift(lambda left, count, bits: left >> count),
    Mnemonic.SUB: _subtract,
    Mnemonic.XOR: _xor,
}
#: What comes of these does not depend on a value that is both of their operands.
SELF_CANCELLING = (Mnemonic.XOR, Mnemonic.SUB, Mnemonic.CMP)
