"""x86-64 code: what a CPU without features runs of it, where it leads, and that nothing breaks the analysis."""

from __future__ import annotations

import io
from unittest import mock

import iced_x86
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.evidence import isa_x86
from hpc3.evidence.code import Code, Slots, Text
from hpc3.evidence.elf import Span
from hpc3.evidence.functions import Functions
from hpc3.evidence.instruction_set import AbsentPath, Oracle
from hpc3.evidence.isa import analyse_code
from hpc3.evidence.x86_features import FEATURES, LEFT_OUT

START = 0x401000
CPUID = b"\x0f\xa2"
POPCNT = b"\xf3\x48\x0f\xb8\xc1"  # popcnt rax, rcx
RET = b"\xc3"


def code_of(*bodies: bytes, fixed: bool = False) -> Code:
    """Return code of the given functions, all of them exported."""
    functions = Functions(io.BytesIO(), Span(0, 0, 0))
    data = b""
    for body in bodies:
        functions.append(START + len(data), START + len(data) + len(body))
        data += body
    return Code(
        path="usr/lib/libx.so",
        soname="libx.so",
        family="x86_64",
        position_dependent=fixed,
        text=Text(io.BytesIO(data), (Span(0, len(data), START),)),
        functions=functions,
        exports=frozenset(functions.starts),
        slots=Slots({START + 0x1000: START}),
        writable=((START + 0x2000, START + 0x3000),),
    )


def path_of(body: bytes, *, variables: range = range(0)) -> AbsentPath:
    code = code_of(body)
    oracle = Oracle(
        is_variable=variables.__contains__,
        is_table_slot=lambda slot: False,
        is_predicate=lambda address: False,
        is_final=lambda address: False,
        handles=lambda number: False,
        returned=lambda address: None,
    )
    return isa_x86.absent_path(code, code.functions[0], body, oracle)


def guarded(check: bytes, jump: bytes = b"\x74") -> bytes:
    """Return a function that asks the CPU, checks, and jumps over a POPCNT (by JE, or what is given)."""
    return CPUID + check + jump + bytes([len(POPCNT)]) + POPCNT + RET


@pytest.mark.parametrize(
    ("check", "jump"),
    [
        (b"\x85\xc9", b"\x74"),  # test ecx, ecx; je
        (b"\xf7\xc1\x00\x00\x80\x00", b"\x74"),  # test ecx, 1 << 23; je
        (b"\x83\xe1\x04", b"\x74"),  # and ecx, 4; je
        (b"\x80\xe1\x04", b"\x74"),  # and cl, 4; je
        (b"\x0f\xba\xe1\x17", b"\x73"),  # bt ecx, 23; jae
        (b"\x83\xf9\x01", b"\x75"),  # cmp ecx, 1; jne
        (b"\x31\xd2\x39\xd1", b"\x74"),  # xor edx, edx; cmp ecx, edx; je
        (b"\x89\xcb\x48\x85\xdb", b"\x74"),  # mov ebx, ecx; test rbx, rbx; je
        (b"\x85\xc9\x0f\x95\xc0\x84\xc0", b"\x74"),  # test ecx, ecx; setne al; test al, al; je
    ],
)
def test_a_check_is_followed(check: bytes, jump: bytes) -> None:
    path = path_of(guarded(check, jump))
    assert path.checks
    assert "popcnt" not in path.features


@pytest.mark.parametrize(
    ("check", "jump"),
    [
        (b"\x83\xf9\xfe", b"\x7e"),  # cmp ecx, -2; jle
        (b"\x48\x83\xf9\xfe", b"\x7e"),  # cmp rcx, -2; jle
        (b"\x80\xf9\xfe", b"\x7c"),  # cmp cl, -2; jl
        (b"\x83\xf9\xfe", b"\x73"),  # cmp ecx, -2; jae
        (b"\x83\xe9\x01", b"\x79"),  # sub ecx, 1; jns
        (b"\x83\xe9\x01", b"\x73"),  # sub ecx, 1; jae
        (b"\xff\xc9", b"\x79"),  # dec ecx; jns
        (b"\xf7\xd1\x85\xc9", b"\x79"),  # not ecx; test ecx, ecx; jns
        (b"\x83\xc9\xff\x48\x63\xc1\x48\x85\xc0", b"\x79"),  # or ecx, -1; movsxd rax, ecx; test rax, rax; jns
        (b"\xb9\x00\x01\x00\x00\x84\xc9", b"\x75"),  # mov ecx, 256; test cl, cl; jne
        (b"\xb9\x00\x01\x00\x00\x0f\xb6\xc1\x85\xc0", b"\x75"),  # mov ecx, 256; movzx eax, cl; test eax, eax; jne
    ],
)
def test_numbers_are_compared_at_their_size_and_with_their_sign(check: bytes, jump: bytes) -> None:
    assert path_of(guarded(check, jump)).features["popcnt"] == 1


