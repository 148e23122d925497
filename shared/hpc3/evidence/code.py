"""The code of one ELF file, with every pointer that leads into it: what a disassembler needs.

A library may hold hundreds of megabytes of code: the bytes stay in the file and are read where they are looked at, and
what is known of functions and pointers is kept in arrays.
"""

from __future__ import annotations

import bisect
import io
import struct
import sys
from array import array
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

from .elf import ElfObject, Span, read_span
from .functions import Function, Functions, read_functions
from .symbols import Symbol, SymbolTable, read_symbols

CODE_LIMIT = 512 << 20
_TABLE_LIMIT = 128 << 20
_WINDOW = 1 << 12  # bytes that are read at a time: functions that follow each other are mostly in one
_PIECE = 1 << 22

# ELF relocation types: https://gitlab.com/x86-psABIs/x86-64-ABI, https://github.com/ARM-software/abi-aa,
# https://openpowerfoundation.org/specifications/64bitelfabi
_RELATIVE = {"x86_64": 8, "aarch64": 1027, "ppc64le": 22}
_IRELATIVE = {"x86_64": 37, "aarch64": 1032, "ppc64le": 248}
_DATA_SECTIONS = (".data", ".data.rel.ro", ".data.rel.ro.local", ".init_array", ".rodata", ".got")
_WRITABLE = (".data", ".bss", ".lbss", ".ldata", ".tm_clone_table")


class Slots:
    """Each pointer in data, by its address, to what it points at."""

    def __init__(self, pointers: Mapping[int, int]) -> None:
        self._places = array("Q", sorted(pointers))
        self.targets = array("Q", (pointers[place] for place in self._places))

    def get(self, address: int) -> int | None:
        """Return what the pointer at an address points at; None where there is none."""
        place = bisect.bisect_left(self._places, address)
        return self.targets[place] if place < len(self._places) and self._places[place] == address else None

    def between(self, low: int, high: int) -> array[int]:
        """Return what the pointers from ``low`` up to ``high`` point at."""
        first = bisect.bisect_left(self._places, low)
        return self.targets[first : bisect.bisect_left(self._places, high, first)]

    def tables(self, bases: Sequence[int]) -> set[int]:
        """Return those of some sorted addresses that have a pointer between them and the next."""
        ranks = {bisect.bisect_right(bases, place) for place in self._places}
        return {bases[rank - 1] for rank in ranks if rank}

    def pointing_into(self, low: int, high: int) -> Sequence[int]:
        """Return the targets from ``low`` up to ``high``, sorted."""
        first = bisect.bisect_left(self._sorted_targets, low)
        return self._sorted_targets[first : bisect.bisect_left(self._sorted_targets, high, first)]

    @cached_property
    def _sorted_targets(self) -> array[int]:
        return array("Q", sorted(set(self.targets)))

    def pointing_at(self, wanted: Container[int]) -> set[int]:
        """Return where the pointers to any of the wanted addresses are."""
        return {place for place, target in zip(self._places, self.targets) if target in wanted}


class Text:
    """The bytes of the executable sections, read from the file as they are asked for.

    Attributes:
        sections: address, size and file offset of each, no larger than what the file holds.
        low: the first address of all; ``high`` is behind the last.
    """

    def __init__(self, stream: BinaryIO, sections: tuple[Span, ...]) -> None:
        self.sections = sections
        self.low = min((s.address for s in sections), default=0)
        self.high = max((s.address + s.size for s in sections), default=0)
        self._stream = stream
        self._address = 0
        self._window = b""

    def at(self, address: int, size: int) -> bytes:
        """Return so many bytes from an address on, as far as they are there; none where no section holds it."""
        start = address - self._address
        if start >= 0 and start + size <= len(self._window):
            return self._window[start : start + size]
        section = self._section(address)
        if section is None:
            return b""
        left = section.size - (address - section.address)
        self._stream.seek(section.offset + address - section.address)
        self._address, self._window = address, self._stream.read(min(left, max(size, _WINDOW)))
        return self._window[:size]

    def pieces(self) -> Iterator[bytes]:
        """Yield all of the bytes, a few megabytes at a time; only the last piece of a section has no even size."""
        for section in self.sections:
            for start in range(0, section.size, _PIECE):
                yield read_span(self._stream, Span(section.offset + start, section.size - start, 0), _PIECE)

    def file_offset(self, address: int) -> int:
        """Return where in the file the code at an address lies; 0 where it is none."""
        section = self._section(address)
        return section.offset + address - section.address if section else 0

    def _section(self, address: int) -> Span | None:
        if self.low <= address < self.high:  # most addresses that are asked for lie in data
            for section in self.sections:
                if section.address <= address < section.address + section.size:
                    return section
        return None


