"""GPU code inside host ELF files: cubins and PTX of NVIDIA fat binaries, code objects of AMD's HIP.

Only headers are read, so that a library with gigabytes of kernels costs a few kilobytes. Layouts:

- NVIDIA: not documented; read off what nvcc 13.0 writes and `cuda/include/fatbinary_section.h` names. A region begins
  with the magic 0xBA55ED50, version and header size (16 bits each) and the size of its entries (64 bits). An entry
  begins with its kind (16 bits: 1 PTX, 2 cubin), version, header size (32), payload size (64); the compute
  capability (32) lies at byte 28 and the flags (64) at byte 40, where bit 20 says ``sm_90a``, bit 21 ``sm_100f``.
- HIP: https://clang.llvm.org/docs/ClangOffloadBundler.html; compressed bundles ("CCOB") as in LLVM's OffloadBundle.h.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .elf import ElfObject, Span, read_span

_NVIDIA_SECTIONS = (".nv_fatbin", "__nv_relfatbin")
_AMD_SECTIONS = (".hip_fatbin", ".hipFatBin")
_NVIDIA_MAGIC = b"\x50\xed\x55\xba"
_NVIDIA_KINDS = {1: "ptx", 2: "cubin"}
_BUNDLE_MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
_COMPRESSED_MAGIC = b"CCOB"
_ZLIB = 0  # llvm::compression::Format

_MOST_ENTRIES = 100_000
_MOST_PADDING = 1 << 16
_BUNDLE_LIMIT = 64 << 20
_HEADER_LIMIT = 1 << 16


@dataclass(frozen=True)
class GpuCode:
    """One code object: ``kind`` is ``cubin``, ``ptx`` or ``hip``; ``offset`` is its place in the file."""

    kind: str
    architecture: str
    offset: int


def read_gpu_code(stream: BinaryIO, elf: ElfObject) -> tuple[list[GpuCode], str]:
    """Return the GPU code objects of a host file, and what could not be read of them (empty: nothing).

    The first of each kind and architecture stands for all of them: a library has thousands.
    """
    found: dict[tuple[str, str], GpuCode] = {}
    try:
        for name in _NVIDIA_SECTIONS:
            for code in _nvidia(stream, elf.sections.get(name, Span(0, 0, 0))):
                found.setdefault((code.kind, code.architecture), code)
        for name in _AMD_SECTIONS:
            for code in _amd(stream, elf.sections.get(name, Span(0, 0, 0))):
                found.setdefault((code.kind, code.architecture), code)
    except (ValueError, struct.error) as error:
        return list(found.values()), f"GPU code: {error}"
    return list(found.values()), ""


def _nvidia(stream: BinaryIO, section: Span) -> Iterator[GpuCode]:
    place, end, read = section.offset, section.offset + section.size, 0
    while place + 16 <= end:
        place = _after_padding(stream, place, end, _NVIDIA_MAGIC)
        if place >= end:
            return
        _, header_size, size = struct.unpack("<4xHHQ", _exactly(stream, place, 16))
        region_end = place + header_size + size
        if header_size < 16 or region_end > end:
            raise ValueError("an NVIDIA fat binary is larger than its section")
        entry = place + header_size
        while entry + 64 <= region_end:
            kind, entry_header, payload = struct.unpack("<H2xIQ", _exactly(stream, entry, 16))
            capability, flags = struct.unpack("<28xI8xQ", _exactly(stream, entry, 48))
            if entry_header < 48 or entry + entry_header + payload > region_end:
                raise ValueError("an entry of an NVIDIA fat binary is larger than the fat binary")
            if kind in _NVIDIA_KINDS and 0 < capability < 1000:
                yield GpuCode(_NVIDIA_KINDS[kind], _nvidia_name(kind, capability, flags), entry)
            entry += entry_header + payload
            read += 1
            if read > _MOST_ENTRIES:
                raise ValueError(f"more than {_MOST_ENTRIES} entries in NVIDIA fat binaries")
        place = region_end


def _nvidia_name(kind: int, capability: int, flags: int) -> str:
    stem = "compute" if _NVIDIA_KINDS[kind] == "ptx" else "sm"
    suffix = "a" if flags >> 20 & 1 else "f" if flags >> 21 & 1 else ""
    return f"{stem}_{capability}{suffix}"


def _amd(stream: BinaryIO, section: Span) -> Iterator[GpuCode]:
    place, end, read = section.offset, section.offset + section.size, 0
    while place + 32 <= end:
        start = _exactly(stream, place, 32)
        if start.startswith(_BUNDLE_MAGIC):
            head = _at_most(stream, place, min(_HEADER_LIMIT, end - place))
            names, size = _bundle(head)
            for name in names:
                yield GpuCode("hip", name, place)
        elif start.startswith(_COMPRESSED_MAGIC):
            plain, size = _decompressed(stream, place, end)
            for name in _bundle(plain)[0]:
                yield GpuCode("hip", name, place)
        else:
            following = _after_padding(stream, place, end, _BUNDLE_MAGIC, _COMPRESSED_MAGIC)
            size = following - place
        place += max(size, 1)
        read += 1
        if read > _MOST_ENTRIES:
            raise ValueError(f"more than {_MOST_ENTRIES} HIP bundles")


def _bundle(head: bytes) -> tuple[list[str], int]:
    """Return the gfx names in a bundle's header, and where its last code object ends."""
    (number,) = struct.unpack_from("<Q", head, len(_BUNDLE_MAGIC))
    if number > 4096:
        raise ValueError("a HIP bundle states too many code objects")
    names, place, size = [], len(_BUNDLE_MAGIC) + 8, 0
    for _ in range(number):
        offset, length, id_length = struct.unpack_from("<QQQ", head, place)
        place += 24
        identity = head[place : place + min(id_length, 1024)].decode("ascii", "replace")
        place += id_length
        size = max(size, offset + length)
        target = re.search(r"amdgcn-.*?(gfx[0-9a-f]{3,5})(?![0-9a-f])", identity)
        if target:
            names.append(target.group(1))
    return names, max(size, place)


