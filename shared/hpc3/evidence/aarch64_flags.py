"""Arithmetic of AArch64 at the size of an instruction, 32 or 64 bits, and the flags that come of it.

A wrong constant hides code, an unknown one hides nothing: what is not surely known is None.
"""

from __future__ import annotations

from .instruction_set import is_in_feature_table

#: Negative, zero, carry and overflow.
Flags = tuple[bool, bool, bool, bool]


def bits_of(word: int) -> int:
    """Return the size of the registers of an instruction that has its size in the topmost bit."""
    return 64 if word >> 31 & 1 else 32


def part(value: int | None, bits: int) -> int | None:
    """Return the lower bits of a value; of an address in a table of features nobody knows them."""
    if value is None or (bits < 64 and is_in_feature_table(value)):
        return None
    return value & (1 << bits) - 1


def sum_of(left: int | None, right: int | None, bits: int, *, subtracts: bool) -> tuple[int, Flags] | None:
    """Return what ADDS and SUBS compute, which adds the complement and one; None where that is not known."""
    left, right = part(left, bits), part(right, bits)
    if left is None or right is None:
        return None
    right = ~right & (1 << bits) - 1 if subtracts else right
    total = left + right + subtracts
    result = total & (1 << bits) - 1
    overflows = bool((left ^ result) & (right ^ result) & 1 << bits - 1)
    return result, (bool(result >> bits - 1), result == 0, total != result, overflows)


def writes_flags(word: int) -> bool:
    """Return whether a word that is neither arithmetic on general registers nor a load may write flags."""
    if word & 0x0E000000 != 0x0E000000:  # SVE, system instructions
        return True
    is_float = word & 0xFF200000 == 0x1E200000
    return is_float and (word & 0xFC00 == 0x2000 or word & 0xC00 == 0x400)  # FCMP, FCCMP
