"""What one ELF file states about itself: what it needs, what it is, where its code lies.

`pyelftools` reads the structures. It trusts them: a hostile file may claim four billion sections, so that it only
ever sees a `BoundedReader`, which ends a reading that asks for more bytes than any honest file takes. Whatever it
raises on garbage becomes `UnreadableElf` with the reason.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, cast

MAGIC = b"\x7fELF"

#: archspec family by ELF machine; others keep their ELF name.
_FAMILIES = {
    "EM_386": "x86",
    "EM_AARCH64": "aarch64",
    "EM_ARM": "arm",
    "EM_RISCV": "riscv64",
    "EM_X86_64": "x86_64",
}
# sh_type and p_type, System V ABI, chapters "Sections" and "Program Header"
_NULL, _PROGRAM_BITS, _STRINGS, _NO_BITS = 0, 1, 3, 8
_LOAD, _DYNAMIC, _INTERP, _NOTE = 1, 2, 3, 4
# GNU_PROPERTY_X86_ISA_1_NEEDED, https://gitlab.com/x86-psABIs/x86-64-ABI, section "Program Property"
_ISA_NEEDED_PROPERTY = 0xC0008002
_ISA_NEEDED = ((1, "x86_64"), (2, "x86_64_v2"), (4, "x86_64_v3"), (8, "x86_64_v4"))

#: Longest name in bytes; C++ has names of thousands.
STRING_LIMIT = 4096
_READ_BUDGET = 64 << 20
_MOST_SECTIONS = 20_000
_MOST_NAMES = 4_096


class UnreadableElf(Exception):
    """The file begins like an ELF file and is none; the message says why."""


class BoundedReader(io.RawIOBase):
    """A seekable view of a stream that gives out at most ``budget`` bytes, however often it is asked."""

    def __init__(self, stream: BinaryIO, budget: int) -> None:
        self._stream = stream
        self._left = budget

    def read(self, size: int | None = -1) -> bytes:
        """Read at most ``size`` bytes; raises `UnreadableElf` once the budget is used up."""
        wanted = self._left + 1 if size is None or size < 0 else size
        if wanted > self._left:
            raise UnreadableElf("states more data than any honest file holds")
        data = self._stream.read(wanted)
        self._left -= len(data) + 16  # empty reads cost too, or a loop over nothing would never end
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; an offset that no file can have is garbage."""
        if not -(1 << 62) < offset < 1 << 62:
            raise UnreadableElf("points outside of any file")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the stream."""
        return self._stream.tell()


class Span(NamedTuple):
    """A section's place: offset and size in the file, address in memory."""

    offset: int
    size: int
    address: int


@dataclass(frozen=True)
class ElfObject:
    """One ELF file.

    Attributes:
        family: archspec family (``x86_64``), or the ELF name of a machine that archspec does not know.
        kind: ``executable`` (also position-independent), ``library``, ``relocatable``, ``other``.
        static: an executable without loader and dependencies.
        soname: empty where there is none.
        needed: DT_NEEDED, in the file's order.
        rpath: folders; ``runpath`` likewise.
        interpreter: path of the loader.
        needed_versions: symbol versions that it needs (``GLIBC_2.34``), sorted.
        defined_versions: symbol versions that it defines, sorted.
        kernel_min: least kernel of the ABI note (``3.2.0``).
        load_alignment: least alignment of its LOAD segments in bytes; 0 without one.
        isa_needed: highest level of the x86 "ISA needed" note; empty without one.
        compilers: lines of ``.comment``.
        sections: by name, those with content in the file.
        variables: writable sections, those without content in the file (``.bss``) included.
        code: executable sections.
        hidden_code: whether there is code, as in each program, and no section tells where.
    """

    family: str
    kind: str
    static: bool = False
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    interpreter: str = ""
    needed_versions: tuple[str, ...] = ()
    defined_versions: tuple[str, ...] = ()
    kernel_min: str = ""
    load_alignment: int = 0
    isa_needed: str = ""
    compilers: tuple[str, ...] = ()
    entry: int = 0
    sections: Mapping[str, Span] = field(default_factory=dict)
    variables: Mapping[str, Span] = field(default_factory=dict)
    code: tuple[Span, ...] = ()
    hidden_code: bool = False


def read_elf(stream: BinaryIO) -> ElfObject:
    """Read the ELF file in ``stream``.

    Raises:
        UnreadableElf: it is none, or broken beyond what its header says.
    """
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(cast(BinaryIO, BoundedReader(stream, _READ_BUDGET)))
        return _object(elf)
    except UnreadableElf:
        raise
    except Exception as error:  # pyelftools and construct raise whatever their parser ran into
        raise UnreadableElf(f"broken ELF: {type(error).__name__} {error}") from error


