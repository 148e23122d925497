"""Code analysed by other processes: the same as here, no copy left behind, and a word about what was not looked at."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

from hpc3.evidence import isa
from hpc3.evidence.disassembly import Disassembly
from hpc3.evidence.elf import read_elf
from hpc3.observed import CpuUse
from unit.evidence.binaries import SOURCE, compile_c, elf_with_section, program_bytes

POPCNT = b"\xf3\x48\x0f\xb8\xc1"
LARGE = 3 << 20  # does not wait in memory


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def use_of(data: bytes, *, jobs: int) -> CpuUse:
    with Disassembly(jobs) as disassembly:
        for path in ("usr/lib/libone.so", "usr/lib/libtwo.so"):
            stream = io.BytesIO(data)
            disassembly.visit(stream, read_elf(stream), path)
        cpu, _ = disassembly.result()
    assert isinstance(cpu, CpuUse)
    return cpu


@pytest.mark.parametrize("size", [100, LARGE])
def test_processes_find_what_one_does_and_leave_nothing_behind(size: int, temporary: Path) -> None:
    data = elf_with_section(".text", POPCNT * 20 + b"\x90" * size + b"\xc3", "x86_64")
    alone, together = use_of(data, jobs=1), use_of(data, jobs=2)
    assert alone == together
    assert alone.required["popcnt"].instructions == 40
    assert list(temporary.iterdir()) == []


def test_what_cannot_be_copied_is_not_proven(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    use = use_of(elf_with_section(".text", b"\x90" * LARGE, "x86_64"), jobs=2)
    assert len(use.missing) == 2
    assert "no copy" in use.missing[0]


def test_copies_are_deleted_when_the_walk_fails(temporary: Path) -> None:
    data = elf_with_section(".text", b"\x90" * LARGE, "x86_64")

    def walk() -> None:
        with Disassembly(2) as disassembly:
            disassembly.visit(io.BytesIO(data), read_elf(io.BytesIO(data)), "usr/lib/libone.so")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        walk()
    assert list(temporary.iterdir()) == []


def without_sections(data: bytes) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<Q", changed, 0x28, 0)  # e_shoff
    struct.pack_into("<HH", changed, 0x3C, 0, 0)  # e_shnum, e_shstrndx
    return bytes(changed)


def test_a_program_without_section_headers_is_not_proven() -> None:
    use = use_of(without_sections(program_bytes()), jobs=1)
    assert len(use.missing) == 2
    assert "no section says where its code is" in use.missing[0]


def test_code_beyond_the_end_of_the_file_is_not_proven() -> None:
    data = bytearray(elf_with_section(".text", POPCNT + b"\xc3", "x86_64"))
    table = struct.unpack_from("<Q", data, 0x28)[0]
    struct.pack_into("<Q", data, table + 64 + 0x20, 1 << 20)  # sh_size of the first section
    use = use_of(bytes(data), jobs=1)
    assert "ends before its code" in use.missing[0]


def test_a_library_of_data_alone_uses_nothing() -> None:
    use = use_of(elf_with_section(".rodata", b"data", "x86_64"), jobs=1)
    assert (use.required, use.missing) == ({}, ())


@pytest.mark.parametrize("options", [[], ["-static"]])
def test_a_file_of_debug_symbols_hides_no_code(options: list[str], tmp_path: Path) -> None:
    if shutil.which("objcopy") is None:
        pytest.skip("no objcopy is here")
    program, symbols = compile_c(tmp_path / "program", SOURCE, *options), tmp_path / "symbols"
    subprocess.run(["objcopy", "--only-keep-debug", program, symbols], check=True)
    with symbols.open("rb") as stream:
        assert isa.analyse(stream, read_elf(stream), "symbols").trouble == ""
