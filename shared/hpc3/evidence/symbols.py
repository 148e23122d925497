"""The symbol tables of an ELF file, and the constants behind some of their names.

Read with `struct` and not with pyelftools, which takes a minute for the two million symbols of a large library
where this takes a second.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from .elf import ElfObject, Span, read_span

_TABLE_LIMIT = 256 << 20
_STRING_LIMIT = 4096

_FUNCTION, _IFUNC = 2, 10  # STT_FUNC, STT_GNU_IFUNC

# x86-64: [endbr64] lea rax, [rip + disp32]; ret. The whole body of a function that returns a constant string.
_RETURNS_STRING = re.compile(rb"\A(?:\xf3\x0f\x1e\xfa)?\x48\x8d\x05(?P<displacement>....)\xc3", re.DOTALL)


@dataclass(frozen=True)
class Symbol:
    """A defined or undefined name: its address and size, ``section`` 0 where it is undefined."""

    name: str
    address: int
    size: int
    section: int
    kind: int

    @property
    def is_function(self) -> bool:
        """Whether it names code, an IFUNC resolver included."""
        return self.kind in (_FUNCTION, _IFUNC)

    @property
    def is_ifunc(self) -> bool:
        """Whether the loader asks the code at the address for the real function (STT_GNU_IFUNC)."""
        return self.kind == _IFUNC


def read_symbols(stream: BinaryIO, elf: ElfObject, table: str = ".dynsym") -> list[Symbol]:
    """Return the symbols of ``.dynsym`` or ``.symtab``; a table that is not there has none.

    Only 64-bit little-endian files are read, which are all that the project's targets have.
    """
    spans = elf.sections
    strings = ".dynstr" if table == ".dynsym" else ".strtab"
    if table not in spans or strings not in spans:
        return []
    names = read_span(stream, spans[strings], _TABLE_LIMIT)
    raw = read_span(stream, spans[table], _TABLE_LIMIT)
    found = []
    for name, info, _, section, address, size in struct.iter_unpack("<IBBHQQ", raw[: len(raw) // 24 * 24]):
        end = names.find(b"\0", name, name + _STRING_LIMIT)
        if 0 < name < end:
            found.append(Symbol(names[name:end].decode("utf-8", "replace"), address, size, section, info & 15))
    return found


def constant_string(stream: BinaryIO, elf: ElfObject, symbols: Iterable[Symbol], name: str) -> tuple[str, int]:
    """Return the string that a data symbol holds or a function returns, and its file offset; ``("", 0)``: none."""
    symbol = next((s for s in symbols if s.name == name and s.section), None)
    if symbol is None:
        return "", 0
    address = symbol.address
    if symbol.is_function:
        body = _bytes_at(stream, elf, address, 16)
        match = _RETURNS_STRING.match(body) if elf.family == "x86_64" else None
        if match is None:
            return "", 0
        address += match.end() - 1 + int.from_bytes(match["displacement"], "little", signed=True)
    text = _bytes_at(stream, elf, address, _STRING_LIMIT).split(b"\0")[0]
    return text.decode("utf-8", "replace"), file_offset(elf, address)


def file_offset(elf: ElfObject, address: int) -> int:
    """Return where in the file the byte at an address lies; 0 where no section holds it."""
    span = _span_at(elf, address)
    return span.offset + address - span.address if span else 0


def _bytes_at(stream: BinaryIO, elf: ElfObject, address: int, limit: int) -> bytes:
    span = _span_at(elf, address)
    if span is None:
        return b""
    inside = address - span.address
    return read_span(stream, Span(span.offset + inside, span.size - inside, address), limit)


def _span_at(elf: ElfObject, address: int) -> Span | None:
    return next((s for s in elf.sections.values() if s.address and s.address <= address < s.address + s.size), None)
