"""The code of one ELF file, cut into functions, with every pointer that leads into it: what a disassembler needs.

Boundaries come from ``.eh_frame_hdr`` (there even in stripped files) and the symbol tables. What lies between them is a
guessed function: code without either, or data, which decodes to nonsense.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from .elf import ElfObject, Span, read_span
from .symbols import Symbol, read_symbols

CODE_LIMIT = 512 << 20
_TABLE_LIMIT = 128 << 20
_PADDING = 64  # functions are aligned to that at most

# ELF relocation types: https://gitlab.com/x86-psABIs/x86-64-ABI, https://github.com/ARM-software/abi-aa,
# https://openpowerfoundation.org/specifications/64bitelfabi
_RELATIVE = {"x86_64": 8, "aarch64": 1027, "ppc64le": 22}
_IRELATIVE = {"x86_64": 37, "aarch64": 1032, "ppc64le": 248}
_DATA_SECTIONS = (".data", ".data.rel.ro", ".data.rel.ro.local", ".init_array", ".rodata", ".got")
_WRITABLE = (".data", ".bss", ".lbss", ".ldata", ".tm_clone_table")


@dataclass(frozen=True)
class Function:
    """A run of code from ``start`` up to ``end``; ``name`` is empty in a stripped file.

    ``guessed``: neither unwind table nor symbols say that it is one.
    """

    start: int
    end: int
    name: str = ""
    guessed: bool = False

    @property
    def label(self) -> str:
        """Return the name, or the address where there is none."""
        return self.name or f"0x{self.start:x}"


@dataclass(frozen=True)
class Code:
    """The code of one object.

    Attributes:
        path: in the tree.
        soname: as the file states it.
        family: archspec family.
        position_dependent: linked to fixed addresses (``ET_EXEC``).
        sections: address and bytes of each executable section.
        functions: sorted, not overlapping.
        entry: where a program starts; 0 for a library.
        exports: addresses of exported functions, IFUNCs excepted.
        resolvers: addresses of IFUNC resolvers.
        constructors: addresses of functions that run before the program.
        slots: address of each pointer in data to what it points at.
        imports: address of each slot that the loader fills to the name that it is filled with.
        writable: address ranges of variables.
        offsets: section address to file offset.
        is_go: made by the Go compiler, whose libraries keep the CPU's features in variables.
        truncated: whether code beyond `CODE_LIMIT` was left out.
    """

    path: str
    soname: str
    family: str
    position_dependent: bool
    sections: tuple[tuple[int, bytes], ...]
    functions: tuple[Function, ...]
    entry: int = 0
    exports: frozenset[int] = frozenset()
    resolvers: frozenset[int] = frozenset()
    constructors: frozenset[int] = frozenset()
    slots: Mapping[int, int] = field(default_factory=dict)
    imports: Mapping[int, str] = field(default_factory=dict)
    writable: tuple[tuple[int, int], ...] = ()
    offsets: Mapping[int, int] = field(default_factory=dict)
    is_go: bool = False
    truncated: bool = False

    def file_offset(self, address: int) -> int:
        """Return where in the file the code at an address lies."""
        for start, data in self.sections:
            if start <= address < start + len(data):
                return self.offsets[start] + address - start
        return 0

    def bytes_at(self, address: int, size: int) -> bytes:
        """Return so many bytes from an address on, as far as they are there; none where no section holds it."""
        for start, data in self.sections:
            if start <= address < start + len(data):
                return data[address - start : address - start + size]
        return b""

    def bytes_of(self, function: Function) -> bytes:
        """Return the bytes of a function."""
        return self.bytes_at(function.start, function.end - function.start)

    def code_bytes(self) -> int:
        """Return how much code there is."""
        return sum(len(data) for _, data in self.sections)


def read_code(stream: BinaryIO, elf: ElfObject, path: str) -> Code:
    """Return the code of an executable or library; bounded, whatever the file states."""
    dynamic = read_symbols(stream, elf, ".dynsym")
    symbols = read_symbols(stream, elf, ".symtab") or dynamic
    sections = []
    left = CODE_LIMIT
    for span in elf.code:
        data = read_span(stream, span, left)
        left -= len(data)
        if data:
            sections.append((span.address, data))
    slots, resolvers, imports = _relocations(stream, elf, dynamic)
    for address, target in _words(stream, elf):
        slots.setdefault(address, target)
    code = [(start, start + len(data)) for start, data in sections]
    return Code(
        path=path,
        soname=elf.soname,
        family=elf.family,
        position_dependent=elf.kind == "executable" and min((s for s, _ in code), default=0) >= 0x10000,
        sections=tuple(sections),
        functions=tuple(_functions(stream, elf, symbols, code)),
        entry=elf.entry if elf.kind == "executable" else 0,
        exports=frozenset(s.address for s in dynamic if s.section and s.kind == 2),
        resolvers=frozenset(resolvers) | frozenset(s.address for s in (*symbols, *dynamic) if s.is_ifunc and s.section),
        constructors=frozenset(_pointers_in(elf, slots, (".init_array", ".preinit_array", ".fini_array"))),
        slots=slots,
        imports=imports,
        writable=_writable(elf),
        offsets={span.address: span.offset for span in elf.code},
        is_go=".gopclntab" in elf.sections or ".note.go.buildid" in elf.sections,
        truncated=left <= 0,
    )


def _functions(
    stream: BinaryIO, elf: ElfObject, symbols: list[Symbol], code: list[tuple[int, int]]
) -> Iterator[Function]:
    """Yield the functions: from the unwind table, else the symbols; named where a symbol starts there."""
    sizes = {s.address: s.size for s in symbols if s.is_function and s.section and s.size}
    names = {s.address: s.name for s in sorted(symbols, key=lambda s: s.name) if s.is_function and s.section}
    ranges = dict(_unwind_ranges(stream, elf))
    for address, size in sizes.items():
        ranges.setdefault(address, size)
    for low, high in sorted(code):
        position = low
        for address in sorted(a for a in ranges if low <= a < high):
            end = address + ranges[address]
            if position <= address < end <= high:
                yield from _guessed(position, address)
                yield Function(address, end, names.get(address, ""))
                position = end
        yield from _guessed(position, high)


def _guessed(start: int, end: int) -> Iterator[Function]:
    if end - start >= _PADDING:
        yield Function(start, end, guessed=True)


def _unwind_ranges(stream: BinaryIO, elf: ElfObject) -> Iterator[tuple[int, int]]:
    """Yield address and size of each function in ``.eh_frame`` by the binary search table beside it.

    LSB Core, ".eh_frame_hdr"; only the encodings that GCC, LLVM and the GNU linkers write (pcrel and datarel sdata4).
    """
    header_span, frame_span = elf.sections.get(".eh_frame_hdr"), elf.sections.get(".eh_frame")
    if header_span is None or frame_span is None:
        return
    header = read_span(stream, header_span, _TABLE_LIMIT)
    frames = read_span(stream, frame_span, _TABLE_LIMIT)
    if len(header) < 12 or header[0] != 1 or header[2] != 0x03 or header[3] != 0x3B:
        return
    (number,) = struct.unpack_from("<I", header, 8)
    table = header[12 : 12 + number * 8]
    for start, frame in struct.iter_unpack("<ii", table[: len(table) // 8 * 8]):
        place = header_span.address + frame - frame_span.address + 12  # length, CIE pointer, pc_begin; then pc_range
        if 12 <= place <= len(frames) - 4:
            (size,) = struct.unpack_from("<I", frames, place)
            yield header_span.address + start, size


def _relocations(
    stream: BinaryIO, elf: ElfObject, dynamic: list[Symbol]
) -> tuple[dict[int, int], set[int], dict[int, str]]:
    """Return pointers by address, IFUNC resolvers, and imported names by slot."""
    slots: dict[int, int] = {}
    resolvers: set[int] = set()
    imports: dict[int, str] = {}
    table = _symbol_places(stream, elf)
    for name in (".rela.dyn", ".rela.plt"):
        raw = read_span(stream, elf.sections.get(name, Span(0, 0, 0)), _TABLE_LIMIT)
        for address, info, addend in struct.iter_unpack("<QQq", raw[: len(raw) // 24 * 24]):
            kind, symbol = info & 0xFFFFFFFF, info >> 32
            if kind == _RELATIVE.get(elf.family):
                slots[address] = addend
            elif kind == _IRELATIVE.get(elf.family):
                resolvers.add(addend)
            elif symbol and symbol < len(table):
                value, text, section = table[symbol]
                if section:
                    slots[address] = value + max(addend, 0)
                else:
                    imports[address] = text
    return slots, resolvers, imports


def _symbol_places(stream: BinaryIO, elf: ElfObject) -> list[tuple[int, str, int]]:
    """Return value, name and section of every dynamic symbol by its number."""
    if ".dynsym" not in elf.sections or ".dynstr" not in elf.sections:
        return []
    names = read_span(stream, elf.sections[".dynstr"], _TABLE_LIMIT)
    raw = read_span(stream, elf.sections[".dynsym"], _TABLE_LIMIT)
    return [
        (value, names[name : names.find(b"\0", name)][:4096].decode("utf-8", "replace"), section)
        for name, _, _, section, value, _ in struct.iter_unpack("<IBBHQQ", raw[: len(raw) // 24 * 24])
    ]


def _words(stream: BinaryIO, elf: ElfObject) -> Iterator[tuple[int, int]]:
    """Yield the words in data that are addresses of code: pointers of files linked to fixed addresses."""
    low = min((span.address for span in elf.code), default=0)
    high = max((span.address + span.size for span in elf.code), default=0)
    if low == 0 or elf.kind != "executable":
        return
    for name in _DATA_SECTIONS:
        span = elf.sections.get(name)
        if span is None:
            continue
        raw = read_span(stream, span, _TABLE_LIMIT)
        for number, (word,) in enumerate(struct.iter_unpack("<Q", raw[: len(raw) // 8 * 8])):
            if low <= word < high:
                yield span.address + number * 8, word


def _pointers_in(elf: ElfObject, slots: Mapping[int, int], names: tuple[str, ...]) -> Iterator[int]:
    spans = [elf.sections[name] for name in names if name in elf.sections]
    for address, target in slots.items():
        if any(span.address <= address < span.address + span.size for span in spans):
            yield target


def _writable(elf: ElfObject) -> tuple[tuple[int, int], ...]:
    return tuple((s.address, s.address + s.size) for name, s in elf.variables.items() if name in _WRITABLE)
