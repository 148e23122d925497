"""What x86-64 instructions do to the few values that an absent path knows: registers, flags, addresses that leave.

An instruction is looked at once and becomes an *effect*, a function that changes the `State`; paths execute it as
often as they come by. A value that is not known is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import iced_x86 as iced
from iced_x86 import ConditionCode, Mnemonic, OpKind, Register

from .x86_operands import Reader, data_address, extender, nothing, part_reader, reader, sum_reader
from .x86_parts import Part, part_of
from .x86_semantics import (
    COMPARISONS,
    CONDITIONS,
    OPERATIONS,
    SELF_CANCELLING,
    UNKNOWN,
)
from .x86_state import State, full_register

Effect = Callable[[State], None]

_ANSWERS = (Register.RAX, Register.RBX, Register.RCX, Register.RDX)
#: The registers in which CPUID answers with features alone, by what is asked for. It answers in others, and to other
#: questions, with the CPU's model, its caches, its name, and what every x86-64 CPU has: that is not known.
_FEATURES: Mapping[int, frozenset[int]] = {
    1: frozenset((Register.RCX,)),
    0x80000001: frozenset((Register.RCX,)),
    **dict.fromkeys((7, 0xD, 0x14, 0x19, 0x1E, 0x24), frozenset(_ANSWERS)),
}
_MOVES = (Mnemonic.MOV, Mnemonic.MOVZX, Mnemonic.MOVSXD, Mnemonic.MOVSX)


#: Only these ever hold a value.
_GENERAL = frozenset(full_register(register) for register in range(Register.AL, Register.RIP))


def effect_of(instruction: iced.Instruction, *, is_fixed: bool) -> Effect | None:
    """Return what an instruction that goes on to the next does; None: nothing that a path would know.

    Code is the same few thousand instructions again and again, those apart that name an address.
    """
    return (_effect if instruction.is_ip_rel_memory_operand else _frequent_effect)(instruction, is_fixed)


def _effect(instruction: iced.Instruction, is_fixed: bool) -> Effect | None:
    mnemonic = instruction.mnemonic
    if mnemonic in (Mnemonic.CPUID, Mnemonic.XGETBV):
        return _ask(mnemonic)
    if mnemonic == Mnemonic.LEA:
        address = data_address(instruction, is_fixed=is_fixed) if instruction.memory_index == Register.NONE else 0
        return _assign(instruction, (lambda state: address) if address else sum_reader(instruction))
    if mnemonic in _MOVES:
        if instruction.op0_kind == OpKind.MEMORY:
            return _store(instruction, reader(instruction, 1, is_fixed))
        return _assign(instruction, extender(instruction, is_fixed))
    if mnemonic in OPERATIONS and not _tests_bit_string(instruction):
        return _compute(instruction, is_fixed)
    if instruction.condition_code != ConditionCode.NONE:
        return _choose(instruction, is_fixed)
    return _forget(instruction)


_frequent_effect = lru_cache(maxsize=1 << 13)(_effect)


def _ask(mnemonic: int) -> Effect:
    """CPUID and XGETBV. Where it is not known what CPUID is asked for, it is features, as it mostly is."""
    question, whole = Part(32), int(Register.RAX)
    written = _ANSWERS if mnemonic == Mnemonic.CPUID else (Register.RAX, Register.RDX)

    def ask(state: State) -> None:
        asked = question.of(state.registers.get(whole)) if mnemonic == Mnemonic.CPUID else None
        absent = written if asked is None else _FEATURES.get(asked, ())
        for register in written:
            state.set(int(register), 0 if register in absent else None)
        state.tainted |= bool(absent)

    return ask


def _store(instruction: iced.Instruction, read: Reader) -> Effect:
    """Return the effect of writing what ``read`` returns to memory: an address leaves the function so."""

    def store(state: State) -> None:
        value = read(state)
        if value:
            state.path.pointers.add(value)

    return store


def _assign(instruction: iced.Instruction, read: Reader) -> Effect:
    """Return the effect of putting what ``read`` returns into the register that is the first operand."""
    register, part = full_register(instruction.op0_register), part_of(instruction, 0)

    def assign(state: State) -> None:
        state.set(register, part.into(state.registers.get(register), read(state)))

    return assign


def _compute(instruction: iced.Instruction, is_fixed: bool) -> Effect:
    """Return the effect of arithmetic, or of a comparison, at the size of the first operand."""
    mnemonic, operation = instruction.mnemonic, OPERATIONS[instruction.mnemonic]
    has_two = instruction.op_count > 1
    left_of = part_reader(instruction, 0, is_fixed)
    right_of = part_reader(instruction, 1, is_fixed) if has_two else _zero
    is_same = has_two and instruction.op0_register == instruction.op1_register != Register.NONE
    cancels = is_same and mnemonic in SELF_CANCELLING
    keeps = mnemonic not in COMPARISONS and instruction.op0_kind == OpKind.REGISTER
    register, part = full_register(instruction.op0_register), part_of(instruction, 0)

    def compute(state: State) -> None:
        left, right = (0, 0) if cancels else (left_of(state), right_of(state))
        result, flags = operation(left, right, part.bits, state.flags or UNKNOWN)
        state.flags = None if flags is UNKNOWN else flags
        if keeps:
            state.set(register, part.into(state.registers.get(register), result))
            if mnemonic == Mnemonic.ADD:
                state.summed.add(register)

    return compute


def _tests_bit_string(instruction: iced.Instruction) -> bool:
    """Return whether BT looks at memory that a register counts in bits: it may lie far behind the operand."""
    kinds = instruction.op0_kind, instruction.op1_kind
    return bool(instruction.mnemonic == Mnemonic.BT) and kinds == (OpKind.MEMORY, OpKind.REGISTER)


def _choose(instruction: iced.Instruction, is_fixed: bool) -> Effect:
    """SETcc and CMOVcc."""
    condition = CONDITIONS.get(instruction.condition_code)
    is_move = instruction.op_count == 2
    old_of = part_reader(instruction, 0, is_fixed)
    new_of = part_reader(instruction, 1, is_fixed) if is_move else _zero
    part = part_of(instruction, 0)
    forget = _forget(instruction, flags=False) or nothing
    register = full_register(instruction.op0_register) if instruction.op0_kind == OpKind.REGISTER else None

    def choose(state: State) -> None:
        old, new = old_of(state), new_of(state)
        holds = state.holds(condition)
        if holds is None:
            if is_move:  # either of two values: both may leave
                state.path.pointers.update(value for value in (old, new) if value)
            forget(state)
            return
        state.path.checks |= state.tainted
        if is_move:
            unused = old if holds else new
            state.dropped.update(() if unused is None else (unused,))
        if register is None:
            return
        whole = state.registers.get(register)
        if is_move:
            state.set(register, part.into(whole, new if holds else old))
        else:  # whoever goes on with the low byte of what is not known asks for no more of it
            state.set(register, part.into(0 if whole is None and not part.first else whole, int(holds)))

    return choose


def _forget(instruction: iced.Instruction, *, flags: bool = True) -> Effect | None:
    """Return the effect of an instruction that makes unknown what it writes."""
    written = _written(instruction)
    changes_flags = flags and bool(instruction.rflags_modified)
    if not written and not changes_flags:
        return None

    def forget(state: State) -> None:
        for register in written:
            state.registers.pop(register, None)
        if changes_flags:
            state.flags = None

    return forget


def _written(instruction: iced.Instruction) -> tuple[int, ...]:
    reads = (iced.OpAccess.READ, iced.OpAccess.COND_READ)
    used = iced.InstructionInfoFactory().info(instruction).used_registers()
    whole = {full_register(one.register) for one in used if one.access not in reads}
    return tuple(sorted(whole & _GENERAL))


def _zero(state: State) -> int:
    return 0
