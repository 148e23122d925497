"""From a file tree to what it shows: walk once, then conclude."""

from __future__ import annotations

from hpc3.facts import Evidence, Unknown
from hpc3.observed import NOT_DISASSEMBLED, CpuUse, Observed, Package, Skipped

from .disassembly import Disassembly
from .gpu import observe_gpu
from .inventory import DEFAULT_PATH, Inventory, evidence_of, take_inventory
from .mpi import observe_mpi
from .system import observe_system
from .tree import Tree


def observe_tree(tree: Tree, *, command_path: str = "", disassembly: Disassembly | None = None) -> Observed:
    """Return everything that the files of a tree show.

    Args:
        tree: walked once.
        command_path: PATH of the image's configuration, colon-separated; empty: the one that engines set.
        disassembly: takes the code of each ELF file; None leaves the instruction sets unknown.
    """
    if disassembly is None:
        return conclude(take_inventory(tree), NOT_DISASSEMBLED, (), command_path=command_path)
    inventory = take_inventory(tree, disassembly.visit)
    cpu, skipped = disassembly.result()
    return conclude(inventory, cpu, skipped, command_path=command_path)


def conclude(
    inventory: Inventory, cpu: CpuUse | Unknown, skipped: tuple[Skipped, ...], *, command_path: str = ""
) -> Observed:
    """Return what an inventory shows."""
    path = command_path or DEFAULT_PATH
    packages = _by_name(inventory)
    values = observe_system(inventory, packages, command_path=path)
    values.update(observe_mpi(inventory, packages))
    values.update(observe_gpu(inventory, packages))
    return Observed(
        values=dict(sorted(values.items())),
        cpu=cpu,
        families=_families(inventory),
        packages=packages,
        commands=inventory.commands(path),
        skipped=(*inventory.skipped, *skipped),
        files=inventory.files,
        image_bytes=inventory.image_bytes,
    )


def _by_name(inventory: Inventory) -> dict[str, tuple[Package, ...]]:
    found: dict[str, list[Package]] = {}
    for package in inventory.packages:
        found.setdefault(package.name, []).append(package)
    return {name: tuple(sorted(each, key=lambda p: (p.version, p.manager))) for name, each in sorted(found.items())}


def _families(inventory: Inventory) -> dict[str, Evidence]:
    found: dict[str, Evidence] = {}
    for path, elf in sorted(inventory.elf.items()):
        if elf.kind in ("executable", "library"):
            found.setdefault(elf.family, evidence_of(path, "0x12", "e_machine"))
    return dict(sorted(found.items()))
