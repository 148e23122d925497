"""Which system a tree is: distribution, C library, kernel floor, page size, shell, modules."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from hpc3.facts import Evidence, Fact, Known, Unknown
from hpc3.observed import Package
from hpc3.vocabulary import key

from .inventory import Inventory, evidence_of
from .mpi import highest_version
from .os_release import OS_RELEASE_PATHS, POINT_RELEASE_PATHS, parse_os_release, point_release
from .tree import resolve

_PAGE_SIZES = (65536, 16384, 4096)


def observe_system(
    inventory: Inventory, packages: Mapping[str, tuple[Package, ...]], *, command_path: str
) -> dict[str, Fact[str]]:
    """Return the ``os.*``, ``system.*`` and ``userland.*`` values that the files show."""
    values = _os(inventory)
    values.update(_libc(inventory, packages))
    values.update(_kernel(inventory))
    values.update(_pages(inventory))
    values.update(_shell(inventory, command_path))
    if inventory.profiles:
        paths = sorted(inventory.profiles)
        joined = ",".join(f"/{path}" for path in paths)
        values[key("userland.profile")] = Known(joined, tuple(evidence_of(path) for path in paths[:3]))
    if inventory.module_system[0]:
        name, path = inventory.module_system
        values[key("userland.modules")] = Known(name, (evidence_of(path),))
    return values


def _os(inventory: Inventory) -> dict[str, Fact[str]]:
    path = next((resolve(p, inventory.links) for p in OS_RELEASE_PATHS if _text(inventory, p)), "")
    if not path:
        return {}
    release = parse_os_release(_text(inventory, path))
    values: dict[str, Fact[str]] = {}
    for name, field in (("os.vendor", "ID"), ("os.version", "VERSION_ID"), ("os.name", "PRETTY_NAME")):
        if release.get(field):
            values[key(name)] = Known(release[field], (evidence_of(path, "", field),))
    texts = {p: _text(inventory, p) for p in POINT_RELEASE_PATHS}
    point, where = point_release(texts, release.get("VERSION_ID", ""))
    if point:
        values[key("os.release")] = Known(point, (evidence_of(where),))
    return values


def _text(inventory: Inventory, path: str) -> str:
    return inventory.texts.get(resolve(path, inventory.links), b"").decode("utf-8", "replace")


def _libc(inventory: Inventory, packages: Mapping[str, tuple[Package, ...]]) -> dict[str, Fact[str]]:
    name_key, version_key = key("system.libc.name"), key("system.libc.version")
    found = {
        (name, version): evidence_of(path, f"0x{offset:x}", "gnu_get_libc_version")
        for path, (name, version, offset) in sorted(inventory.libc.items())
    }
    names = sorted({name for name, _ in found})
    if len(names) > 1:
        return {name_key: Unknown(f"more than one C library is in the tree: {', '.join(names)}")}
    if not found:
        return _no_libc(inventory)
    proof = next(iter(found.values()))
    values: dict[str, Fact[str]] = {name_key: Known(names[0], (Evidence(proof.document),))}
    versions = sorted({version for _, version in found if version})
    if len(versions) == 1:
        values[version_key] = Known(versions[0], (proof,))
    elif versions:
        values[version_key] = Unknown(f"several versions of {names[0]} are in the tree: {', '.join(versions)}")
    else:
        stated = packages.get(names[0], ())
        values[version_key] = (
            Known(stated[0].version, (stated[0].evidence,)) if stated else Unknown(f"{names[0]} does not state it")
        )
    return values


def _no_libc(inventory: Inventory) -> dict[str, Fact[str]]:
    if not inventory.elf:
        return {}
    if all(elf.static for elf in inventory.elf.values() if elf.kind == "executable") and not any(
        elf.needed for elf in inventory.elf.values()
    ):
        nothing = Evidence("/", f"{len(inventory.elf)} ELF files", "static, no loader")
        return {key("system.libc.name"): Known("none", (nothing,))}
    needed = highest_version(inventory, "GLIBC_", needed=True)
    reason = "the tree holds no C library"
    if needed:
        reason += f"; its files need GLIBC_{needed.value} ({needed.evidence[0]})"
    return {key("system.libc.name"): Unknown(reason), key("system.libc.version"): Unknown(reason)}


def _kernel(inventory: Inventory) -> dict[str, Fact[str]]:
    floors = {
        tuple(map(int, elf.kernel_min.split("."))): (elf.kernel_min, path)
        for path, elf in sorted(inventory.elf.items(), reverse=True)
        if elf.kernel_min
    }
    if not floors:
        return {}
    value, path = floors[max(floors)]
    offset = inventory.elf[path].sections.get(".note.ABI-tag")
    node = f"0x{offset.offset:x}" if offset else ""
    return {key("system.kernel.version.min"): Known(value, (evidence_of(path, node, "NT_GNU_ABI_TAG"),))}


def _pages(inventory: Inventory) -> dict[str, Fact[str]]:
    aligned = {
        elf.load_alignment: path
        for path, elf in sorted(inventory.elf.items(), reverse=True)
        if elf.load_alignment and elf.kind in ("executable", "library")
    }
    if not aligned:
        return {}
    least = min(aligned)
    size = next((size for size in _PAGE_SIZES if size <= least), None)
    if size is None:
        return {}
    return {key("system.page.size.max"): Known(str(size), (evidence_of(aligned[least], "", f"p_align {least}"),))}


def _shell(inventory: Inventory, command_path: str) -> dict[str, Fact[str]]:
    commands = inventory.commands(command_path)
    for shell in ("bash", "sh"):
        if f"bin/{shell}" in inventory.executables or resolve(f"bin/{shell}", inventory.links) in inventory.executables:
            return {key("userland.shell"): Known(f"/bin/{shell}", (evidence_of(f"bin/{shell}"),))}
    if commands and "sh" in commands:
        return {key("userland.shell"): Known(commands["sh"], (Evidence(commands["sh"]),))}
    if posixpath.dirname(next(iter(inventory.texts), "")).startswith("etc"):
        return {key("userland.shell"): Known("none", (Evidence("/", "", "no bash, no sh"),))}
    return {}
