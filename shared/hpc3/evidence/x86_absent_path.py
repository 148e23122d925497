"""Which part of an x86-64 function runs on a CPU that has none of the features it asks for.

The function is interpreted over constants, and whatever comes from ``CPUID``, from a variable that holds CPU
features, or from a function that reads one is the constant 0. A branch on a known value takes one way, every other
branch both. What is reached then runs undispatched; the rest lies behind a run-time check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import iced_x86 as iced
from iced_x86 import FlowControl, Mnemonic, OpKind, Register

from .code import Code
from .functions import Function
from .instruction_set import MOST_STEPS, AbsentPath, Oracle, Visits
from .x86_effects import Effect, effect_of
from .x86_operands import data_address, reader
from .x86_semantics import CONDITIONS
from .x86_state import State, full_register

_CALL_CLOBBERED = tuple(
    full_register(r)
    for r in (Register.RAX, Register.RCX, Register.RDX, Register.RSI, Register.RDI, *range(Register.R8, Register.R12))
)
_ARGUMENTS = tuple(
    map(full_register, (Register.RDI, Register.RSI, Register.RDX, Register.RCX, Register.R8, Register.R9))
)
_RAX = full_register(Register.RAX)
_ENDS = (
    FlowControl.RETURN,
    FlowControl.UNCONDITIONAL_BRANCH,
    FlowControl.INDIRECT_BRANCH,
    FlowControl.EXCEPTION,
    FlowControl.INTERRUPT,
)
_PADDING = (Mnemonic.INT3, Mnemonic.NOP)


def follow(code: Code, function: Function, data: bytes, oracle: Oracle) -> tuple[AbsentPath, Mapping[int, int]]:
    """Return what of a function runs on a CPU without the features it asks for.

    Returns:
        the path, its features left out, and how often each of iced's codes is among the instructions on it.
    """
    return _Interpreter(code, function, data, oracle).run()


@dataclass(frozen=True)
class _Block:
    """Instructions that run one after the other; ``leave`` executes the last and returns where it goes on inside."""

    length: int
    effects: Sequence[Effect]
    next_address: int
    leave: Callable[[], Sequence[int]]


class _Interpreter:
    def __init__(self, code: Code, function: Function, data: bytes, oracle: Oracle) -> None:
        self._code = code
        self._oracle = oracle
        self._data = data
        self._number = function.number
        self._start, self._end = function.start, function.start + len(data)
        self._decoder = self._decode()
        self._blocks: dict[int, _Block] = {}
        self._state = State(code, oracle)
        self._path = self._state.path
        self._reached: set[int] = set()
        self._opcodes: Counter[int] = Counter()

    def run(self) -> tuple[AbsentPath, Mapping[int, int]]:
        state, steps = self._state, 0
        visits = Visits(self._start, {})
        if self._oracle.handles(self._number):
            visits.add(self._cases, {})
        while (visit := visits.next()) and steps < MOST_STEPS:
            place, known = visit
            state.start(known)
            while self._start <= place < self._end:
                block = self._blocks.get(place) or self._block(place)
                steps += block.length
                for effect in block.effects:
                    effect(state)
                following = block.leave()
                if len(following) != 1 or following[0] != block.next_address:
                    visits.add(following, state.registers)
                    break
                place = block.next_address
        self._blocks.clear()  # they refer to this object
        if steps >= MOST_STEPS:  # too large to tell: then everything runs
            self._opcodes = Counter(instruction.code for instruction in self._decode())
        return self._path, self._opcodes

    def _decode(self) -> iced.Decoder:
        return iced.Decoder(64, self._data, ip=self._start)

    def _block(self, start: int) -> _Block:
        """Return the block that begins at a place; it is executed now, and so its instructions are reached."""
        effects, length = [], 0
        leave: Callable[[], Sequence[int]] = _nowhere
        place = self._decoder.ip = start
        self._decoder.position = start - self._start
        while place < self._end:
            instruction = self._decoder.decode()
            length += 1
            if place not in self._reached:
                self._reached.add(place)
                self._opcodes[instruction.code] += 1
            place = instruction.next_ip
            if instruction.flow_control != FlowControl.NEXT:
                leave = self._leave(instruction)
                break
            effect = effect_of(instruction, is_fixed=self._code.position_dependent)
            if effect is not None:
                effects.append(effect)
        block = self._blocks[start] = _Block(length, effects, place, leave)
        return block

    # -- control flow

    def _leave(self, instruction: iced.Instruction) -> Callable[[], Sequence[int]]:
        """Return what executes an instruction that changes the flow and returns where it goes on in the function."""
        flow = instruction.flow_control
        if flow in (FlowControl.CALL, FlowControl.INDIRECT_CALL):
            return self._call(instruction)
        if flow == FlowControl.UNCONDITIONAL_BRANCH:
            target = instruction.near_branch_target
            return lambda: self._inside(target)
        if flow == FlowControl.CONDITIONAL_BRANCH:
            return self._branch(instruction)
        if flow == FlowControl.INDIRECT_BRANCH:
            return self._jump(instruction)
        return self._return if flow == FlowControl.RETURN else _nowhere

    def _return(self) -> Sequence[int]:
        self._path.returned.add(self._state.registers.get(_RAX))
        self._state.escape(_RAX)
        return ()

    def _jump(self, instruction: iced.Instruction) -> Callable[[], Sequence[int]]:
        """An indirect jump: to a case or a label inside the function, or a call in tail position."""
        through_memory = instruction.op0_kind == OpKind.MEMORY
        has_index = instruction.memory_index != Register.NONE
        register = 0 if through_memory else full_register(instruction.op0_register)
        read = reader(instruction, 0, self._code.position_dependent)

        def jump() -> Sequence[int]:
            for leaving in (_RAX, *_ARGUMENTS):
                self._state.escape(leaving)
            target = read(self._state)
            if target:
                return self._inside(target)
            is_switch = has_index if through_memory else register in self._state.summed
            if not is_switch:
                self._path.returned.add(None)
            return self._cases if is_switch else self._labels

        return jump

    def _branch(self, instruction: iced.Instruction) -> Callable[[], Sequence[int]]:
        state, condition = self._state, CONDITIONS.get(instruction.condition_code)
        target, following = instruction.near_branch_target, instruction.next_ip

        def branch() -> Sequence[int]:
            taken = state.holds(condition)
            if taken is None:
                return (*self._inside(target), following)
            self._path.checks |= state.tainted
            return self._inside(target) if taken else (following,)

        return branch

    def _inside(self, target: int) -> Sequence[int]:
        if self._start <= target < self._end:
            return (target,)
        self._path.targets.add(target)
        self._path.left_to.add(target)
        return ()

    @cached_property
    def _labels(self) -> Sequence[int]:
        """Return the places that pointers in data lead to: cases by their addresses, labels of computed gotos."""
        return self._code.slots.pointing_into(self._start + 1, self._end)

    @cached_property
    def _cases(self) -> list[int]:
        """Return every instruction that only a table or an exception can lead to: none is read, all of them run."""
        targets, after, is_behind_end = set(), set(), False
        for instruction in self._decode():
            if is_behind_end and instruction.mnemonic not in _PADDING:
                after.add(instruction.ip)
                is_behind_end = False
            flow = instruction.flow_control
            if instruction.op0_kind == OpKind.NEAR_BRANCH64:
                targets.add(instruction.near_branch_target)
                is_behind_end |= flow == FlowControl.CALL and self._oracle.is_final(instruction.near_branch_target)
            is_behind_end |= flow in _ENDS
        return sorted(after - targets)

    def _call(self, instruction: iced.Instruction) -> Callable[[], Sequence[int]]:
        """Return what executes a call; it goes on behind it unless the function never comes back."""
        state, registers = self._state, self._state.registers
        target = instruction.near_branch_target if instruction.op0_kind == OpKind.NEAR_BRANCH64 else 0
        called = target or data_address(instruction, is_fixed=self._code.position_dependent)
        read = reader(instruction, 0, self._code.position_dependent)
        is_predicate, following = self._oracle.is_predicate(called), (instruction.next_ip,)
        behind = () if self._oracle.is_final(called) else following
        targets = self._path.targets
        if target:
            targets.add(target)
        # a table that a call reads its target from is no argument
        table = full_register(instruction.memory_base) if instruction.memory_index != Register.NONE else 0
        arguments = [register for register in _ARGUMENTS if register != table]

        def call() -> Sequence[int]:
            if not target:
                found = read(state)
                if found:
                    targets.add(found)
            if registers:
                for register in arguments:
                    state.escape(register)
                for register in _CALL_CLOBBERED:
                    registers.pop(register, None)
            state.flags = None
            if is_predicate:
                state.set(_RAX, self._oracle.returned(called))
                state.tainted = True
            return behind

        return call


def _nowhere() -> Sequence[int]:
    """Where a function's bytes end without a way out."""
    return ()
