"""Which CPU features x86-64 code uses, function by function, decoded with iced-x86.

Instructions of interest are counted; only for objects with signs of run-time dispatch calls, pointers and variables
are collected, too, which takes longer. Nearly all of the time is spent in these two loops.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice

import iced_x86 as iced

from .code import Code
from .functions import Function
from .instruction_set import STRUCTURE, AbsentPath, FunctionUse, Oracle, bodies
from .references import Leads, References
from .x86_absent_path import follow
from .x86_features import FEATURES
from .x86_operands import data_address

#: TZCNT is BSF with a prefix: compilers emit it for the baseline on purpose, as both agree on every non-zero value.
_HARMLESS_MNEMONICS = ("TZCNT",)

#: What an instruction is looked at for: to be counted, or for where it leads.
_OPERANDS, _BRANCHES, _LEAVES, _OLD, _TAKES, _NUMBERS, _USES, _BROKEN, _ASKS = (1 << bit for bit in range(9))
_COUNTED = _USES | _BROKEN | _ASKS
_ADDRESS = _OPERANDS | _TAKES  # LEA
#: Vectors without VEX: code compiled for AVX has none.
_OLD_FEATURES = frozenset((iced.CpuidFeature.SSE, iced.CpuidFeature.SSE2))
#: CPUID, XGETBV.
_ASKING = (b"\x0f\xa2", b"\x0f\x01\xd0")
#: How the commonest instructions begin that code uses behind checks: VZEROUPPER, most of SSSE3 to SSE4.2 and AES,
#: POPCNT, RDRAND.
_USING = (b"\xc5\xf8\x77", b"\x66\x0f\x38", b"\x66\x0f\x3a", b"\xf3\x0f\xb8", b"\xf3\x48\x0f\xb8", b"\x0f\xc7\xf0")
_LEAD = 32  # bytes within which a decoder falls into step with the code, wherever it begins
_MOST_PLACES = 1000  # of one sign in one piece: chance makes a hundred
_WIDE = frozenset(("IMM32", "IMM32SEX64", "IMM64"))
_LOWEST_ADDRESS = 1 << 16  # Linux maps no program below (vm.mmap_min_addr)
_MANY = 16
_STUB_SIZE = 16


def count_features(code: Code) -> list[FunctionUse]:
    """Return the functions that use a feature beyond the baseline, or ask the CPU for its features.

    A function with an instruction that nobody knows is no evidence, and said to be so. In what is only guessed to be a
    function data may lie beside code: there a few instructions are no evidence, many are.
    """
    table = _interest()
    uses = []
    for function, data in bodies(code):
        counts: dict[int, int] = {}
        for instruction in iced.Decoder(64, data, ip=function.start):
            opcode = instruction.code
            if table[opcode]:
                counts[opcode] = counts.get(opcode, 0) + 1
        if counts:
            uses.append(_use(function, counts))
    return [use for use in uses if use.features or use.asks or use.unknown]


def _use(function: Function, counts: Mapping[int, int]) -> FunctionUse:
    """Return what a function does whose instructions of interest were counted by iced's code."""
    table = _interest()
    interest = {table[opcode] for opcode in counts}
    is_broken = _BROKEN in interest
    if is_broken and not function.guessed:
        return FunctionUse(function, unknown=sum(n for opcode, n in counts.items() if table[opcode] == _BROKEN))
    least = _MANY if is_broken else 1
    uses = {opcode: number for opcode, number in counts.items() if table[opcode] == _USES and number >= least}
    return FunctionUse(function, _by_feature(uses), _ASKS in interest and not is_broken)


def seems_to_dispatch(code: Code) -> bool:
    """Return whether bytes look like code that asks the CPU for its features, and like code that uses some."""
    missing = [_ASKING, _USING]
    for piece in code.text.pieces():
        missing = [signs for signs in missing if not any(_begins(piece, place) for place in _places(piece, signs))]
    return not missing


def _places(piece: bytes, signs: Iterable[bytes]) -> Iterator[int]:
    for sign in signs:
        for match in islice(re.finditer(re.escape(sign), piece), _MOST_PLACES):
            yield match.start()


def _begins(piece: bytes, place: int) -> bool:
    """Return whether most likely an instruction, not the rest of one, lies at a place."""
    start = max(place - _LEAD, 0)
    return any(instruction.ip == place for instruction in iced.Decoder(64, piece[start : place + 1], ip=start))


def count_and_follow(code: Code) -> tuple[list[FunctionUse], References]:
    """Return what `count_features` does, and where the functions lead."""
    uses, references = [], References()
    for function, data in bodies(code):
        counts: dict[int, int] = {}
        references.append(_follow(code, function, data, counts))
        if counts:
            uses.append(_use(function, counts))
    return [use for use in uses if use.features or use.asks or use.unknown], references


def _follow(code: Code, function: Function, data: bytes, counts: dict[int, int]) -> Leads:  # noqa: C901 - the hot loop
    """Return where a function's instructions lead outside of itself, and count those of interest.

    What is frequent is asked first, and answered here.
    """
    found = Leads(returns=not data)
    accesses, pointers = found.accesses, found.pointers
    low, high, is_fixed = function.start, function.end, code.position_dependent
    table = _interest_and_leads(is_fixed)
    for instruction in iced.Decoder(64, data, ip=low):
        opcode = instruction.code
        kind = table[opcode]
        if kind == _OPERANDS:
            if instruction.is_ip_rel_memory_operand:
                accesses.add(instruction.ip_rel_memory_address)
            elif is_fixed and instruction.memory_displ_size > 1 and instruction.memory_base == iced.Register.NONE:
                accesses.add(instruction.memory_displacement)
        elif kind == _BRANCHES:
            target = instruction.near_branch_target
            if not low <= target < high:
                found.targets.add(target)
                found.returns |= instruction.flow_control != iced.FlowControl.CALL  # a call in tail position
        elif kind == _ADDRESS and not is_fixed:
            if instruction.is_ip_rel_memory_operand:
                pointers.add(instruction.ip_rel_memory_address)
        elif kind:
            if kind & _COUNTED:
                counts[opcode] = counts.get(opcode, 0) + 1
            _take(instruction, kind, found, is_fixed=is_fixed)
    return found


