"""AArch64 code that compares: which way a CPU without features takes, and that what is not known decides nothing."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.evidence import isa_aarch64
from hpc3.evidence.aarch64_flags import sum_of
from hpc3.evidence.instruction_set import FEATURE_TABLE, Oracle
from unit.evidence.test_evidence_words import RET, START, code_of

MRS = 0xD5380600  # mrs x0, id_aa64isar0_el1: nothing
EQ, NE, HS, LO, MI, PL, VS, HI, LS, GE, LT, GT, LE = 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13
CALL, OUTSIDE = 0x94000000, 0x1000


def calls(check: list[int], branch: int) -> bool:
    """Return whether a call behind a check, over which a branch leads, is made without features."""
    words = [MRS, *check, branch]
    words += [CALL | (OUTSIDE - len(words) * 4) // 4, RET]
    code = code_of("aarch64", words)
    no = (lambda number: False,) * 5
    oracle = Oracle(*no, returned=lambda address: None)
    data = code.bytes_of(code.functions[0])
    return START + OUTSIDE in isa_aarch64.absent_path(code, code.functions[0], data, oracle).targets


def over(condition: int) -> int:
    return 0x54000040 | condition


@pytest.mark.parametrize(
    ("check", "branch", "called"),
    [
        ([0x3100081F], over(LE), True),  # cmn w0, #2; b.le
        ([0x3100081F], over(HS), True),  # cmn w0, #2; b.hs: no carry of 0 + 2
        ([0x3100081F], over(GT), False),
        ([0x7100041F], over(PL), True),  # cmp w0, #1; b.pl
        ([0x7100041F], over(LO), False),
        ([0x12800021, 0x6B01001F], over(LE), True),  # mov w1, #-2; cmp w0, w1; b.le
        ([0x12800021, 0x6B01001F], over(HS), True),
        ([0x12800021, 0x7100043F], over(PL), True),  # mov w1, #-2; cmp w1, #1; b.pl
        ([0x2A2003E1, 0x6A01003F], over(PL), True),  # mvn w1, w0; tst w1, w1; b.pl
        ([0x12800001, 0x11000421], 0x35000041, True),  # mov w1, #-1; add w1, w1, #1; cbnz w1
        ([0x92800001, 0xD360FC21, 0x91000421], 0x35000041, True),  # a bitfield is not known: both ways
        ([0x320003E1, 0x33010001], 0x34000041, True),  # mov w1, #1; bfi w1, w0, ...: bits stay; cbz w1
        ([0x7100001F, 0x1E612000], over(EQ), True),  # cmp w0, #0; fcmp d0, d1; b.eq
        ([0x7100001F, 0xD51B4201], over(EQ), True),  # cmp w0, #0; msr nzcv, x1; b.eq
        ([0x7100001F, 0x3A020021], over(EQ), True),  # cmp w0, #0; adcs w1, w1, w2; b.eq
        ([0x7100001F, 0x1E612820], over(EQ), False),  # cmp w0, #0; fadd d0, d1, d1; b.eq
        ([0xEB2063FF], over(EQ), True),  # cmp sp, x0; b.eq
        ([0xF10003FF], over(EQ), True),  # cmp sp, #0; b.eq: the stack pointer, not nothing
    ],
)
def test_numbers_are_compared_at_their_size_and_with_their_sign(check: list[int], branch: int, called: bool) -> None:
    assert calls(check, branch) == called


@given(st.sampled_from([32, 64]), st.booleans(), st.data())
def test_flags_are_those_of_the_manual(bits: int, subtracts: bool, data: st.DataObject) -> None:
    top = 1 << bits
    edges = st.sampled_from([0, 1, 2, top // 2 - 1, top // 2, top - 2, top - 1])
    left, right = (data.draw(st.one_of(edges, st.integers(0, top - 1))) for _ in range(2))
    compute: Callable[[int, int], int] = operator.sub if subtracts else operator.add
    found = sum_of(left, right, bits, subtracts=subtracts)
    assert found is not None
    result, (negative, zero, carry, overflow) = found
    assert result == compute(left, right) % top
    assert zero == (result == 0)
    assert negative == (result >= top // 2)
    assert carry == (left >= right if subtracts else left + right >= top)
    signed = [number - top if number >= top // 2 else number for number in (left, right)]
    assert overflow == (not -top // 2 <= compute(*signed) < top // 2)


def test_of_part_of_an_address_in_a_table_of_features_nothing_is_known() -> None:
    assert sum_of(FEATURE_TABLE + 8, 0, 32, subtracts=True) is None
    assert sum_of(FEATURE_TABLE + 8, 0, 64, subtracts=True) is not None
