"""What the x86 instructions do that decide a branch on CPU features: conditions over flags, arithmetic on 64 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from iced_x86 import ConditionCode, Mnemonic, OpKind

CONDITIONS: Mapping[int, Callable[[bool, bool, bool], bool]] = {
    ConditionCode.E: lambda zero, carry, sign: zero,
    ConditionCode.NE: lambda zero, carry, sign: not zero,
    ConditionCode.B: lambda zero, carry, sign: carry,
    ConditionCode.AE: lambda zero, carry, sign: not carry,
    ConditionCode.BE: lambda zero, carry, sign: zero or carry,
    ConditionCode.A: lambda zero, carry, sign: not (zero or carry),
    ConditionCode.S: lambda zero, carry, sign: sign,
    ConditionCode.NS: lambda zero, carry, sign: not sign,
    ConditionCode.L: lambda zero, carry, sign: sign,
    ConditionCode.GE: lambda zero, carry, sign: not sign,
    ConditionCode.LE: lambda zero, carry, sign: zero or sign,
    ConditionCode.G: lambda zero, carry, sign: not (zero or sign),
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
COMPARISONS = (Mnemonic.TEST, Mnemonic.CMP, Mnemonic.BT)
ARITHMETIC: Mapping[int, Callable[[int, int], int]] = {
    Mnemonic.ADD: lambda left, right: left + right,
    Mnemonic.AND: lambda left, right: left & right,
    Mnemonic.NOT: lambda left, right: ~left,
    Mnemonic.OR: lambda left, right: left | right,
    Mnemonic.SAR: lambda left, right: left >> (right & 63),
    Mnemonic.SHL: lambda left, right: left << (right & 63),
    Mnemonic.SHR: lambda left, right: left >> (right & 63),
    Mnemonic.SUB: lambda left, right: left - right,
    Mnemonic.XOR: lambda left, right: left ^ right,
}
