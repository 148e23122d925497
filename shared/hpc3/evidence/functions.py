"""The functions of one object: where they begin and end, and what they are called.

Boundaries come from ``.eh_frame_hdr`` (there even in stripped files) and the symbol tables. What lies between them is a
guessed function: code without either, or data, which decodes to nonsense.
"""

from __future__ import annotations

import bisect
import struct
from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

from .elf import STRING_LIMIT, ElfObject, Span, read_span, text_at
from .symbols import TABLE_LIMIT, Symbol, SymbolTable

_UNWIND_LIMIT = 128 << 20
_PADDING = 64  # functions are aligned to that at most
#: Bytes that padding is made of: zeros, traps and the ways to do nothing. Nothing that is looked for has only these.
_PADDING_BYTES = {
    "x86_64": frozenset(b"\x00\x0f\x1f\x2e\x40\x44\x66\x76\x80\x84\x8d\x90\xb6\xc0\xcc\xf4"),
    "aarch64": frozenset(b"\x00\x03\x1f\x20\xd5"),
    "ppc64le": frozenset(b"\x00\x60"),
}


class Function(NamedTuple):
    """A run of code from ``start`` up to ``end``; ``number`` is its place among the functions of the code.

    ``guessed``: neither unwind table nor symbols say that it is one.
    """

    start: int
    end: int
    number: int = 0
    guessed: bool = False


class Functions:
    """The functions of one object, sorted, not overlapping: a sequence of `Function`.

    Kept in arrays, names in the file: a library has half a million, a hundred bytes each.
    """

    def __init__(self, stream: BinaryIO, strings: Span) -> None:
        """Begin with none; ``strings`` is the section that names lie in."""
        self.starts = array("Q")
        self._ends = array("Q")
        self._names = array("I")
        self._guessed = bytearray()
        self._handles = bytearray()
        self._stream = stream
        self._strings = strings

    def append(self, start: int, end: int, name: int = 0, *, guessed: bool = False, handles: bool = False) -> None:
        """Add the next function.

        Args:
            start: its first address.
            end: the one behind it.
            name: place of its name in the symbol table's strings; 0 without one.
            guessed: as `Function` has it.
            handles: whether it holds code that runs when an exception passes: nothing else leads there.
        """
        self.starts.append(start)
        self._ends.append(end)
        self._names.append(name)
        self._guessed.append(guessed)
        self._handles.append(handles)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> Function:
        return Function(self.starts[number], self._ends[number], number, bool(self._guessed[number]))

    def __iter__(self) -> Iterator[Function]:
        for number, (start, end, guessed) in enumerate(zip(self.starts, self._ends, self._guessed)):
            yield Function(start, end, number, bool(guessed))

    def number_at(self, address: int) -> int | None:
        """Return the number of the function that an address lies in."""
        number = bisect.bisect_right(self.starts, address) - 1
        return number if number >= 0 and address < self._ends[number] else None

    def number_of(self, start: int) -> int | None:
        """Return the number of the function that begins at an address."""
        number = self.number_at(start)
        return number if number is not None and self.starts[number] == start else None

    def handles(self, number: int) -> bool:
        """Whether a function holds code that only an exception leads to."""
        return bool(self._handles[number])

    def name(self, number: int) -> str:
        """Return a function's name; empty in a stripped file."""
        place = self._names[number]
        left = Span(self._strings.offset + place, self._strings.size - place, 0)
        return text_at(read_span(self._stream, left, STRING_LIMIT), 0) if place else ""

    def label(self, number: int) -> str:
        """Return a function's name, or the address where there is none."""
        return self.name(number) or f"0x{self.starts[number]:x}"

    def names(self) -> Iterator[tuple[int, str]]:
        """Yield number and name of each function that has a name; reads all of the names for that time."""
        strings = read_span(self._stream, self._strings, TABLE_LIMIT)
        for number, place in enumerate(self._names):
            if place:
                yield number, text_at(strings, place)


