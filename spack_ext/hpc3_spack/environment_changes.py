"""Spack's list of environment modifications, folded into one change per variable, with paths of the image.

A list of modifications is played on an empty environment: what comes out is what the software adds to whatever the
base image sets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from hpc3.request import EnvironmentChange

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_LINE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,8192}")

#: Left out on purpose. man finds the pages beside a folder of PATH, and a MANPATH would hide the system's own.
_NOT_FOR_IMAGES = re.compile(r"MANPATH|SPACK_.*")


@dataclass(frozen=True)
class _Variable:
    """What has been done to a variable: replaced or only added to, and the entries so far."""

    is_set: bool = False
    entries: tuple[str, ...] = ()
    separator: str = ":"


def changes_from_modifications(
    modifications: Iterable[Any], image_path: Callable[[str], str]
) -> tuple[EnvironmentChange, ...]:
    """Return one change per variable, sorted by name.

    Args:
        modifications: modifiers of Spack's ``spack.util.environment``, in the order in which they are applied.
        image_path: gives the image's path for a text with paths of this host; empty where it has none.

    What is appended stands last among the software's own entries, but before what the base image has: an image's
    ``ENV`` can only be written so that it says both.
    """
    variables: dict[str, _Variable] = {}
    for modification in modifications:
        name = modification.name
        value = image_path(str(getattr(modification, "value", "")))
        variables[name] = _after(variables.get(name, _Variable()), modification, value)
    changes = []
    for name, variable in sorted(variables.items()):
        value = variable.separator.join(dict.fromkeys(entry for entry in variable.entries if entry))
        if _VARIABLE.fullmatch(name) and _LINE.fullmatch(value) and not _NOT_FOR_IMAGES.fullmatch(name):
            changes.append(EnvironmentChange("set" if variable.is_set else "prepend", name, value, variable.separator))
    return tuple(changes)


def _after(variable: _Variable, modification: Any, value: str) -> _Variable:
    """Return a variable after one modification; what only tidies lists has nothing to do here."""
    kind = type(modification).__name__
    separator = getattr(modification, "separator", ":")
    if kind == "UnsetEnv":
        return _Variable()
    if kind in ("SetEnv", "SetPath"):
        return _Variable(True, (value,), separator)
    if kind == "AppendFlagsEnv":  # not a list in which each entry counts once: "-isystem A -isystem B"
        return _Variable(True, (separator.join((*variable.entries, value)),), separator)
    if kind not in ("PrependPath", "AppendPath", "RemovePath", "RemoveFirstPath", "RemoveLastPath"):
        return variable
    if kind.endswith("Path"):
        value = os.path.normpath(value)  # as Spack does
    present = tuple(part for entry in variable.entries for part in entry.split(separator))
    if kind.startswith("Remove"):
        return replace(variable, entries=tuple(entry for entry in present if entry != value), separator=separator)
    entries = (value, *present) if kind == "PrependPath" else (*present, value)
    return _Variable(variable.is_set, entries, separator)
