"""Which part of an x86-64 function runs on a CPU that has none of the features it asks for.

The function is interpreted over constants, and whatever comes from ``CPUID``, from a variable that holds CPU
features, or from a function that reads one is the constant 0. A branch on a known value takes one way, every other
branch both. What is reached then runs undispatched; the rest lies behind a run-time check.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import iced_x86 as iced
from iced_x86 import ConditionCode, FlowControl, Mnemonic, OpKind, Register, RegisterExt

from .code import Code, Function
from .instruction_set import FEATURE_TABLE, MOST_STEPS, AbsentPath, Oracle, Visits
from .x86_semantics import ARITHMETIC, COMPARISONS, CONDITIONS, IMMEDIATES

_CALL_CLOBBERED = tuple(
    RegisterExt.full_register(r)
    for r in (Register.RAX, Register.RCX, Register.RDX, Register.RSI, Register.RDI, *range(Register.R8, Register.R12))
)
_ARGUMENTS = (Register.RDI, Register.RSI, Register.RDX, Register.RCX, Register.R8, Register.R9)


def absent_path(code: Code, function: Function, data: bytes, oracle: Oracle) -> AbsentPath:
    """Return what of a function runs on a CPU without the features it asks for."""
    return _Interpreter(code, function, data, oracle).run()


def data_address(code: Code, instruction: iced.Instruction) -> int:
    """Return the fixed address that an instruction's memory operand names; 0 where it has none."""
    if instruction.is_ip_rel_memory_operand:
        return int(instruction.ip_rel_memory_address)
    if (
        code.position_dependent
        and instruction.memory_displ_size
        and instruction.memory_base == iced.Register.NONE
        and iced.OpKind.MEMORY in (instruction.op0_kind, instruction.op1_kind)
    ):
        return int(instruction.memory_displacement)
    return 0