@pytest.mark.parametrize(
    ("check", "jump"),
    [
        (b"\x85\xc9", b"\x7a"),  # test ecx, ecx; jp
        (b"\xf7\xd9\x19\xc0", b"\x74"),  # neg ecx; sbb eax, eax; je
        (b"\x0f\xba\xe1\x17", b"\x75"),  # bt ecx, 23; jne
        (b"\xd1\xe9", b"\x73"),  # shr ecx, 1; jae
        (b"\x48\x0f\xa3\x3d" + (0x1FF0).to_bytes(4, "little"), b"\x73"),  # bt [rip + variable], rdi; jae
    ],
)
def test_of_flags_that_are_not_known_both_ways_are_followed(check: bytes, jump: bytes) -> None:
    path = path_of(guarded(check, jump), variables=range(START + 0x1000, START + 0x3000))
    assert path.features["popcnt"] == 1
    assert not path.checks


@pytest.mark.parametrize(
    "check",
    [
        b"\x48\x85\xff",  # test rdi, rdi: an argument
        b"\x48\x8d\x43\x08\x48\x85\xc0",  # lea rax, [rbx+8]; test rax, rax
        b"\x48\x8d\x04\x37\x48\x85\xc0",  # lea rax, [rdi+rsi]; test rax, rax
        b"\x4d\x31\xc0\x4c\x03\xc7\x4d\x85\xc0",  # xor r8, r8; add r8, rdi; test r8, r8
        b"\x40\x30\xff\x48\x85\xff",  # xor dil, dil; test rdi, rdi
        b"\x48\x8b\x03\x48\x85\xc0",  # mov rax, [rbx]; test rax, rax
        b"\xff\xd7\x85\xc0",  # call rdi; test eax, eax
    ],
)
def test_what_is_not_known_decides_nothing(check: bytes) -> None:
    path = path_of(guarded(check))
    assert not path.checks
    assert path.features["popcnt"] == 1


@pytest.mark.parametrize(
    ("asked", "answer", "is_feature"),
    [
        (0x1, b"\xc9", True),  # test ecx, ecx: SSE3 and what came after it
        (0x1, b"\xc0", False),  # test eax, eax: family and model
        (0x1, b"\xdb", False),  # test ebx, ebx: size of a line of the cache
        (0x1, b"\xd2", False),  # test edx, edx: what every x86-64 CPU has, SSE2
        (0x7, b"\xdb", True),
        (0x7, b"\xc9", True),
        (0x7, b"\xd2", True),
        (0xD, b"\xc0", True),
        (0x80000001, b"\xc9", True),
        (0x80000001, b"\xd2", False),  # long mode
        *((leaf, b"\xc9", False) for leaf in (0, 2, 4, 0xB, 0x15, 0x16, 0x80000000, 0x80000004, 0x80000006)),
    ],
)
def test_not_all_that_the_cpu_answers_are_features(asked: int, answer: bytes, is_feature: bool) -> None:
    path = path_of(b"\xb8" + asked.to_bytes(4, "little") + guarded(b"\x85" + answer))  # mov eax, asked
    assert path.checks == is_feature
    assert ("popcnt" not in path.features) == is_feature


def test_a_variable_that_holds_features_is_nothing() -> None:
    place = START + 0x2000
    load = b"\x8b\x05" + (place - START - 6).to_bytes(4, "little")  # mov eax, [rip + place]
    body = load + b"\xa8\x01\x74" + bytes([len(POPCNT)]) + POPCNT + RET  # test al, 1; je
    assert "popcnt" not in path_of(body, variables=range(place, place + 4)).features
    assert path_of(body).features["popcnt"] == 1


def test_where_a_function_leads() -> None:
    call = b"\xe8" + (0x20).to_bytes(4, "little")
    lea = b"\x48\x8d\x05" + (0x30).to_bytes(4, "little")
    store = b"\x89\x05" + (0x40).to_bytes(4, "little")
    _, references = isa_x86.count_and_follow(code_of(call + lea + store + RET))
    assert list(references.targets[0]) == [START + 5 + 0x20]
    assert list(references.pointers[0]) == [START + 12 + 0x30]
    assert list(references.accesses[0]) == [START + 18 + 0x40]
    assert list(references.returns) == [True]


def test_numbers_are_addresses_only_in_a_program_linked_to_fixed_ones() -> None:
    body = b"\xbf" + (START + 0x40).to_bytes(4, "little")  # mov edi, START + 0x40
    body += b"\x8b\x04\x25" + (START + 0x80).to_bytes(4, "little") + RET  # mov eax, [START + 0x80]
    _, fixed = isa_x86.count_and_follow(code_of(body, fixed=True))
    assert list(fixed.pointers[0]) == [START + 0x40]
    assert list(fixed.accesses[0]) == [START + 0x80]
    store = b"\x48\xc7\x05" + (0x60).to_bytes(4, "little") + (START + 0x40).to_bytes(4, "little") + RET
    _, stored = isa_x86.count_and_follow(code_of(store, fixed=True))  # mov qword [rip + 0x60], START + 0x40
    assert list(stored.pointers[0]) == [START + 0x40], "where a function is entered through a variable"
    assert list(stored.accesses[0]) == [START + 11 + 0x60]
    _, moving = isa_x86.count_and_follow(code_of(body))
    assert not moving.pointers[0]
    assert not moving.accesses[0]


