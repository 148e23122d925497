"""Code analysed by other processes: the same as here, no copy left behind, and a word about what was not looked at."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest

from hpc3.evidence.disassembly import Disassembly
from hpc3.evidence.elf import read_elf
from hpc3.observed import CpuUse
from unit.evidence.binaries import elf_with_section

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