def _take(instruction: iced.Instruction, kind: int, found: Leads, *, is_fixed: bool) -> None:
    """Add what is less frequent: addresses taken, ways out, vectors, numbers that may be addresses."""
    address = data_address(instruction, is_fixed=is_fixed) if kind & _OPERANDS else 0
    if address:
        (found.pointers if kind & _TAKES else found.accesses).add(address)
    if kind & _NUMBERS:
        number = instruction.immediate(instruction.op_count - 1)
        if number >= _LOWEST_ADDRESS:
            found.pointers.add(number)
    if kind & _LEAVES:
        found.returns = True
    elif kind & _OLD:
        found.is_old = True


def written_variables(code: Code, function: Function, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield address and size of the variables that a function writes, or whose address it hands on."""
    info = iced.InstructionInfoFactory()
    for instruction in iced.Decoder(64, data, ip=function.start):
        if not (instruction.is_ip_rel_memory_operand or code.position_dependent):
            continue
        address = data_address(instruction, is_fixed=code.position_dependent)
        if not address:
            continue
        if instruction.mnemonic == iced.Mnemonic.LEA:
            yield address, STRUCTURE
        elif any(
            used.access in (iced.OpAccess.WRITE, iced.OpAccess.READ_WRITE, iced.OpAccess.COND_WRITE)
            for used in info.info(instruction).used_memory()
        ):
            yield address, 8


def stub_slot(code: Code, address: int, data: bytes) -> int:
    """Return the slot that the PLT entry ``data`` at an address jumps through; 0 where it is none."""
    for instruction in iced.Decoder(64, data[:_STUB_SIZE], ip=address):
        if instruction.mnemonic == iced.Mnemonic.JMP:
            return data_address(instruction, is_fixed=code.position_dependent)
        if instruction.mnemonic != iced.Mnemonic.ENDBR64:
            return 0
    return 0


def absent_path(code: Code, function: Function, data: bytes, oracle: Oracle) -> AbsentPath:
    """Return what of a function runs on a CPU without the features it asks for."""
    path, opcodes = follow(code, function, data, oracle)
    return replace(path, features=_by_feature(opcodes))


def _by_feature(counts: Mapping[int, int]) -> dict[str, int]:
    """Return instructions counted by feature, from instructions counted by iced's code."""
    found: dict[str, int] = {}
    for opcode, number in counts.items():
        for feature in _features_of(opcode):
            found[feature] = found.get(feature, 0) + number
    return found


@cache
def _features_of(opcode: int) -> tuple[str, ...]:
    """Return archspec's names of the features that an iced code needs beyond the x86-64 baseline."""
    instruction = iced.Instruction()
    instruction.code = opcode  # type: ignore[assignment]  # iced's enums are plain numbers at run time
    if _mnemonics()[instruction.mnemonic] in _HARMLESS_MNEMONICS:
        return ()
    names = (_cpuid_names()[feature] for feature in instruction.cpuid_features())
    return tuple(FEATURES[name] for name in names if name in FEATURES)


@cache
def _interest() -> list[int]:
    """Return, by iced's code, what an instruction is counted for."""
    codes = [value for name, value in vars(iced.Code).items() if isinstance(value, int) and not name.startswith("_")]
    table = [0] * (max(codes) + 1)
    for opcode in codes:
        if _features_of(opcode):
            table[opcode] = _USES
    table[iced.Code.INVALID] = _BROKEN
    table[iced.Code.CPUID] = table[iced.Code.XGETBV] = _ASKS
    return table


@cache
def _interest_and_leads(is_fixed: bool) -> list[int]:
    """Return, by iced's code, what `_interest` does and what an instruction may lead by.

    That is a near branch, a way out, an operand in memory, or in a program linked to fixed addresses a number.
    """
    names = {value: name for name, value in vars(iced.OpCodeOperandKind).items() if isinstance(value, int)}
    table = list(_interest())
    for opcode in range(len(table)):
        instruction = iced.Instruction()
        instruction.code = opcode  # type: ignore[assignment]  # iced's enums are plain numbers at run time
        kinds = [names[kind] for kind in iced.OpCodeInfo(opcode).op_kinds()]  # type: ignore[arg-type]
        if any(kind.startswith("BR64_") for kind in kinds):
            table[opcode] |= _BRANCHES
            continue
        if any("MEM" in kind for kind in kinds):
            table[opcode] |= _OPERANDS
        if is_fixed and not _WIDE.isdisjoint(kinds):
            table[opcode] |= _NUMBERS
        if instruction.mnemonic == iced.Mnemonic.LEA:
            table[opcode] |= _TAKES
        elif instruction.flow_control in (iced.FlowControl.RETURN, iced.FlowControl.INDIRECT_BRANCH):
            table[opcode] |= _LEAVES
        elif instruction.encoding == iced.EncodingKind.LEGACY and _OLD_FEATURES.intersection(
            instruction.cpuid_features()
        ):
            table[opcode] |= _OLD
    return table


@cache
def _cpuid_names() -> dict[int, str]:
    return {value: name for name, value in vars(iced.CpuidFeature).items() if isinstance(value, int)}


@cache
def _mnemonics() -> dict[int, str]:
    return {value: name for name, value in vars(iced.Mnemonic).items() if isinstance(value, int)}