@dataclass(frozen=True)
class Code:
    """The code of one object; valid while its file is open.

    Attributes:
        path: in the tree.
        soname: as the file states it.
        family: archspec family.
        position_dependent: linked to fixed addresses (``ET_EXEC``).
        text: the bytes.
        functions: sorted, not overlapping.
        entry: where a program starts; 0 for a library.
        exports: addresses of exported functions, IFUNCs excepted.
        resolvers: addresses of IFUNC resolvers.
        constructors: addresses of functions that run before the program.
        slots: pointers in data.
        imports: address of each slot that the loader fills to the name that it is filled with.
        writable: address ranges of variables.
        is_go: made by the Go compiler, whose libraries keep the CPU's features in variables.
        truncated: whether code beyond `CODE_LIMIT` was left out.
    """

    path: str
    soname: str
    family: str
    position_dependent: bool
    text: Text
    functions: Functions
    entry: int = 0
    exports: frozenset[int] = frozenset()
    resolvers: frozenset[int] = frozenset()
    constructors: frozenset[int] = frozenset()
    slots: Slots = field(default_factory=lambda: Slots({}))
    imports: Mapping[int, str] = field(default_factory=dict)
    writable: tuple[tuple[int, int], ...] = ()
    is_go: bool = False
    truncated: bool = False

    def bytes_of(self, function: Function) -> bytes:
        """Return the bytes of a function."""
        return self.text.at(function.start, function.end - function.start)

    def is_writable(self, address: int) -> bool:
        """Whether a variable lies at an address."""
        return any(low <= address < high for low, high in self.writable)

    def code_bytes(self) -> int:
        """Return how much code there is."""
        return sum(section.size for section in self.text.sections)


def read_code(stream: BinaryIO, elf: ElfObject, path: str) -> Code:
    """Return the code of an executable or library; bounded, whatever the file states."""
    dynamic = read_symbols(stream, elf, ".dynsym")
    symbols = read_symbols(stream, elf, ".symtab")
    sections = tuple(_sections(stream, elf))
    pointers, resolvers, imports = _relocations(stream, elf, dynamic)
    for address, target in _words(stream, elf):
        pointers.setdefault(address, target)
    text = Text(stream, sections)
    ranges = [(section.address, section.address + section.size) for section in sections]
    return Code(
        path=path,
        soname=elf.soname,
        family=elf.family,
        position_dependent=elf.kind == "executable" and min((low for low, _ in ranges), default=0) >= 0x10000,
        text=text,
        functions=read_functions(stream, elf, symbols if len(symbols) else dynamic, ranges, text.at),
        entry=elf.entry if elf.kind == "executable" else 0,
        exports=frozenset(s.address for s in dynamic if s.section and s.is_function and not s.is_ifunc),
        resolvers=frozenset(resolvers).union(_ifuncs(symbols), _ifuncs(dynamic)),
        constructors=frozenset(_pointers_in(elf, pointers, (".init_array", ".preinit_array", ".fini_array"))),
        slots=Slots(pointers),
        imports=imports,
        writable=_writable(elf),
        is_go=".gopclntab" in elf.sections or ".note.go.buildid" in elf.sections,
        truncated=sum(section.size for section in sections) >= CODE_LIMIT,
    )


def _sections(stream: BinaryIO, elf: ElfObject) -> Iterator[Span]:
    """Yield the executable sections as far as the file holds them, and `CODE_LIMIT` of them at most."""
    end, left = stream.seek(0, io.SEEK_END), CODE_LIMIT
    for span in elf.code:
        size = min(span.size, end - span.offset, left)
        if size > 0:
            left -= size
            yield Span(span.offset, size, span.address)


def _ifuncs(symbols: Iterable[Symbol]) -> Iterator[int]:
    return (symbol.address for symbol in symbols if symbol.is_ifunc and symbol.section)


def _relocations(
    stream: BinaryIO, elf: ElfObject, dynamic: SymbolTable
) -> tuple[dict[int, int], set[int], dict[int, str]]:
    """Return pointers by address, IFUNC resolvers, and imported names by slot."""
    pointers: dict[int, int] = {}
    resolvers: set[int] = set()
    imports: dict[int, str] = {}
    for name in (".rela.dyn", ".rela.plt"):
        raw = read_span(stream, elf.sections.get(name, Span(0, 0, 0)), _TABLE_LIMIT)
        for address, info, addend in struct.iter_unpack("<QQq", raw[: len(raw) // 24 * 24]):
            kind, number = info & 0xFFFFFFFF, info >> 32
            if kind == _RELATIVE.get(elf.family):
                pointers[address] = addend
            elif kind == _IRELATIVE.get(elf.family):
                resolvers.add(addend)
            elif 0 < number < len(dynamic):
                symbol = dynamic.at(number)
                if symbol.section:
                    pointers[address] = symbol.address + max(addend, 0)
                else:
                    imports[address] = dynamic.name(symbol.name)
    return {place: target for place, target in pointers.items() if 0 <= target < 1 << 64}, resolvers, imports


def _words(stream: BinaryIO, elf: ElfObject) -> Iterator[tuple[int, int]]:
    """Yield the words in data that are addresses of code: pointers of files linked to fixed addresses."""
    low = min((span.address for span in elf.code), default=0)
    high = max((span.address + span.size for span in elf.code), default=0)
    if low == 0 or elf.kind != "executable":
        return
    for name in _DATA_SECTIONS:
        span = elf.sections.get(name, Span(0, 0, 0))
        for start in range(0, min(span.size, _TABLE_LIMIT), _PIECE):
            raw = read_span(stream, Span(span.offset + start, span.size - start, 0), _PIECE)
            words = array("Q", raw[: len(raw) // 8 * 8])
            if sys.byteorder == "big":
                words.byteswap()
            for number, word in enumerate(words):
                if low <= word < high:
                    yield span.address + start + number * 8, word


def _pointers_in(elf: ElfObject, pointers: Mapping[int, int], names: tuple[str, ...]) -> Iterator[int]:
    spans = [elf.sections[name] for name in names if name in elf.sections]
    for address, target in pointers.items():
        if any(span.address <= address < span.address + span.size for span in spans):
            yield target


def _writable(elf: ElfObject) -> tuple[tuple[int, int], ...]:
    return tuple((s.address, s.address + s.size) for name, s in elf.variables.items() if name in _WRITABLE)
