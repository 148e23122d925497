"""CPU targets in archspec's order: which target does every component run on, and what does it need.

Inside Spack the plug-in makes Spack's own copy of archspec importable under that name, so that no second one is
needed there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # archspec reads a large JSON file at import: only those who ask for a target pay for it
    from archspec.cpu import Microarchitecture


def known_targets() -> Mapping[str, Microarchitecture]:
    """Return every microarchitecture that archspec knows, by name."""
    import archspec.cpu

    targets: Mapping[str, Microarchitecture] = archspec.cpu.TARGETS
    return targets


def least_common_target(names: Iterable[str]) -> tuple[str, ...]:
    """Return the least targets that code for every one of ``names`` runs on.

    One name: that is the join. None: no processor that archspec knows runs them all. Several: archspec has no
    least one among them. Sorted.

    Raises:
        KeyError: a name that archspec does not know.
    """
    targets = known_targets()
    wanted = [targets[name] for name in sorted(set(names))]
    if len(wanted) == 1:
        return (wanted[0].name,)
    above: list[Microarchitecture] = [
        candidate for candidate in targets.values() if all(candidate >= target for target in wanted)
    ]
    return tuple(sorted(c.name for c in above if not any(other < c for other in above)))


def is_generic(name: str) -> bool:
    """Whether archspec calls the target generic: a baseline of a family, not a processor."""
    return bool(known_targets()[name].vendor == "generic")


def family(name: str) -> str:
    """Return archspec's family of a target, such as ``x86_64`` or ``aarch64``."""
    return str(known_targets()[name].family.name)


def features(name: str) -> tuple[str, ...]:
    """Return the CPU features that archspec lists for a target, sorted."""
    return tuple(sorted(known_targets()[name].features))
