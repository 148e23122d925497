"""The symbol tables of an ELF file, and the constants behind some of their names.

Read with `struct` and not with pyelftools, which takes a minute for the two million symbols of a large library
where this takes a second.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from .elf import STRING_LIMIT, ElfObject, Span, read_span, text_at

#: Most bytes of a table.
TABLE_LIMIT = 256 << 20

_SYMBOL, _SYMBOL_SIZE = "<IBBHQQ", 24  # st_name, st_info, st_other, st_shndx, st_value, st_size
_NOWHERE = Span(0, 0, 0)
_FUNCTION, _IFUNC = 2, 10  # STT_FUNC, STT_GNU_IFUNC

# x86-64: [endbr64] lea rax, [rip + disp32]; ret. The whole body of a function that returns a constant string.
_RETURNS_STRING = re.compile(rb"\A(?:\xf3\x0f\x1e\xfa)?\x48\x8d\x05(?P<displacement>....)\xc3", re.DOTALL)


class Symbol(NamedTuple):
    """A defined or undefined name: its address and size, ``section`` 0 where it is undefined.

    ``name`` is the place of its text among the table's strings: there may be a million, and few are asked for.
    """

    name: int
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


@dataclass(frozen=True)
class SymbolTable:
    """The symbols of ``.dynsym`` or ``.symtab``, as the file has them; a table that is not there has none.

    ``place``: where the strings lie in the file.
    """

    entries: bytes = b""
    strings: bytes = b""
    place: Span = _NOWHERE

    def __iter__(self) -> Iterator[Symbol]:
        for name, info, _, section, address, size in struct.iter_unpack(_SYMBOL, self.entries):
            if 0 < name < len(self.strings):
                yield Symbol(name, address, size, section, info & 15)

    def __len__(self) -> int:
        return len(self.entries) // _SYMBOL_SIZE

    def defined(self) -> dict[str, Symbol]:
        """Return the symbols that lie in this file by their names, the first of each name."""
        found: dict[str, Symbol] = {}
        for symbol in self:
            if symbol.section:
                found.setdefault(self.name(symbol.name), symbol)
        return found

    def name(self, place: int) -> str:
        """Return the text at a place among the strings."""
        return text_at(self.strings, place)

    def at(self, number: int) -> Symbol:
        """Return one symbol by its number; relocations refer to symbols so."""
        name, info, _, section, address, size = struct.unpack_from(_SYMBOL, self.entries, number * _SYMBOL_SIZE)
        return Symbol(name, address, size, section, info & 15)


def read_symbols(stream: BinaryIO, elf: ElfObject, table: str = ".dynsym") -> SymbolTable:
    """Return the symbols of ``.dynsym`` or ``.symtab``.

    Only 64-bit little-endian files are read, which are all that the project's targets have.
    """
    spans = elf.sections
    strings = ".dynstr" if table == ".dynsym" else ".strtab"
    if table not in spans or strings not in spans:
        return SymbolTable()
    raw = read_span(stream, spans[table], TABLE_LIMIT)
    whole = len(raw) // _SYMBOL_SIZE * _SYMBOL_SIZE
    return SymbolTable(raw[:whole], read_span(stream, spans[strings], TABLE_LIMIT), spans[strings])


def constant_string(stream: BinaryIO, elf: ElfObject, symbols: Mapping[str, Symbol], name: str) -> tuple[str, int]:
    """Return the string that a data symbol holds or a function returns, and its file offset; ``("", 0)``: none."""
    symbol = symbols.get(name)
    if symbol is None:
        return "", 0
    address = symbol.address
    if symbol.is_function:
        body = _bytes_at(stream, elf, address, 16)
        match = _RETURNS_STRING.match(body) if elf.family == "x86_64" else None
        if match is None:
            return "", 0
        address += match.end() - 1 + int.from_bytes(match["displacement"], "little", signed=True)
    text = _bytes_at(stream, elf, address, STRING_LIMIT).split(b"\0")[0]
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
