"""The AArch64 instructions that carry control flow and addresses, told apart by their bits.

Encodings: Arm Architecture Reference Manual (DDI 0487), C4.1. capstone would do, a hundred times slower.
"""

from __future__ import annotations

from .words import signed

RET, BR, BLR = 0xD65F0000, 0xD61F0000, 0xD63F0000
_REGISTER_BRANCH = 0xFFFFFC1F
#: RETAA, RETAB: a return that checks the address first.
_SIGNED_RETURNS = (0xD65F0BFF, 0xD65F0FFF)


def branch_target(word: int, address: int) -> int:
    """Return where a branch at an address leads; 0 for what is none, or leads to a register."""
    if word & 0x7C000000 == 0x14000000:  # B, BL
        return address + signed(word & 0x3FFFFFF, 26) * 4
    if word & 0xFF000010 == 0x54000000 or word & 0x7E000000 == 0x34000000:  # B.cond, CBZ, CBNZ
        return address + signed(word >> 5 & 0x7FFFF, 19) * 4
    if word & 0x7E000000 == 0x36000000:  # TBZ, TBNZ
        return address + signed(word >> 5 & 0x3FFF, 14) * 4
    return 0


def is_call(word: int) -> bool:
    """Whether a word is a BL."""
    return word & 0xFC000000 == 0x94000000


def register_branch(word: int) -> int:
    """Return RET, BR or BLR; 0 for any other word."""
    if word in _SIGNED_RETURNS:
        return RET
    kind = word & _REGISTER_BRANCH
    return kind if kind in (RET, BR, BLR) else 0


def page_address(word: int, address: int) -> int | None:
    """Return what an ADR or ADRP at an address makes; None for any other word."""
    if word & 0x1F000000 != 0x10000000:
        return None
    offset = signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
    return (address & ~0xFFF) + (offset << 12) if word >> 31 else address + offset


def added_immediate(word: int) -> int | None:
    """Return the number that an ADD or SUB of an immediate adds, flags left alone; None for any other word."""
    if word & 0x3F800000 != 0x11000000:
        return None
    number = word >> 10 & 0xFFF
    number <<= 12 if word & 0x400000 else 0
    return -number if word & 0x40000000 else number


def memory_offset(word: int) -> tuple[int, bool] | None:
    """Return the offset to the base of a load or store at an unsigned or unscaled immediate, and whether it loads."""
    if word & 0x3B000000 == 0x39000000:
        scale = word >> 30
        vector = word >> 26 & 1
        if vector and word & 0x800000:  # 128 bits
            scale = 4
        return (word >> 10 & 0xFFF) << scale, bool(word & 0xC00000) if not vector else bool(word & 0x400000)
    if word & 0x3B200C00 == 0x38000000:
        return signed(word >> 12 & 0x1FF, 9), bool(word & 0xC00000)
    if word & 0x3E000000 == 0x28000000 and word & 0x03800000 == 0x01000000:  # LDP, STP at an offset
        return signed(word >> 15 & 0x7F, 7) << (2 + (word >> 31)), bool(word & 0x400000)
    return None


def literal_address(word: int, address: int) -> int | None:
    """Return the address that an LDR of a literal reads; None for any other word."""
    if word & 0x3B000000 != 0x18000000:
        return None
    return address + signed(word >> 5 & 0x7FFFF, 19) * 4
