"""ELF files, fat binaries and package databases for the tests, made here."""

from __future__ import annotations

import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path

import pytest

SOURCE = "int answer(void) { return 42; }\nint main(void) { return answer() - 42; }\n"


def compile_c(place: Path, source: str = SOURCE, *options: str) -> Path:
    """Compile C with the system's compiler; skips where there is none."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is here")
    place.parent.mkdir(parents=True, exist_ok=True)
    source_file = place.with_suffix(".source.c")
    source_file.write_text(source)
    done = subprocess.run([compiler, "-o", place, source_file, *options], capture_output=True, text=True)
    source_file.unlink()
    assert done.returncode == 0, done.stderr
    return place


@cache
def program_bytes() -> bytes:
    """Return a small program, linked dynamically."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return compile_c(Path(folder) / "program").read_bytes()


#: ELF's number of each family's machine.
MACHINES = {"x86_64": 62, "aarch64": 183, "ppc64le": 21}


def elf_with_section(name: str, content: bytes, family: str = "x86_64") -> bytes:
    """Return a minimal ELF library with one section of content."""
    names = b"\0" + name.encode() + b"\0.shstrtab\0"
    offset = 64
    names_at = offset + len(content)
    table = names_at + len(names)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01" + b"\0" * 9,
        3,
        MACHINES[family],
        1,
        0,
        0,
        table,
        0,
        64,
        56,
        0,
        64,
        3,
        2,
    )
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 2 | 4 * (name == ".text"), 0x1000, offset, len(content), 0, 0, 16, 0)
    sections += struct.pack("<IIQQQQIIQQ", len(name) + 2, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    return header + content + names + sections


def fat_binary(*entries: tuple[int, int, int]) -> bytes:
    """Return an NVIDIA fat binary with entries of (kind, compute capability, flags)."""
    body = b"".join(
        struct.pack("<HHIQ", kind, 0x101, 64, 8) + struct.pack("<12xI8xQ16x", capability, flags) + b"\x7fELFxxxx"
        for kind, capability, flags in entries
    )
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def hip_bundle(*targets: str) -> bytes:
    """Return a bundle of empty code objects, as clang-offload-bundler writes it."""
    head = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", len(targets))
    size = len(head) + sum(24 + len(target) for target in targets)
    for target in targets:
        head += struct.pack("<QQQ", size, 0, len(target)) + target.encode()
    return head
