"""Which known library a shared object is, and its version, read from the object itself.

The table ``data/libraries.json`` says how each is recognised. A file's name proves nothing: Open MPI 1.10 and MPICH
both are ``libmpi.so.12``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from hpc3.facts import Evidence
from hpc3.tables import Row, rows

from .elf import ElfObject, Span, read_span
from .symbols import Symbol, constant_string, read_symbols

_RODATA_LIMIT = 64 << 20
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){1,3}([a-z]+[0-9]*)?")
_LONE_VERSION = re.compile(rb"(?<=\0)[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(?=\0)")


@dataclass(frozen=True)
class Library:
    """A recognised shared library.

    Attributes:
        component: ``openmpi``, ``libfabric``, … as the table spells it.
        role: ``mpi``, ``fabric``, ``pmi``, ``gpu-runtime``, ``collectives``.
        path: in the tree, without a leading slash.
        soname: as the file states it.
        evidence: what it was recognised by.
        version: empty where the file does not hold it.
        version_evidence: where it does; None where not.
        abi: libtool version as the suffix of a file name (``12.2.2``); empty where the file does not hold it.
        pmi: PMI clients that its own code speaks.
    """

    component: str
    role: str
    path: str
    soname: str
    evidence: Evidence
    version: str = ""
    version_evidence: Evidence | None = None
    abi: str = ""
    pmi: tuple[str, ...] = ()


def recognise_library(stream: BinaryIO, elf: ElfObject, path: str) -> Library | None:
    """Return which library of the table a shared object is, or None."""
    candidates = [row for row in rows("libraries") if re.fullmatch(row["sonames"], elf.soname)]
    if not candidates:
        return None
    exported = read_symbols(stream, elf).defined()
    rodata = _rodata(stream, elf)
    for row in candidates:
        proof = _proof(row, exported, rodata)
        if proof:
            return _library(stream, elf, path, row, exported, rodata, proof)
    return None


def static_mpi(stream: BinaryIO, elf: ElfObject) -> tuple[str, int]:
    """Return which MPI is linked into an executable and where in the file that shows; ``("", 0)``: none shows."""
    rodata = _rodata(stream, elf)
    if b"MPI_COMM_WORLD\0" not in rodata:  # the MPI's own tools print its version without holding it
        return "", 0
    for row in rows("libraries"):
        for text in row["strings"] if row["role"] == "mpi" else ():
            place = rodata.find(text.encode())
            if place >= 0:
                return row["component"], elf.sections[".rodata"].offset + place
    return "", 0


def _library(
    stream: BinaryIO,
    elf: ElfObject,
    path: str,
    row: Row,
    exported: Mapping[str, Symbol],
    rodata: bytes,
    proof: str,
) -> Library:
    version, where = _version(stream, elf, path, row, exported, rodata)
    abi = ""
    for name in row["abi_symbols"]:
        abi = abi or _abi_suffix(constant_string(stream, elf, exported, name)[0])
    return Library(
        component=row["component"],
        role=row["role"],
        path=path,
        soname=elf.soname,
        evidence=Evidence(f"/{path}", elf.soname, proof),
        version=version,
        version_evidence=where,
        abi=abi,
        pmi=_pmi(elf, rodata) if row["role"] == "mpi" else (),
    )


def _proof(row: Row, exported: Collection[str], rodata: bytes) -> str:
    for marker in row["markers"]:
        if marker in exported:
            return f"exports {marker}"
    return next((f'holds "{text}"' for text in row["strings"] if text.encode() in rodata), "")


def _version(
    stream: BinaryIO, elf: ElfObject, path: str, row: Row, exported: Mapping[str, Symbol], rodata: bytes
) -> tuple[str, Evidence | None]:
    if row["version_in"] == "symbol":
        for name in row["version_symbols"]:
            text, offset = constant_string(stream, elf, exported, name)
            found = _VERSION.search(text)
            if found:
                return found.group(), Evidence(f"/{path}", f"0x{offset:x}", name)
    if row["version_in"] == "lone-string":
        hits = {hit.group(): hit.start() for hit in _LONE_VERSION.finditer(rodata)}
        if len(hits) == 1:
            ((text_bytes, place),) = hits.items()
            return text_bytes.decode(), Evidence(f"/{path}", f"0x{_rodata_span(elf).offset + place:x}", ".rodata")
    if row["version_in"] == "file-name":
        found = re.search(r"\.so\.([0-9]+\.[0-9]+(\.[0-9]+)?)$", posixpath.basename(path))
        if found:
            return found.group(1), Evidence(f"/{path}", "", "file name")
    return "", None


def _abi_suffix(libtool: str) -> str:
    """Return libtool's ``current:revision:age`` as Linux names the file: ``14:2:2`` is ``12.2.2``."""
    found = re.fullmatch(r"([0-9]{1,4}):([0-9]{1,4}):([0-9]{1,4})", libtool.strip())
    if not found:
        return ""
    current, revision, age = map(int, found.groups())
    return f"{current - age}.{age}.{revision}" if current >= age else ""


def _pmi(elf: ElfObject, rodata: bytes) -> tuple[str, ...]:
    """Return the PMI clients in an MPI library: linked (DT_NEEDED), or its own, by the words of their protocols."""
    spoken: set[str] = set()
    linked = {"libpmi.so": "pmi1", "libpmi2.so": "pmi2", "libpmix.so": "pmix"}
    for needed in elf.needed:
        spoken.update(client for stem, client in linked.items() if needed.startswith(stem))
    # PMI-1's and PMI-2's wire protocols (MPICH, src/pmi): "cmd=init pmi_version=…", "cmd=fullinit …"
    if b"cmd=init pmi_version" in rodata or (b"PMI_FD\0" in rodata and b"\0init\0" in rodata):
        spoken.add("pmi1")
    if b"fullinit\0" in rodata and b"PMI_FD\0" in rodata:
        spoken.update(("pmi1", "pmi2"))
    return tuple(sorted(spoken))


def _rodata_span(elf: ElfObject) -> Span:
    return elf.sections.get(".rodata", Span(0, 0, 0))


def _rodata(stream: BinaryIO, elf: ElfObject) -> bytes:
    return read_span(stream, _rodata_span(elf), _RODATA_LIMIT)