class _Interpreter:
    def __init__(self, code: Code, function: Function, data: bytes, oracle: Oracle) -> None:
        self._code = code
        self._oracle = oracle
        self._function = function
        self._instructions = {i.ip: i for i in iced.Decoder(64, data, ip=function.start)}
        self._info = iced.InstructionInfoFactory()
        self._path = AbsentPath()
        self._visits = Visits()
        self._registers: dict[int, int] = {}
        self._flags: tuple[bool, bool, bool] | None = None
        self._tainted = False
        self._dropped: set[int | None] = set()  # what a CMOV did not choose may stay in a register and is no argument
        self._summed: set[int] = set()  # registers that an addition made: a jump to one is a switch

    def run(self) -> AbsentPath:
        pending: list[tuple[int, dict[int, int]]] = [(self._function.start, {})]
        steps = 0
        while pending and steps < MOST_STEPS:
            place, state = pending.pop()
            if not self._visits.is_new(place, state):
                continue
            self._registers, self._flags = dict(state), None
            self._summed.clear()
            while place in self._instructions:
                steps += 1
                following = self._step(self._instructions[place])
                if len(following) != 1:
                    pending.extend((target, dict(self._registers)) for target in following)
                    break
                if following[0] != self._instructions[place].next_ip:
                    pending.append((following[0], dict(self._registers)))
                    break
                place = following[0]
        if steps >= MOST_STEPS:  # too large to tell: then everything runs
            self._path.reached.update(self._instructions)
        return self._path

    def _step(self, instruction: iced.Instruction) -> list[int]:
        """Execute one instruction and return where it goes on inside the function."""
        self._path.reached.add(instruction.ip)
        flow = instruction.flow_control
        if flow == FlowControl.NEXT:
            self._execute(instruction)
            return [instruction.next_ip]
        if flow in (FlowControl.CALL, FlowControl.INDIRECT_CALL):
            return [] if self._call(instruction) else [instruction.next_ip]
        if flow == FlowControl.UNCONDITIONAL_BRANCH:
            return self._inside(instruction.near_branch_target)
        if flow == FlowControl.CONDITIONAL_BRANCH:
            return self._branch(instruction)
        self._escape(Register.RAX)  # a return, an indirect jump, a trap
        if flow == FlowControl.INDIRECT_BRANCH:
            for register in _ARGUMENTS:
                self._escape(register)
            return self._cases if self._is_switch(instruction) else []
        return []

    def _is_switch(self, instruction: iced.Instruction) -> bool:
        """Whether an indirect jump goes through a jump table inside the function, and is no call in tail position."""
        if instruction.op0_kind == OpKind.MEMORY:
            return bool(instruction.memory_index != Register.NONE)
        return RegisterExt.full_register(instruction.op0_register) in self._summed

    def _branch(self, instruction: iced.Instruction) -> list[int]:
        condition = CONDITIONS.get(instruction.condition_code)
        if self._flags is None or condition is None:
            return [*self._inside(instruction.near_branch_target), instruction.next_ip]
        self._path.checks |= self._tainted
        if condition(*self._flags):
            return self._inside(instruction.near_branch_target)
        return [instruction.next_ip]

    def _inside(self, target: int) -> list[int]:
        if target in self._instructions:
            return [target]
        self._path.targets.add(target)
        return []

    @cached_property
    def _cases(self) -> list[int]:
        """Return every instruction that only a jump table can lead to: its cases are not read, all of them run."""
        targets = {i.near_branch_target for i in self._instructions.values() if i.op0_kind == OpKind.NEAR_BRANCH64}
        after = {
            i.next_ip
            for i in self._instructions.values()
            if i.flow_control in (FlowControl.RETURN, FlowControl.UNCONDITIONAL_BRANCH, FlowControl.INDIRECT_BRANCH)
        }
        return [place for place in sorted(after - targets) if place in self._instructions]

    def _call(self, instruction: iced.Instruction) -> bool:
        """Execute a call and return whether it never comes back."""
        for register in _ARGUMENTS:
            self._escape(register)
        target = instruction.near_branch_target if instruction.op0_kind == OpKind.NEAR_BRANCH64 else 0
        if target:
            self._path.targets.add(target)
        elif instruction.op0_kind == OpKind.REGISTER:
            called = self._registers.get(RegisterExt.full_register(instruction.op0_register), 0)
            self._path.targets.update({called} - {0})
        slot = data_address(self._code, instruction)
        for register in _CALL_CLOBBERED:
            self._registers.pop(register, None)
        self._flags = None
        if self._oracle.is_predicate(target or slot):
            self._registers[Register.RAX] = 0
            self._tainted = True
        return self._oracle.is_final(target or slot)

    def _escape(self, register: Any) -> None:
        value = self._registers.get(RegisterExt.full_register(register), 0)
        if value and value not in self._dropped:
            self._path.pointers.add(value)

    # -- values

    def _execute(self, instruction: iced.Instruction) -> None:
        mnemonic = instruction.mnemonic
        if mnemonic in (Mnemonic.CPUID, Mnemonic.XGETBV):
            registers = [Register.RAX, Register.RDX]
            registers += [Register.RBX, Register.RCX] if mnemonic == Mnemonic.CPUID else []
            self._registers.update(dict.fromkeys(registers, 0))
            self._tainted = True
        elif mnemonic == Mnemonic.LEA:
            self._set(instruction, data_address(self._code, instruction) or self._address(instruction))
        elif mnemonic in (Mnemonic.MOV, Mnemonic.MOVZX, Mnemonic.MOVSXD, Mnemonic.MOVSX):
            self._move(instruction)
        elif mnemonic in COMPARISONS:
            self._compare(instruction)
        elif mnemonic in ARITHMETIC:
            self._compute(instruction)
        elif instruction.condition_code != ConditionCode.NONE:
            self._conditional(instruction)
        else:
            self._forget(instruction)

    def _move(self, instruction: iced.Instruction) -> None:
        value = self._value(instruction, 1)
        if instruction.op0_kind == OpKind.MEMORY and value:
            self._path.pointers.add(value)  # an address that leaves the function
        self._set(instruction, value)

    def _compare(self, instruction: iced.Instruction) -> None:
        left, right = self._value(instruction, 0), self._value(instruction, 1)
        if instruction.mnemonic in (Mnemonic.TEST, Mnemonic.BT) and 0 in (left, right):
            # nothing and anything is nothing
            self._flags = (True, False, False) if instruction.mnemonic == Mnemonic.TEST else None
            if instruction.mnemonic == Mnemonic.BT and left == 0:
                self._flags = (False, False, False)
        elif left is None or right is None:
            self._flags = None
        elif instruction.mnemonic == Mnemonic.CMP:
            self._flags = (left == right, left < right, (left - right) < 0)
        elif instruction.mnemonic == Mnemonic.TEST:
            self._flags = (left & right == 0, False, False)
        else:
            self._flags = (False, bool(left >> (right & 63) & 1), False)

    def _compute(self, instruction: iced.Instruction) -> None:
        left = self._value(instruction, 0)
        right = self._value(instruction, 1) if instruction.op_count > 1 else 0
        same = instruction.op_count > 1 and instruction.op0_register == instruction.op1_register != Register.NONE
        operation = instruction.mnemonic
        result: int | None
        if (operation == Mnemonic.XOR and same) or (operation == Mnemonic.AND and 0 in (left, right)):
            result = 0
        elif left is None or right is None:
            result = None
        else:
            result = ARITHMETIC[operation](left, right) & 0xFFFFFFFFFFFFFFFF
        self._set(instruction, result)
        if operation != Mnemonic.NOT:
            self._flags = None if result is None else (result == 0, False, False)

    def _conditional(self, instruction: iced.Instruction) -> None:
        """SETcc and CMOVcc."""
        condition = CONDITIONS.get(instruction.condition_code)
        if self._flags is None or condition is None:
            if instruction.op_count == 2:  # either of two values: both may leave
                for value in (self._value(instruction, 0), self._value(instruction, 1)):
                    if value:
                        self._path.pointers.add(value)
            self._forget(instruction, flags=False)
            return
        self._path.checks |= self._tainted
        holds = condition(*self._flags)
        if instruction.op_count == 1:
            self._set(instruction, int(holds))
        else:
            kept, dropped = self._value(instruction, 1), self._value(instruction, 0)
            if holds:
                self._set(instruction, kept)
            else:
                dropped = kept
            self._dropped.update({dropped} - {None})

    def _value(self, instruction: iced.Instruction, operand: int) -> int | None:
        kind = instruction.op_kind(operand)
        if kind == OpKind.REGISTER:
            return self._registers.get(RegisterExt.full_register(instruction.op_register(operand)))
        if kind == OpKind.MEMORY:
            return self._load(instruction)
        if kind in IMMEDIATES:
            return int(instruction.immediate(operand))
        return None

    def _load(self, instruction: iced.Instruction) -> int | None:
        address = data_address(self._code, instruction) or self._address(instruction)
        if not address:
            return None
        if address >= FEATURE_TABLE or self._oracle.is_variable(address):
            self._tainted = True
            return 0
        if self._oracle.is_table_slot(address):
            return FEATURE_TABLE
        return self._code.slots.get(address)

    def _address(self, instruction: iced.Instruction) -> int:
        if instruction.memory_index != Register.NONE or instruction.memory_base == Register.NONE:
            return 0
        base = self._registers.get(RegisterExt.full_register(instruction.memory_base))
        displacement = int(instruction.memory_displacement)
        if displacement >= 1 << 63:
            displacement -= 1 << 64
        return base + displacement if base else 0

    def _set(self, instruction: iced.Instruction, value: int | None) -> None:
        if instruction.op0_kind != OpKind.REGISTER:
            return
        register = RegisterExt.full_register(instruction.op0_register)
        self._summed.discard(register)
        if instruction.mnemonic == Mnemonic.ADD:
            self._summed.add(register)
        partial = RegisterExt.size(instruction.op0_register) < 4 and instruction.mnemonic == Mnemonic.MOV
        if value is None or partial:
            self._registers.pop(register, None)
        else:
            self._registers[register] = value

    def _forget(self, instruction: iced.Instruction, *, flags: bool = True) -> None:
        info = self._info.info(instruction)
        for used in info.used_registers():
            if used.access not in (iced.OpAccess.READ, iced.OpAccess.COND_READ):
                self._registers.pop(RegisterExt.full_register(used.register), None)
        if flags and instruction.rflags_modified:
            self._flags = None
