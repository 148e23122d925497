"""Shared libraries of the host that may be put into a container: where they lie and what they need."""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from hpc3.fingerprint import HostLibrary
from hpc3.versions import version_numbers

#: Where sites keep communication libraries: distributions, Cray PE, Intel oneAPI, OpenHPC, hand-made prefixes.
FOLDERS = (
    "usr/lib64",
    "usr/lib",
    "usr/lib/*-linux-gnu",
    "usr/lib/*-linux-gnu/*mpi*/lib",
    "usr/lib64/*mpi*/lib",
    "usr/lib64/mpich*/lib",
    "usr/local/lib",
    "usr/local/lib64",
    "opt/*mpi*/lib",
    "opt/*mpi*/*/lib",
    "opt/mpich*/lib",
    "opt/cray/pe/lib64",
    "opt/cray/pe/mpich/*/ofi/*/*/lib-abi-mpich",
    "opt/cray/libfabric/*/lib64",
    "opt/amazon/*/lib*",
    "opt/intel/oneapi/mpi/*/lib",
    "opt/intel/oneapi/mpi/*/lib/release",
    "opt/mellanox/*/lib",
    "opt/ohpc/pub/mpi/*/lib",
    "opt/ohpc/pub/mpi/*/*/lib",
    "opt/slurm/lib",
)
_WANTED = {"libfabric.so.1": "libfabric", "libucp.so.0": "ucx", "libpmix.so.2": "pmix", "libpmi2.so.0": "pmi2"}
_NAMED_VERSION = re.compile(rb"(GLIBC|FABRIC)_([0-9]+\.[0-9]+(?:\.[0-9]+)?)(?=\0)")
_ELF_HEADER, _SECTION_HEADER = 64, 64
_VERSION_SECTIONS = (0x6FFFFFFD, 0x6FFFFFFE)  # SHT_GNU_verdef, SHT_GNU_verneed
_MOST_NAMES = 16 * 2**20
_MOST_BYTES = 128 * 2**20


def read_libraries(root: Path) -> tuple[HostLibrary, ...]:
    """Return the communication libraries of the host, in the loader's order of folders, each real file once."""
    found: dict[Path, HostLibrary] = {}
    for soname, name in _WANTED.items():
        for path in files_named(root, soname):
            versions = symbol_versions(path)
            library = HostLibrary(
                name, soname, anonymous(path, root), abi=versions.get("FABRIC", ""), glibc=versions.get("GLIBC", "")
            )
            found.setdefault(path.resolve(), library)
    return tuple(found.values())


def files_named(root: Path, name: str) -> Iterator[Path]:
    """Yield the files called ``name`` in the folders above and in ``LD_LIBRARY_PATH`` (of the running machine)."""
    asked = os.environ.get("LD_LIBRARY_PATH", "").split(":") if root == Path("/") else []
    folders = [*(Path(folder) for folder in asked if folder), *_folders(root)]
    yield from (folder / name for folder in folders if (folder / name).is_file())


@cache
def _folders(root: Path) -> tuple[Path, ...]:
    return tuple(folder for pattern in FOLDERS for folder in sorted(root.glob(pattern)))


def symbol_versions(path: Path) -> dict[str, str]:
    """Return the highest ``GLIBC_x.y`` and ``FABRIC_x.y`` that a library names; none for what is not 64-bit ELF.

    Only the string table that the version sections link to is searched: nothing is loaded, and no ELF reader is
    imported for a handful of strings.
    """
    highest: dict[str, str] = {}
    if not path.stat().st_size:  # nothing to map
        return highest
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for kind, version in _NAMED_VERSION.findall(_version_names(data)):
            name, number = kind.decode("ascii"), version.decode("ascii")
            if version_numbers(number) > version_numbers(highest.get(name, "")):
                highest[name] = number
    return highest


def holds(path: Path, text: bytes) -> bool:
    """Whether a file holds the bytes ``text``."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(text, 0, _MOST_BYTES) >= 0


def _version_names(data: mmap.mmap) -> bytes:
    """Return the string table of an ELF file's version sections (System V ABI; LSB, "Symbol Versioning")."""
    order = {b"\1": "<", b"\2": ">"}.get(data[5:6])
    if data[:5] != b"\x7fELF\2" or order is None or len(data) < _ELF_HEADER:
        return b""
    (first,) = struct.unpack_from(order + "Q", data, 40)
    size, count = struct.unpack_from(order + "HH", data, 58)
    if size != _SECTION_HEADER or first + size * count > len(data):
        return b""
    sections = [struct.unpack_from(order + "IIQQQQI", data, first + size * index) for index in range(count)]
    tables = {section[6] for section in sections if section[1] in _VERSION_SECTIONS and section[6] < count}
    places = [sections[table][4:6] for table in sorted(tables)]
    return b"".join(data[start : start + min(length, _MOST_NAMES)] for start, length in places)


def anonymous(path: Path, root: Path) -> str:
    """Return a path as the host sees it, with the user's home as ``~``."""
    shown = "/" + str(path.relative_to(root)) if root != Path("/") else str(path)
    home = str(Path.home())
    return "~" + shown[len(home) :] if home != "/" and shown.startswith(home + "/") else shown
