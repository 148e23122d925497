from __future__ import annotations

import collections
import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpc3.evidence.elf import BoundedReader, UnreadableElf, read_elf
from hpc3.evidence.gpu_code import read_gpu_code
from hpc3.evidence.isa import FAMILIES, analyse
from hpc3.evidence.libraries import recognise_library, static_mpi
from unit.evidence.binaries import MACHINES, SOURCE, compile_c, elf_with_section, program_bytes


def read(path: Path) -> object:
    with path.open("rb") as stream:
        return read_elf(stream)


def test_a_program_states_what_it_needs(tmp_path: Path) -> None:
    with compile_c(tmp_path / "program").open("rb") as stream:
        elf = read_elf(stream)
    assert elf.kind == "executable"
    assert not elf.static
    assert "libc.so.6" in elf.needed
    assert elf.interpreter.startswith("/lib")
    assert any(version.startswith("GLIBC_2.") for version in elf.needed_versions)
    assert elf.kernel_min.count(".") == 2
    assert elf.load_alignment >= 4096
    assert any(line.startswith("GCC:") for line in elf.compilers)


def test_a_static_program_needs_nothing(tmp_path: Path) -> None:
    with compile_c(tmp_path / "program", SOURCE, "-static").open("rb") as stream:
        elf = read_elf(stream)
    assert elf.static
    assert elf.needed == ()


def test_soname_and_search_folders(tmp_path: Path) -> None:
    options = ("-shared", "-fPIC", "-Wl,-soname,libanswer.so.3", "-Wl,--disable-new-dtags,-rpath,/opt/a:$ORIGIN/b")
    with compile_c(tmp_path / "libanswer.so", "int answer(void) { return 42; }", *options).open("rb") as stream:
        elf = read_elf(stream)
    assert (elf.kind, elf.soname, elf.rpath, elf.runpath) == ("library", "libanswer.so.3", ("/opt/a", "$ORIGIN/b"), ())
    runpath = compile_c(tmp_path / "program", SOURCE, "-Wl,--enable-new-dtags,-rpath,/opt/a")
    with runpath.open("rb") as stream:
        assert read_elf(stream).runpath == ("/opt/a",)


def test_the_isa_note_is_read(tmp_path: Path) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the note is one of x86")
    program = compile_c(tmp_path / "program", SOURCE, "-Wl,-z,x86-64-v3")
    with program.open("rb") as stream:
        assert read_elf(stream).isa_needed == "x86_64_v3"


def test_section_headers_may_be_gone(tmp_path: Path) -> None:
    data = bytearray(compile_c(tmp_path / "program").read_bytes())
    struct.pack_into("<Q", data, 0x28, 0)  # e_shoff
    struct.pack_into("<HH", data, 0x3C, 0, 0)  # e_shnum, e_shstrndx
    elf = read_elf(io.BytesIO(bytes(data)))
    assert "libc.so.6" in elf.needed
    assert elf.kernel_min


@pytest.mark.parametrize("length", [0, 3, 4, 16, 63, 64, 100, 4000])
def test_a_truncated_file_is_unreadable_or_less(length: int) -> None:
    examine(program_bytes()[:length])


def test_four_billion_sections_are_refused() -> None:
    data = bytearray(elf_with_section(".text", b"\xc3" * 64))
    table = struct.unpack_from("<Q", data, 0x28)[0]
    struct.pack_into("<H", data, 0x3C, 0)  # e_shnum: look into the first section
    struct.pack_into("<Q", data, table + 32, 1 << 32)
    with pytest.raises(UnreadableElf):
        read_elf(io.BytesIO(bytes(data)))


def test_a_reader_ends_when_its_budget_does() -> None:
    reader = BoundedReader(io.BytesIO(bytes(1000)), 500)
    assert len(reader.read(400)) == 400
    with pytest.raises(UnreadableElf):
        reader.read(400)
    with pytest.raises(UnreadableElf):
        BoundedReader(io.BytesIO(b""), 500).read()


def test_reading_nothing_for_ever_ends() -> None:
    reader = BoundedReader(io.BytesIO(b""), 1000)
    with pytest.raises(UnreadableElf):
        collections.deque(iter(lambda: reader.read(1), None), maxlen=0)


def examine(data: bytes) -> None:
    """Do everything that the walk does with a file; nothing but UnreadableElf may come out."""
    stream = io.BytesIO(data)
    try:
        elf = read_elf(stream)
    except UnreadableElf:
        return
    recognise_library(stream, elf, "usr/lib/libmpi.so.12")
    static_mpi(stream, elf)
    read_gpu_code(stream, elf)
    if elf.family in FAMILIES:
        analyse(stream, elf, "usr/lib/libmpi.so.12")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_files_never_crash(data: st.DataObject) -> None:
    raw = bytearray(program_bytes())
    interesting = st.one_of(
        st.integers(0, 63), st.integers(0, len(raw) - 8), st.integers(len(raw) - 2200, len(raw) - 8)
    )
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(interesting)
        value = data.draw(st.sampled_from([b"\0", b"\xff", b"\xff" * 8, b"\x7f" * 4, b"\0" * 8, b"\x80\0\0\0"]))
        raw[place : place + len(value)] = value
    raw[18:20] = struct.pack("<H", MACHINES[data.draw(st.sampled_from(sorted(MACHINES)))])
    cut = data.draw(st.one_of(st.just(len(raw)), st.integers(64, len(raw))))
    examine(bytes(raw[:cut]))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(sorted(MACHINES)))
def test_any_code_is_analysed(code: bytes, family: str) -> None:
    examine(elf_with_section(".text", code, family))
    examine(b"\x7fELF\x02\x01\x01" + code)