def _decompressed(stream: BinaryIO, place: int, end: int) -> tuple[bytes, int]:
    version, method = struct.unpack("<4xHH", _exactly(stream, place, 8))
    layouts = {1: ("<8xI8x", 20), 2: ("<8xII8x", 24), 3: ("<8xQQ8x", 32)}
    if version not in layouts:
        raise ValueError(f"a compressed HIP bundle of version {version}, which is not known")
    layout, header = layouts[version]
    sizes = struct.unpack(layout, _exactly(stream, place, header))
    size = sizes[0] if version > 1 else end - place
    if method != _ZLIB:
        raise ValueError("a HIP bundle is compressed with Zstandard, which Python's library does not read")
    engine = zlib.decompressobj()
    try:
        data = _at_most(stream, place + header, min(size, end - place, _BUNDLE_LIMIT) - header)
        return engine.decompress(data, _HEADER_LIMIT), size
    except zlib.error as error:
        raise ValueError(f"a compressed HIP bundle is broken: {error}") from error


def _after_padding(stream: BinaryIO, place: int, end: int, *magics: bytes) -> int:
    """Return where the next magic begins, at most `_MOST_PADDING` bytes on; ``end`` where only padding follows."""
    data = _at_most(stream, place, min(_MOST_PADDING, end - place))
    hits = [hit for hit in (data.find(magic) for magic in magics) if hit >= 0]
    if hits:
        return place + min(hits)
    if data.strip(b"\0"):
        raise ValueError("the section holds something that is no fat binary")
    return end if place + len(data) >= end else place + len(data)


def _exactly(stream: BinaryIO, place: int, size: int) -> bytes:
    data = _at_most(stream, place, size)
    if len(data) < size:
        raise ValueError("the file ends inside a fat binary")
    return data


def _at_most(stream: BinaryIO, place: int, size: int) -> bytes:
    return read_span(stream, Span(place, max(size, 0), 0), max(size, 0))
