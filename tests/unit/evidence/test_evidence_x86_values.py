"""What is said to be known of registers and conditions after an x86-64 instruction is what this CPU computes."""

from __future__ import annotations

import ctypes
import mmap
import platform
import random
from collections.abc import Callable
from functools import cache

import iced_x86 as iced
import pytest
from iced_x86 import Register

from hpc3.evidence.code import Code
from hpc3.evidence.instruction_set import Oracle
from hpc3.evidence.x86_effects import effect_of
from hpc3.evidence.x86_semantics import CONDITIONS, Flags
from hpc3.evidence.x86_state import State
from unit.evidence.test_evidence_x86 import RET, code_of

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="runs x86-64 code")

PREFIXES = {8: b"", 16: b"\x66", 32: b"", 64: b"\x48"}
AL_CL, AH_CL, AL_CH, AL_AL = 0xC8, 0xCC, 0xE8, 0xC0
#: Opcodes at 8 bits; for those with one operand, or a count, bits 3 to 5 of the byte behind, too.
TWO = {"add": 0x00, "or": 0x08, "and": 0x20, "sub": 0x28, "xor": 0x30, "cmp": 0x38, "test": 0x84}
ONE = {"not": (0xF6, 2), "neg": (0xF6, 3), "inc": (0xFE, 0), "dec": (0xFE, 1)}
SHIFTS = {"shl": 4, "shr": 5, "sar": 7}
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
NUMBERS = (*EDGES, *(2**64 - number - 1 for number in EDGES), 1 << 63, 4, 31, 32, 63)
CARRY, PARITY, ZERO, SIGN, OVERFLOW = 1, 4, 0x40, 0x80, 0x800


def instructions() -> dict[str, bytes]:
    """Return instructions on the registers A and C, by what they are called."""
    found = {}
    for bits, prefix in PREFIXES.items():
        wide = bits > 8
        pairs = (AL_CL, AL_AL) if wide else (AL_CL, AL_AL, AH_CL, AL_CH)
        for name, opcode in TWO.items():
            found.update({f"{name} {bits} {pair:x}": prefix + bytes([opcode + wide, pair]) for pair in pairs})
        for name, (opcode, extra) in ONE.items():
            found[f"{name} {bits}"] = prefix + bytes([opcode + wide, 0xC0 | extra << 3])
        for name, extra in SHIFTS.items():
            found[f"{name} {bits} cl"] = prefix + bytes([0xD2 + wide, 0xC0 | extra << 3])
            found[f"{name} {bits} 1"] = prefix + bytes([0xD0 + wide, 0xC0 | extra << 3])
        if wide:
            found[f"bt {bits}"] = prefix + b"\x0f\xa3\xc8"
            found[f"bt {bits} 9"] = prefix + b"\x0f\xba\xe0\x09"
            found[f"cmp {bits} -2"] = prefix + b"\x83\xf8\xfe"
            found[f"sub {bits} 1"] = prefix + b"\x83\xe8\x01"
            found[f"mov {bits}"] = prefix + b"\x89\xc8"
            found[f"movzx {bits} cl"] = prefix + b"\x0f\xb6\xc1"
            found[f"movsx {bits} cl"] = prefix + b"\x0f\xbe\xc1"
            found.update({f"cmov {bits} {c:x}": prefix + bytes([0x0F, 0x40 | c, 0xC1]) for c in range(16)})
    found.update({"mov 8": b"\x88\xc8", "mov 8 high": b"\x88\xcc", "movsxd": b"\x48\x63\xc1"})
    found.update({"lea 32": b"\x8d\x41\xff", "lea 64": b"\x48\x8d\x41\xff"})
    return found


@cache
def _page() -> tuple[mmap.mmap, Callable[[int, int, int, object], None]]:
    """Return memory for code, and what calls it."""
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        pytest.skip("memory for code is not to be had")
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    kinds = (ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p)
    return page, ctypes.CFUNCTYPE(None, *kinds)(address)


def put(instruction: bytes) -> None:
    """Write a function that executes an instruction: A, C and the flags are given, A and the flags stored."""
    code = b"\x48\x89\xf8\x49\x89\xc8\x4d\x89\xc1\x48\x89\xf1"  # mov rax, rdi; mov r8, rcx; mov r9, r8; mov rcx, rsi
    code += b"\x52\x9d" + instruction + b"\x9c\x41\x5a"  # push rdx; popfq; ...; pushfq; pop r10
    code += b"\x49\x89\x01\x4d\x89\x51\x08\xfc" + RET  # mov [r9], rax; mov [r9 + 8], r10; cld
    page, _ = _page()
    page[: len(code)] = code


def executed(left: int, right: int, before: int) -> tuple[int, int]:
    """Return what A and the flags are after the function that `put` wrote."""
    stored = (ctypes.c_uint64 * 2)()
    _page()[1](left, right, before, ctypes.cast(stored, ctypes.c_void_p))
    return stored[0], stored[1]


def modelled(code: Code, instruction: bytes, known: dict[int, int], flags: Flags | None) -> State:
    no = (lambda number: False,) * 5
    nowhere = Oracle(*no, returned=lambda address: None)
    state = State(code, nowhere)
    state.start(known.items())
    state.flags = flags
    effect = effect_of(next(iter(iced.Decoder(64, instruction))), is_fixed=False)
    if effect is not None:
        effect(state)
    return state


def conditions_of(flags: int) -> dict[int, bool]:
    """Return which conditions hold: those of even code are the opposites of those behind them."""
    zero, carry, sign, overflow = (bool(flags & bit) for bit in (ZERO, CARRY, SIGN, OVERFLOW))
    code = iced.ConditionCode
    holding = {code.O: overflow, code.B: carry, code.E: zero, code.BE: carry or zero, code.S: sign}
    holding.update({code.L: sign != overflow, code.LE: zero or sign != overflow})
    opposites = {code.O: code.NO, code.B: code.AE, code.E: code.NE, code.BE: code.A, code.S: code.NS}
    opposites.update({code.L: code.GE, code.LE: code.G})
    return {**holding, **{opposites[condition]: not holds for condition, holds in holding.items()}}


@pytest.mark.parametrize("name", instructions())
def test_what_is_known_is_what_the_cpu_computes(name: str) -> None:
    instruction, chosen, code = instructions()[name], random.Random(name), code_of(RET)
    put(instruction)
    for _ in range(300):
        left, right = (chosen.choice((*NUMBERS, chosen.getrandbits(64))) for _ in range(2))
        bits = {bit: chosen.random() < 0.5 for bit in (ZERO, CARRY, SIGN, OVERFLOW)}
        result, flags = executed(left, right, 0x202 | sum(bit for bit, is_set in bits.items() if is_set))
        before = chosen.choice((None, Flags(*bits.values())))
        for known in ({Register.RAX: left, Register.RCX: right}, {Register.RAX: left}, {Register.RCX: right}, {}):
            state = modelled(code, instruction, {int(key): value for key, value in known.items()}, before)
            assert state.registers.get(int(Register.RAX), result) == result, (left, right, known)
            holding = conditions_of(flags)
            for condition, holds in holding.items():
                assert state.holds(CONDITIONS[condition]) in (None, holds), (left, right, known, condition)
            if len(known) == 2 and name.split()[0] in ("cmp", "test", "add", "sub", "and", "or", "xor", "neg"):
                assert all(state.holds(CONDITIONS[condition]) is not None for condition in holding)
                assert int(Register.RAX) in state.registers


def test_parity_is_never_known() -> None:
    assert not {iced.ConditionCode.P, iced.ConditionCode.NP} & set(CONDITIONS)