def read_functions(
    stream: BinaryIO,
    elf: ElfObject,
    symbols: SymbolTable,
    code: Iterable[tuple[int, int]],
    text_at: Callable[[int, int], bytes],
) -> Functions:
    """Return the functions: from the unwind table, else the symbols; named where a symbol starts there.

    Args:
        stream: the file.
        elf: what it states.
        symbols: its fullest table.
        code: the address ranges of its executable sections.
        text_at: gives the bytes from an address on, so many.
    """
    ranges: dict[int, int] = {}
    handling: set[int] = set()
    for address, size, handles in _unwind_ranges(stream, elf):
        ranges[address] = size
        if handles:
            handling.add(address)
    names: dict[int, int] = {}
    for symbol in symbols:
        if symbol.is_function and symbol.section:
            names[symbol.address] = _later(symbols, names.get(symbol.address, 0), symbol)
            if symbol.size:
                ranges.setdefault(symbol.address, symbol.size)
    found = Functions(stream, symbols.place)
    padding = _PADDING_BYTES.get(elf.family, frozenset())

    def is_padding(low: int, high: int) -> bool:
        return high - low < _PADDING and padding.issuperset(text_at(low, high - low))

    for low, high in sorted(code):
        _cut(found, low, high, ranges, names, handling, is_padding)
    return found


def _later(symbols: SymbolTable, name: int, symbol: Symbol) -> int:
    """Return of the names of one function the one that sorts last: symbol tables have no order."""
    if not name or symbols.name(symbol.name) > symbols.name(name):
        return symbol.name
    return name


def _cut(
    found: Functions,
    low: int,
    high: int,
    ranges: Mapping[int, int],
    names: Mapping[int, int],
    handling: Container[int],
    is_padding: Callable[[int, int], bool],
) -> None:
    """Add the functions of one section, and a guessed one for each gap that is more than padding."""
    position = low
    for address in sorted(a for a in ranges if low <= a < high):
        end = address + ranges[address]
        if position <= address < end <= high:
            if position < address and not is_padding(position, address):
                found.append(position, address, guessed=True)
            found.append(address, end, names.get(address, 0), handles=address in handling)
            position = end
    if position < high and not is_padding(position, high):
        found.append(position, high, guessed=True)


def _unwind_ranges(stream: BinaryIO, elf: ElfObject) -> Iterator[tuple[int, int, bool]]:
    """Yield address and size of the functions in ``.eh_frame`` by the table beside it, and whether each has handlers.

    LSB Core, ".eh_frame_hdr"; only the encodings that GCC, LLVM and the GNU linkers write (pcrel and datarel sdata4).
    """
    header_span, frame_span = elf.sections.get(".eh_frame_hdr"), elf.sections.get(".eh_frame")
    if header_span is None or frame_span is None:
        return
    header = read_span(stream, header_span, _UNWIND_LIMIT)
    frames = read_span(stream, frame_span, _UNWIND_LIMIT)
    if len(header) < 12 or header[0] != 1 or header[2] != 0x03 or header[3] != 0x3B:
        return
    (number,) = struct.unpack_from("<I", header, 8)
    table = header[12 : 12 + number * 8]
    for start, frame in struct.iter_unpack("<ii", table[: len(table) // 8 * 8]):
        place = header_span.address + frame - frame_span.address + 12  # length, CIE pointer, pc_begin; then pc_range
        if 12 <= place <= len(frames) - 4:
            (size,) = struct.unpack_from("<I", frames, place)
            yield header_span.address + start, size, _has_handlers(frames, place)


def _has_handlers(frames: bytes, place: int) -> bool:
    """Whether a frame names a language-specific data area, the table of what runs when an exception passes.

    Args:
        frames: the section.
        place: of the frame's ``pc_range``; before it lie length, CIE pointer and ``pc_begin``, behind it the length of
            its augmentation and, where the CIE's has an ``L``, the area's address (LSB Core, ".eh_frame").
    """
    (distance,) = struct.unpack_from("<I", frames, place - 8)
    augmentation = place - 8 - distance + 9  # behind the CIE's length, id and version
    letters = frames[augmentation : augmentation + 8].partition(b"\0")[0] if augmentation > 0 else b""
    return b"L" in letters and frames[place + 5 : place + 9] != bytes(4)
