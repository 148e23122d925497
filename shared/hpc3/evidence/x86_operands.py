"""What reads the operands of x86-64 instructions: registers, numbers, pointers in memory, entries of tables.

An operand is looked at once and becomes a *reader*, a function of the `State`; None is a value that is not known.
"""

from __future__ import annotations

from collections.abc import Callable

import iced_x86 as iced
from iced_x86 import Mnemonic, OpKind, Register

from .x86_parts import Part, part_of
from .x86_semantics import IMMEDIATES, signed
from .x86_state import State, full_register

Reader = Callable[[State], "int | None"]


def data_address(instruction: iced.Instruction, *, is_fixed: bool) -> int:
    """Return the fixed address that an instruction's memory operand names; 0 where it has none.

    Args:
        instruction: decoded at its address.
        is_fixed: whether the program is linked to fixed addresses, so that a displacement may be one.
    """
    if instruction.is_ip_rel_memory_operand:
        return int(instruction.ip_rel_memory_address)
    if (
        is_fixed
        and instruction.memory_displ_size
        and instruction.memory_base == Register.NONE
        and OpKind.MEMORY in (instruction.op0_kind, instruction.op1_kind)
    ):
        return int(instruction.memory_displacement)
    return 0


def part_reader(instruction: iced.Instruction, operand: int, is_fixed: bool) -> Reader:
    """Return what reads an operand at its size."""
    read, part = reader(instruction, operand, is_fixed), part_of(instruction, operand)
    return lambda state: part.of(read(state))


def extender(instruction: iced.Instruction, is_fixed: bool) -> Reader:
    """Return what reads the second operand and extends it as the mnemonic says."""
    read, bits = part_reader(instruction, 1, is_fixed), part_of(instruction, 1).bits
    if instruction.mnemonic not in (Mnemonic.MOVSX, Mnemonic.MOVSXD):
        return read
    whole = Part(64)

    def extended(state: State) -> int | None:
        value = read(state)
        return None if value is None else whole.of(signed(value, bits))

    return extended


def nothing(state: State) -> None:
    """Read what is not known."""
    return


def reader(instruction: iced.Instruction, operand: int, is_fixed: bool) -> Reader:
    """Return what reads an operand; of a register the whole."""
    kind = instruction.op_kind(operand)
    if kind == OpKind.REGISTER:
        register = full_register(instruction.op_register(operand))
        return lambda state: state.registers.get(register)
    if kind == OpKind.MEMORY:
        return _loader(instruction, is_fixed)
    if kind in IMMEDIATES:
        value = int(instruction.immediate(operand))
        return lambda state: value
    return nothing


def _loader(instruction: iced.Instruction, is_fixed: bool) -> Reader:
    if instruction.memory_index != Register.NONE:
        return _indexed(instruction, is_fixed)
    fixed = data_address(instruction, is_fixed=is_fixed)
    if fixed:
        return lambda state: state.load(fixed)
    address_of = sum_reader(instruction)

    def load(state: State) -> int | None:
        address = address_of(state)
        return None if address is None else state.load(address)

    return nothing if address_of is nothing else load


def _indexed(instruction: iced.Instruction, is_fixed: bool) -> Reader:
    """Return what reads an entry of a table: a number of registers, one of which may hold the table's address."""
    base, index = (
        full_register(register) if register != Register.NONE else 0
        for register in (instruction.memory_base, instruction.memory_index)
    )
    scale, displacement = instruction.memory_index_scale, signed(instruction.memory_displacement, 64)
    is_base_fixed = is_fixed and not base

    def load(state: State) -> int | None:
        table, number = (0 if is_base_fixed else state.registers.get(base)), state.registers.get(index)
        if not table and not is_base_fixed and scale == 1:  # either may be the table
            table, number = number, table
        if not table and not is_base_fixed:
            return None
        return state.load_from((table or 0) + displacement, number, scale)

    return load


def sum_reader(instruction: iced.Instruction) -> Reader:
    """Return what reads a register and adds a displacement; unknown where the operand is more than that."""
    if instruction.memory_index != Register.NONE or instruction.memory_base == Register.NONE:
        return nothing
    register, displacement = full_register(instruction.memory_base), signed(instruction.memory_displacement, 64)

    def address(state: State) -> int | None:
        base = state.registers.get(register)
        return base + displacement if base else None  # nothing, which features may be, is no address

    return address