def read_span(stream: BinaryIO, span: Span, limit: int) -> bytes:
    """Return the bytes of a section, at most ``limit`` of them, fewer where the file ends before."""
    stream.seek(min(span.offset, 1 << 62))
    return stream.read(min(span.size, limit))


def text_at(strings: bytes, place: int) -> str:
    """Return the text at a place among NUL-terminated strings; empty where none ends within `STRING_LIMIT` bytes."""
    end = strings.find(b"\0", place, place + STRING_LIMIT)
    return strings[place:end].decode("utf-8", "replace") if end >= 0 else ""


class _Section(NamedTuple):
    """A section header up to its size; ``type`` and ``flags`` as numbers."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int

    @property
    def span(self) -> Span:
        return Span(self.offset, self.size, self.address)


class _Segment(NamedTuple):
    number: int
    type: int
    flags: int
    file_size: int
    alignment: int


# pyelftools' own types do not say which section class a section type gives: hence Any.
def _object(elf: Any) -> ElfObject:
    sections = _section_headers(elf)
    segments = _segment_headers(elf)
    by_name = {section.name: number for number, section in enumerate(sections)}
    dynamic = _dynamic(elf, by_name, segments)
    interpreter = next((elf.get_segment(s.number).get_interp_name() for s in segments if s.type == _INTERP), "")
    is_program = bool(interpreter) or elf["e_type"] == "ET_EXEC"
    kernel_min, isa_needed = _notes(elf, by_name, segments)
    comment = by_name.get(".comment")
    return ElfObject(
        family=_family(elf),
        kind=_kind(elf["e_type"], is_program=is_program, has_soname=bool(dynamic["soname"])),
        static=is_program and not interpreter and not dynamic["needed"],
        soname="".join(dynamic["soname"][:1]),
        needed=tuple(dynamic["needed"]),
        rpath=_folders(dynamic["rpath"]),
        runpath=_folders(dynamic["runpath"]),
        interpreter=interpreter,
        needed_versions=_versions(elf, by_name.get(".gnu.version_r")),
        defined_versions=_versions(elf, by_name.get(".gnu.version_d")),
        kernel_min=kernel_min,
        load_alignment=min((s.alignment for s in segments if s.type == _LOAD), default=0),
        isa_needed=isa_needed,
        compilers=() if comment is None else _compilers(elf.get_section(comment)),
        entry=int(elf["e_entry"]),
        sections={s.name: s.span for s in sections if s.type not in (_NULL, _NO_BITS)},
        variables={s.name: s.span for s in sections if s.flags & 0x1 and s.address},
        code=tuple(s.span for s in sections if s.flags & 0x4 and s.type == _PROGRAM_BITS),
        hidden_code=_hides_code(sections, segments, is_program=is_program),
    )


def _hides_code(sections: Iterable[_Section], segments: Iterable[_Segment], *, is_program: bool) -> bool:
    """Whether there is code that no section names; in a file of debug symbols the sections have no content."""
    if any(s.flags & 0x4 and s.type in (_PROGRAM_BITS, _NO_BITS) for s in sections):
        return False
    return is_program or any(s.type == _LOAD and s.flags & 0x1 and s.file_size for s in segments)


def _section_headers(elf: Any) -> list[_Section]:
    """Return every section; only those that are read become objects of pyelftools, which takes ten times as long."""
    number = elf.num_sections()
    if number > _MOST_SECTIONS:
        raise UnreadableElf(f"states {number} sections")
    layout = {32: "IIIIII", 64: "IIQQQQ"}[elf.elfclass]
    headers = _headers(elf, layout, elf["e_shoff"], elf["e_shentsize"], number)
    names = elf.get_shstrndx() if number else 0
    strings = b""
    if names < number and headers[names][1] == _STRINGS:
        elf.stream.seek(headers[names][4])
        strings = elf.stream.read(headers[names][5])
    return [_Section(text_at(strings, name), *rest) for name, *rest in headers]


def _segment_headers(elf: Any) -> list[_Segment]:
    number = elf.num_segments()
    if number > _MOST_SECTIONS:
        raise UnreadableElf(f"states {number} segments")
    layout = {32: "IIIIIIII", 64: "IIQQQQQQ"}[elf.elfclass]
    headers = _headers(elf, layout, elf["e_phoff"], elf["e_phentsize"], number)
    flags, file_size = {32: (6, 4), 64: (1, 5)}[elf.elfclass]
    return [_Segment(place, each[0], each[flags], each[file_size], each[7]) for place, each in enumerate(headers)]


def _headers(elf: Any, layout: str, start: int, size: int, number: int) -> list[tuple[int, ...]]:
    elf.stream.seek(start)
    raw = elf.stream.read(size * number)
    reader = struct.Struct(("<" if elf.little_endian else ">") + layout)
    return [reader.unpack_from(raw, size * place) for place in range(number)]


def _dynamic(elf: Any, sections: Mapping[str, int], segments: Iterable[_Segment]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"needed": [], "soname": [], "rpath": [], "runpath": []}
    table: Any = None
    if ".dynamic" in sections:
        table = elf.get_section(sections[".dynamic"])
        if table["sh_type"] == "SHT_NOBITS":  # a file of debug symbols: its headers describe another file
            return found
    if not hasattr(table, "iter_tags"):  # section headers were stripped, or lie: the loader's view is left
        table = next((elf.get_segment(s.number) for s in segments if s.type == _DYNAMIC), None)
    if not hasattr(table, "iter_tags"):
        return found
    for tag in _bounded(table.iter_tags()):
        name = str(tag.entry.d_tag).removeprefix("DT_").lower()
        if name in found:
            found[name].append(str(getattr(tag, name)))
    return found


def _versions(elf: Any, number: int | None) -> tuple[str, ...]:
    section: Any = None if number is None else elf.get_section(number)
    if not hasattr(section, "iter_versions"):
        return ()
    names: set[str] = set()
    for version, auxiliaries in _bounded(section.iter_versions()):
        is_base = hasattr(version.entry, "vd_flags") and version.entry.vd_flags & 1
        if not is_base:  # the base definition is the file's own name
            names.update(str(a.name) for a in _bounded(auxiliaries))
    return tuple(sorted(names))


def _notes(elf: Any, sections: Mapping[str, int], segments: Iterable[_Segment]) -> tuple[str, str]:
    kernel_min, isa_needed = "", ""
    holders = [elf.get_section(sections[n]) for n in (".note.ABI-tag", ".note.gnu.property") if n in sections]
    if not all(hasattr(holder, "iter_notes") for holder in holders) or not sections:
        holders = [elf.get_segment(s.number) for s in segments if s.type == _NOTE]
    for holder in holders:
        for note in _bounded(holder.iter_notes()):
            if note["n_name"] != "GNU":
                continue
            if note["n_type"] == "NT_GNU_ABI_TAG" and len(note["n_descdata"]) >= 16:
                words = struct.unpack_from(("<" if elf.little_endian else ">") + "4I", note["n_descdata"])
                kernel_min = ".".join(map(str, words[1:])) if words[0] == 0 else ""  # 0: Linux
            elif note["n_type"] == "NT_GNU_PROPERTY_TYPE_0":
                isa_needed = _isa_needed(note["n_descdata"]) or isa_needed
    return kernel_min, isa_needed


def _isa_needed(data: bytes) -> str:
    place = 0
    while place + 12 <= len(data):
        kind, size, value = struct.unpack_from("<III", data, place)
        if kind == _ISA_NEEDED_PROPERTY and size == 4:
            return next((level for bit, level in reversed(_ISA_NEEDED) if value & bit), "")
        place += 8 + (size + 7) // 8 * 8
    return ""


def _compilers(section: Any) -> tuple[str, ...]:
    if section is None or section["sh_size"] > 1 << 16 or section["sh_type"] == "SHT_NOBITS":
        return ()
    lines = (line.decode("utf-8", "replace").strip() for line in section.data().split(b"\0"))
    return tuple(sorted({line for line in lines if line}))[:_MOST_NAMES]


def _family(elf: Any) -> str:
    machine = str(elf["e_machine"])
    if machine == "EM_PPC64":
        return "ppc64le" if elf.little_endian else "ppc64"
    return _FAMILIES.get(machine, machine)


def _kind(e_type: str, *, is_program: bool, has_soname: bool) -> str:
    if e_type in ("ET_EXEC", "ET_DYN"):
        return "executable" if is_program and not has_soname else "library"
    return "relocatable" if e_type == "ET_REL" else "other"


def _folders(entries: Iterable[str]) -> tuple[str, ...]:
    return tuple(folder for entry in entries for folder in re.split(":", entry) if folder)


def _bounded(things: Iterator[Any]) -> Iterator[Any]:
    for number, thing in enumerate(things):
        if number >= _MOST_NAMES:
            raise UnreadableElf("states more entries than any honest file holds")
        yield thing