def test_counting_alone_and_while_following_is_the_same() -> None:
    code = code_of(guarded(b"\x85\xc9"), POPCNT * 3 + RET, RET, b"\x06" + POPCNT)  # 06 is no instruction
    alone = isa_x86.count_features(code)
    assert [(use.function.number, dict(use.features), use.asks) for use in alone] == [
        (0, {"popcnt": 1}, True),
        (1, {"popcnt": 3}, False),
        (3, {}, False),
    ]
    assert [use.unknown > 0 for use in alone] == [False, False, True]
    assert isa_x86.count_and_follow(code)[0] == alone


@pytest.mark.parametrize(
    ("bodies", "guess"),
    [
        ((guarded(b"\x85\xc9"),), True),
        ((CPUID + RET, RET * 100, POPCNT + RET), True),
        ((CPUID + RET,), False),
        ((POPCNT + RET,), False),
        ((b"\xb8\x0f\xa2\x00\x00" + POPCNT + RET,), False),  # mov eax, 0xa20f
        ((CPUID + b"\x48\xb8" + POPCNT + b"\0\0\0" + RET,), False),  # mov rax, a number
    ],
)
def test_guess_of_dispatch(bodies: tuple[bytes, ...], guess: bool) -> None:
    assert isa_x86.seems_to_dispatch(code_of(*bodies)) == guess


@given(bodies=st.lists(st.sampled_from([guarded(b"\x85\xc9"), POPCNT + RET, CPUID + RET, RET]), min_size=1))
def test_a_wrong_guess_changes_nothing(bodies: list[bytes]) -> None:
    code = code_of(*bodies)
    found = []
    for guess in (True, False):
        with mock.patch.object(isa_x86, "seems_to_dispatch", lambda _, guess=guess: guess):
            found.append(analyse_code(code))
    assert found[0] == found[1]


#: Opcodes that carry control flow, addresses and flags, so that fuzzed code goes deep.
PIECES = [
    CPUID, POPCNT, RET, b"\x85\xc9", b"\x74\x05", b"\x75\xfb", b"\xeb\x02", b"\xe8\x03\0\0\0", b"\x31\xc0",
    b"\x48\x8d\x05\x10\0\0\0", b"\x48\x8b\x05\xf0\x0f\0\0", b"\x89\x05\xf0\x1f\0\0", b"\x48\x01\xd0", b"\xff\xe0",
    b"\xff\x24\xc5\0\x10\x40\0", b"\xff\x15\xf0\x0f\0\0", b"\x0f\x44\xc1", b"\x0f\x95\xc0", b"\x0f\xba\xe1\x17",
    b"\xc5\xf8\x77", b"\x62", b"\xf2\xff\x25", b"\xbf\0\x10\x40\0", b"\xf7\xd0", b"\x48\xc1\xe8\x3f", b"\x50",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=60), st.booleans(), st.integers(1, 4)
)
def test_any_bytes_are_analysed(pieces: list[bytes], fixed: bool, number: int) -> None:
    step = len(pieces) // number + 1
    bodies = [b"".join(pieces[start : start + step]) for start in range(0, len(pieces), step)]
    use = analyse_code(code_of(*(body for body in bodies if body), fixed=fixed))
    assert use.code_bytes == len(b"".join(pieces))


def test_every_feature_that_the_decoder_names_is_compared_or_left_out_on_purpose() -> None:
    named = {name for name, value in vars(iced_x86.CpuidFeature).items() if isinstance(value, int)}
    assert named == {*FEATURES, *LEFT_OUT}
    assert not {*LEFT_OUT} & {*FEATURES}


@pytest.mark.parametrize(
    ("body", "feature"),
    [
        (b"\x0f\x01\xe8", "serialize"),
        (b"\xc4\xe2\x73\x50\xc2", "avx_vnni_int8"),  # vpdpbssd xmm0, xmm1, xmm2
        (b"\xc4\xe2\x69\xe6\x07", "cmpccxadd"),  # cmpbexadd [rdi], eax, edx
        (b"\x0f\x01\xfd", "rdpru"),
    ],
)
def test_a_feature_that_no_level_has_is_counted(body: bytes, feature: str) -> None:
    assert feature in analyse_code(code_of(body + RET)).required


@pytest.mark.parametrize("body", [b"\xc7\xf8\0\0\0\0", b"\xf3\x0f\xbc\xc1"])  # xbegin; tzcnt eax, ecx
def test_what_proves_nothing_by_itself_is_not_counted(body: bytes) -> None:
    assert analyse_code(code_of(body + RET)).required == {}
