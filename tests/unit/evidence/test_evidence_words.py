"""Code of AArch64 and POWER, word by word: what it needs, where it leads, and that nothing breaks the analysis."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.evidence import isa_aarch64, isa_power
from hpc3.evidence.code import Code, Slots, Text
from hpc3.evidence.elf import Span
from hpc3.evidence.functions import Functions
from hpc3.evidence.isa import analyse_code

START = 0x10000
RET, BLR = 0xD65F03C0, 0x4E800020


def code_of(family: str, words: list[int], *, resolver: bool = False, size: int = 0) -> Code:
    """Return code of one function, or of functions of so many words each."""
    data = struct.pack(f"<{len(words)}I", *words)
    step = size * 4 or len(data)
    functions = Functions(io.BytesIO(), Span(0, 0, 0))
    for place in range(0, len(data), step or 1):
        functions.append(START + place, min(START + place + step, START + len(data)))
    return Code(
        path="usr/lib/libx.so",
        soname="libx.so",
        family=family,
        position_dependent=False,
        text=Text(io.BytesIO(bytes(64) + data), (Span(64, len(data), START),)),
        functions=functions,
        exports=frozenset(functions.starts),
        resolvers=frozenset({START} if resolver else ()),
        slots=Slots({START + 0x100: START, START + 0x108: START + 8}),
        imports={START + 0x110: "getauxval", START + 0x118: "_rtld_global_ro"},
        writable=((START + 0x1000, START + 0x2000),),
    )


@pytest.mark.parametrize(
    ("word", "features"),
    [
        (0x0B010000, set()),  # add w0, w0, w1
        (0xD503201F, set()),  # nop
        (0xD503233F, set()),  # paciasp, a hint
        (0x4E61D400, set()),  # fadd v0.2d, v0.2d, v1.2d
        (0xB8E00041, {"atomics"}),  # ldaddal w0, w1, [x2]
        (0x88A07C41, {"atomics"}),  # cas w0, w1, [x2]
        (0x4E829420, {"asimddp"}),  # sdot v0.4s, v1.16b, v2.16b
        (0x6E82A420, {"i8mm"}),  # ummla v0.4s, v1.16b, v2.16b
        (0x4EE28C20, set()),  # cmtst v0.2d, v1.2d, v2.2d
        (0x1EE22820, {"fphp"}),  # fadd h0, h1, h2
        (0x4E421420, {"asimdhp"}),  # fadd v0.8h, v1.8h, v2.8h
        (0x1EE24020, set()),  # fcvt s0, h1
        (0x4E284820, {"aes"}),  # aese v0.16b, v1.16b
        (0x0EE2E020, {"pmull"}),  # pmull v0.1q, v1.1d, v2.1d
        (0x9AC24C20, {"crc32"}),  # crc32x w0, w1, x2
        (0xDAC103E0, {"paca"}),  # pacia x0, sp
        (0xB8BFC020, {"lrcpc"}),  # ldapr w0, [x1]
        (0x04A10000, {"sve"}),  # add z0.s, z0.s, z1.s
        (0x04E0E3E0, {"sve"}),  # cntd x0
        (0x04A16000, {"sve", "sve2"}),  # mul z0.s, z0.s, z1.s
        (0xDAC02000, {"?"}),  # abs x0, x0 of Armv8.9
    ],
)
def test_what_an_aarch64_word_needs(word: int, features: set[str]) -> None:
    assert set(isa_aarch64._words().features(word)) == features


@pytest.mark.parametrize(
    ("word", "features"),
    [
        (0x38630001, set()),  # addi r3,r3,1
        (0x7C63211E, set()),  # isel r3,r3,r4,4*cr1+lt
        (0xF0000327, set()),  # xvrdpi vs32,vs32
        (0x11C0028C, set()),  # vspltw v14,v0,0
        (0x7C641A12, {"arch_3_00"}),  # modud r3,r4,r3
        (0xF4030001, {"arch_3_00"}),  # lxv vs0,0(r3)
        (0x10642033, {"arch_3_00"}),  # maddld r3,r4,r4,r0
        (0x18030000, {"arch_3_1"}),  # lxvp vs0,0(r3)
        (0x7C602300, {"?"}),  # setbc has no such register
        (0x06000000, {"arch_3_1"}),  # a prefix
        (0xEC0021DE, {"mma"}),  # xvf64ger a0,vs32,vs36
    ],
)
def test_what_a_power_word_needs(word: int, features: set[str]) -> None:
    assert set(isa_power._words().features(word)) == features


def test_the_table_behind_a_power_function_and_its_jump_tables_are_no_code() -> None:
    nothing = 0xFC80000C
    words = [0x4E800420, 8, 12, BLR, BLR, 0, nothing]
    assert isa_power.count_features(code_of("ppc64le", words)) == []
    assert isa_power.count_features(code_of("ppc64le", [nothing, BLR]))[0].unknown == 1


def test_the_second_half_of_a_prefixed_instruction_is_none() -> None:
    (use,) = isa_power.count_features(code_of("ppc64le", [0x06000000, 0x06000000, BLR]))
    assert use.features == {"arch_3_1": 1}


def test_a_resolver_takes_the_way_without_features() -> None:
    choose = [
        0x37B00060,
        0x100000E0,
        RET,
        0x100001A0,
        RET,
        0,
        0,
        0,
    ]  # tbnz x0, #22: the third function, else the second
    default, scalable = [0xB8E00041, RET, 0, 0, 0, 0, 0, 0], [0x04A10000, RET]
    code = replace(code_of("aarch64", choose + default + scalable, resolver=True, size=8), exports=frozenset())
    use = analyse_code(code)
    assert set(use.dispatched) == {"sve"}
    assert set(use.required) == {"atomics"}


#: Words that carry control flow, addresses and flags, so that fuzzed code goes deep.
INTERESTING = [
    0x90000000, 0x10000080, 0x91040000, 0xF9400000, 0xF9000001, 0x39400000, 0xA9400400, 0x94000002, 0x14000003,
    0x54000040, 0x34000040, 0x37B00040, 0xF100001F, 0xEB01001F, 0xF2400000, 0xFA401804, 0x9A810000, 0xD5380400,
    0xD61F0000, 0xD63F0000, RET, 0xB8E00041, 0x04A10000, 0x8B000020, 0xD2800000, 0xAA0103E0, 0x58000040,
    BLR, 0x4E800420, 0x48000009, 0xE86D8F98, 0xF4030001, 0x06000000, 0, 0xFFFFFFFF,
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["aarch64", "ppc64le"]),
    st.lists(st.one_of(st.sampled_from(INTERESTING), st.integers(0, 0xFFFFFFFF)), min_size=1, max_size=120),
    st.booleans(),
    st.integers(0, 9),
)
def test_any_words_are_analysed(family: str, words: list[int], resolver: bool, size: int) -> None:
    use = analyse_code(code_of(family, words, resolver=resolver, size=size))
    assert not use.trouble.startswith("not analysed"), use.trouble
    assert use.code_bytes == len(words) * 4
