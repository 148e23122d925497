"""One walk over a file tree: everything that evidence reads from files, before anything is concluded from it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from hpc3.facts import Evidence
from hpc3.observed import Package, Skipped

from .elf import MAGIC, ElfObject, UnreadableElf, read_elf
from .gpu_code import GpuCode, read_gpu_code
from .libraries import Library, recognise_library, static_mpi
from .os_release import OS_RELEASE_PATHS, POINT_RELEASE_PATHS
from .package_db import UNREADABLE_RPM_DATABASES, reader_for
from .symbols import constant_string, read_symbols
from .tree import Entry, Tree, resolve

#: What a process started with no PATH searches, and what os/exec of container engines sets.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

LOADER_CACHE = "etc/ld.so.cache"
_TEXTS = (*OS_RELEASE_PATHS, *POINT_RELEASE_PATHS, LOADER_CACHE)
_TEXT_LIMIT = 8 << 20
_ELF_HEADER = 52  # bytes, of the 32-bit kind
#: Sections whose places are evidence.
_EVIDENT_SECTIONS = (".dynamic", ".gnu.version_d", ".gnu.version_r", ".note.ABI-tag")
_MOST_ENTRIES = 20_000_000

#: Called with the open file, the object and the path of each ELF file.
ElfVisitor = Callable[[BinaryIO, ElfObject, str], None]


@dataclass
class Inventory:
    """What the walk found; all paths are relative to the tree.

    Attributes:
        links: path of each symbolic link to its target.
        elf: ELF files by path, their sections as far as they are evidence.
        libraries: recognised shared libraries, in the order of the walk.
        static_mpi: executables with an MPI inside: path to component and file offset.
        libc: path to the version that a C library states, and its file offset.
        gpu_code: code objects by path.
        texts: small files that are read whole.
        packages: what the databases state.
        executables: regular files with an execute bit.
        profiles: files that a login shell sources.
        module_system: ``lmod``, ``tmod``, or empty, with the file that shows it.
    """

    links: dict[str, str] = field(default_factory=dict)
    elf: dict[str, ElfObject] = field(default_factory=dict)
    libraries: list[Library] = field(default_factory=list)
    static_mpi: dict[str, tuple[str, int]] = field(default_factory=dict)
    libc: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    gpu_code: dict[str, list[GpuCode]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    packages: list[Package] = field(default_factory=list)
    executables: set[str] = field(default_factory=set)
    profiles: set[str] = field(default_factory=set)
    module_system: tuple[str, str] = ("", "")
    skipped: list[Skipped] = field(default_factory=list)
    files: int = 0
    image_bytes: int = 0

    def commands(self, path: str) -> dict[str, str]:
        """Return the executables in the folders of ``path`` (colon-separated), name to where it is found first."""
        found: dict[str, str] = {}
        names = self._names_by_folder()
        for folder in path.split(":"):
            place = resolve(folder, self.links)
            for name in names.get(place, ()):
                file = resolve(f"{place}/{name}", self.links)
                if file in self.executables:
                    found.setdefault(name, f"/{place}/{name}")
        return found

    def _names_by_folder(self) -> dict[str, list[str]]:
        folders: dict[str, list[str]] = {}
        for path in sorted((*self.executables, *self.links)):
            folder, name = posixpath.split(path)
            folders.setdefault(folder, []).append(name)
        return folders


def take_inventory(tree: Tree, visit_elf: ElfVisitor | None = None) -> Inventory:
    """Walk the tree once and return what is in it; what cannot be read is in ``skipped``, with the reason."""
    inventory = Inventory()
    for number, entry in enumerate(tree.entries()):
        if number >= _MOST_ENTRIES:
            inventory.skipped.append(Skipped("/", f"more than {_MOST_ENTRIES} names: the rest was not looked at"))
            break
        if isinstance(entry, Skipped):
            inventory.skipped.append(entry)
        elif entry.kind == "link":
            inventory.links[entry.path] = entry.target
        elif entry.kind == "file":
            _take_file(inventory, tree, entry, visit_elf)
    return inventory


def _take_file(inventory: Inventory, tree: Tree, entry: Entry, visit_elf: ElfVisitor | None) -> None:
    inventory.files += 1
    inventory.image_bytes += entry.size
    if entry.executable:
        inventory.executables.add(entry.path)
    _note_name(inventory, entry.path)
    is_metadata = _is_metadata(entry.path)
    if entry.size < _ELF_HEADER and not is_metadata:
        return
    try:
        stream = tree.open(entry, b"" if is_metadata else MAGIC)
        if stream is None:
            return
        with stream:
            _read_metadata(inventory, stream, entry.path)
            stream.seek(0)
            if stream.read(4) == MAGIC:
                _read_elf(inventory, stream, entry.path, visit_elf)
    except OSError as error:
        inventory.skipped.append(Skipped(f"/{entry.path}", f"cannot be read: {error.strerror or error}"))


def _note_name(inventory: Inventory, path: str) -> None:
    if path in ("etc/profile", "etc/bash.bashrc") or (path.startswith("etc/profile.d/") and path.endswith(".sh")):
        inventory.profiles.add(path)
    if path.endswith("/libexec/lmod"):
        inventory.module_system = ("lmod", path)
    elif path.endswith("/modulecmd.tcl") and not inventory.module_system[0]:
        inventory.module_system = ("tmod", path)


def _is_metadata(path: str) -> bool:
    return path in _TEXTS or reader_for(path) is not None


def _read_metadata(inventory: Inventory, stream: BinaryIO, path: str) -> None:
    if path in _TEXTS:
        inventory.texts[path] = stream.read(_TEXT_LIMIT)
    if path in UNREADABLE_RPM_DATABASES:
        inventory.skipped.append(Skipped(f"/{path}", "an RPM database in a format that needs librpm"))
    reader = reader_for(path)
    if reader is None:
        return
    read, limit = reader
    data = stream.read(limit + 1)
    if limit and len(data) > limit:
        inventory.skipped.append(Skipped(f"/{path}", f"package metadata larger than {limit} bytes"))
        return
    try:
        inventory.packages.extend(read(path, data))
    except (ValueError, AttributeError, RecursionError) as error:
        inventory.skipped.append(Skipped(f"/{path}", f"package metadata: {error}"))


def _read_elf(inventory: Inventory, stream: BinaryIO, path: str, visit_elf: ElfVisitor | None) -> None:
    stream.seek(0)
    try:
        elf = read_elf(stream)
    except UnreadableElf as error:
        inventory.skipped.append(Skipped(f"/{path}", str(error)))
        return
    inventory.elf[path] = _abridged(elf)
    inventory.libraries.extend(_present(recognise_library(stream, elf, path)))
    if elf.kind == "executable":
        component, offset = static_mpi(stream, elf)
        if component:
            inventory.static_mpi[path] = (component, offset)
    libc = _libc(stream, elf, path)
    if libc[0]:
        inventory.libc[path] = libc
    code, trouble = read_gpu_code(stream, elf)
    if code:
        inventory.gpu_code[path] = code
    if trouble:
        inventory.skipped.append(Skipped(f"/{path}", trouble))
    if visit_elf is not None:
        visit_elf(stream, elf, path)


def _abridged(elf: ElfObject) -> ElfObject:
    """Return an object without the places that nobody asks for after the walk: an image has ten thousands of files."""
    places = {name: elf.sections[name] for name in _EVIDENT_SECTIONS if name in elf.sections}
    return replace(elf, sections=places, variables={}, code=(), compilers=())


def _libc(stream: BinaryIO, elf: ElfObject, path: str) -> tuple[str, str, int]:
    """Return name, version and file offset of the C library that this file is; empty strings where it is none."""
    if elf.soname == "libc.so.6":
        # glibc's banner, printed when libc.so.6 is run; gnu_get_libc_version() returns the number alone
        text, offset = constant_string(stream, elf, read_symbols(stream, elf).defined(), "gnu_get_libc_version")
        return "glibc", text if text[:1].isdigit() else "", offset
    if posixpath.basename(path).startswith("ld-musl-"):
        return "musl", "", 0
    return "", "", 0


def _present(library: Library | None) -> Iterator[Library]:
    if library is not None:
        yield library


def evidence_of(path: str, node: str = "", detail: str = "") -> Evidence:
    """Return evidence in a file of the tree."""
    return Evidence(f"/{path}", node, detail)
