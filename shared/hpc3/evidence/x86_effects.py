"""What x86-64 instructions do to the few values that an absent path knows: registers, flags, addresses that leave.

An instruction is looked at once and becomes an *effect*, a function that changes the `State`; paths execute it as
often as they come by. A value that is not known is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

import iced_x86 as iced
from iced_x86 import ConditionCode, Mnemonic, OpKind, Register, RegisterExt

from .code import Code
from .instruction_set import FEATURE_TABLE, AbsentPath, Oracle
from .x86_parts import Part, part_of
from .x86_semantics import (
    COMPARISONS,
    CONDITIONS,
    IMMEDIATES,
    OPERATIONS,
    SELF_CANCELLING,
    UNKNOWN,
    Condition,
    Flags,
    signed,
)

Effect = Callable[["State"], None]
Reader = Callable[["State"], "int | None"]

_ANSWERS = (Register.RAX, Register.RBX, Register.RCX, Register.RDX)
#: The registers in which CPUID answers with features alone, by what is asked for. It answers in others, and to other
#: questions, with the CPU's model, its caches, its name, and what every x86-64 CPU has: that is not known.
_FEATURES: Mapping[int, frozenset[int]] = {
    1: frozenset((Register.RCX,)),
    0x80000001: frozenset((Register.RCX,)),
    **dict.fromkeys((7, 0xD, 0x14, 0x19, 0x1E, 0x24), frozenset(_ANSWERS)),
}
_MOVES = (Mnemonic.MOV, Mnemonic.MOVZX, Mnemonic.MOVSXD, Mnemonic.MOVSX)
_LARGEST_TABLE = 4096


class State:
    """What is known at one moment of a path.

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
        if pointer and any(low <= address < high for low, high in self.code.writable):
            self.path.pointers.add(pointer)  # what lies there at first; something else may be written there
            return None
        return pointer

    def load_from(self, table: int, number: int | None, scale: int) -> int | None:
        """Return an entry of a table; any of its pointers leave where it is not known which one."""
        if number is not None and number < _LARGEST_TABLE:
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


#: Only these ever hold a value.
_GENERAL = frozenset(full_register(register) for register in range(Register.AL, Register.RIP))


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
        address = data_address(instruction, is_fixed=is_fixed)
        return _assign(instruction, (lambda state: address) if address else _address(instruction))
    if mnemonic in _MOVES:
        if instruction.op0_kind == OpKind.MEMORY:
            return _store(instruction, _reader(instruction, 1, is_fixed))
        return _assign(instruction, _extender(instruction, is_fixed))
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
    left_of = _part_reader(instruction, 0, is_fixed)
    right_of = _part_reader(instruction, 1, is_fixed) if has_two else _zero
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
    old_of = _part_reader(instruction, 0, is_fixed)
    new_of = _part_reader(instruction, 1, is_fixed) if is_move else _zero
    part = part_of(instruction, 0)
    forget = _forget(instruction, flags=False) or _nothing
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


def _nothing(state: State) -> None:
    return None


def _reader(instruction: iced.Instruction, operand: int, is_fixed: bool) -> Reader:
    kind = instruction.op_kind(operand)
    if kind == OpKind.REGISTER:
        register = full_register(instruction.op_register(operand))
        return lambda state: state.registers.get(register)
    if kind == OpKind.MEMORY:
        return _loader(instruction, is_fixed)
    if kind in IMMEDIATES:
        value = int(instruction.immediate(operand))
        return lambda state: value
    return _nothing


def target_reader(instruction: iced.Instruction, *, is_fixed: bool) -> Reader:
    """Return what reads where an indirect call or jump leads to."""
    return _reader(instruction, 0, is_fixed)


def _part_reader(instruction: iced.Instruction, operand: int, is_fixed: bool) -> Reader:
    """Return what reads an operand at its size."""
    read, part = _reader(instruction, operand, is_fixed), part_of(instruction, operand)
    return lambda state: part.of(read(state))


def _extender(instruction: iced.Instruction, is_fixed: bool) -> Reader:
    """Return what reads the second operand and extends it as the mnemonic says."""
    read, bits = _part_reader(instruction, 1, is_fixed), part_of(instruction, 1).bits
    if instruction.mnemonic not in (Mnemonic.MOVSX, Mnemonic.MOVSXD):
        return read
    whole = Part(64)

    def extended(state: State) -> int | None:
        value = read(state)
        return None if value is None else whole.of(signed(value, bits))

    return extended


def _loader(instruction: iced.Instruction, is_fixed: bool) -> Reader:
    if instruction.memory_index != Register.NONE:
        return _indexed(instruction, is_fixed)
    fixed = data_address(instruction, is_fixed=is_fixed)
    if fixed:
        return lambda state: state.load(fixed)
    address_of = _address(instruction)

    def load(state: State) -> int | None:
        address = address_of(state)
        return None if address is None else state.load(address)

    return _nothing if address_of is _nothing else load


def _indexed(instruction: iced.Instruction, is_fixed: bool) -> Reader:
    """Return what reads an entry of a table: a number of registers, one of which may hold the table's address."""
    base, index = (
        full_register(register) if register != Register.NONE else 0
        for register in (instruction.memory_base, instruction.memory_index)
    )
    scale, displacement = instruction.memory_index_scale, _signed(instruction.memory_displacement)
    is_base_fixed = is_fixed and not base

    def load(state: State) -> int | None:
        table, number = (0 if is_base_fixed else state.registers.get(base)), state.registers.get(index)
        if not table and not is_base_fixed and scale == 1:  # either may be the table
            table, number = number, table
        if not table and not is_base_fixed:
            return None
        return state.load_from((table or 0) + displacement, number, scale)

    return load


def _address(instruction: iced.Instruction) -> Reader:
    """Return what reads a register and adds a displacement; unknown where the operand is more than that."""
    if instruction.memory_index != Register.NONE or instruction.memory_base == Register.NONE:
        return _nothing
    register, displacement = full_register(instruction.memory_base), _signed(instruction.memory_displacement)

    def address(state: State) -> int | None:
        base = state.registers.get(register)
        return base + displacement if base else None  # nothing, which features may be, is no address

    return address


def _signed(displacement: int) -> int:
    return displacement - (1 << 64) if displacement >= 1 << 63 else displacement
