"""``spack hpc3 doctor``: what of hpc3 is wired into this Spack, what is not, and how to mend it."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hpc3 import __version__
from hpc3.cli.output import write_product
from hpc3.errors import printable

from . import EXTENSION_PATH, OVERRIDE_PATH
from .compat import adopt_archspec, has_entry_points, spack_version

_GROUP = "spack.extensions"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        works: whether it is as it should be.
        what: what was seen.
        remedy: what to do; empty where it works or nothing can be done.
    """

    works: bool
    what: str
    remedy: str = ""


def print_diagnosis() -> int:
    """Print what was found, one line each; return 1 where something does not work."""
    findings = list(diagnose())
    lines = []
    for finding in findings:
        lines.append(f"{'ok     ' if finding.works else 'MISSING'} {printable(finding.what)}")
        if finding.remedy:
            lines.append(f"        mend: {printable(finding.remedy)}")
    write_product("\n".join(lines) + "\n")
    return 0 if all(finding.works for finding in findings) else 1


def diagnose() -> Iterable[Finding]:
    """Look at versions, the entry point, the literal ``spack containerize --annotate``, archspec and ``spack hpc3``."""
    yield Finding(True, f"Spack {spack_version()}, run by Python {platform.python_version()} at {sys.executable}")
    yield Finding(True, f"hpc3 {__version__} at {Path(__file__).resolve().parent}")
    yield _entry_point()
    yield _override()
    yield _archspec()
    yield _extension()


def _entry_point() -> Finding:
    if not has_entry_points():
        return Finding(
            False,
            f"Spack {spack_version()} does not ask installed packages for extensions: "
            "there is no 'spack containerize --annotate'",
            "use 'spack hpc3 containerize', which is the same, or Spack 0.22 or newer",
        )
    names = {distribution.metadata["Name"] for distribution in _distributions_with_entry_point()}
    if names:
        return Finding(True, f"the entry point of {', '.join(sorted(names))} is visible to this Python")
    return Finding(
        False,
        "hpc3 is not installed into the Python that runs Spack: there is no 'spack containerize --annotate'",
        f"{sys.executable} -m pip install hpc3; or set SPACK_PYTHON to the Python of a virtual environment that has it",
    )


def _distributions_with_entry_point() -> Iterable[importlib.metadata.Distribution]:
    for distribution in importlib.metadata.distributions():
        for entry_point in distribution.entry_points:
            if entry_point.group == _GROUP and entry_point.value.partition(":")[0] == __package__:
                yield distribution


def _override() -> Finding:
    module = importlib.import_module("spack.cmd").get_module("containerize")
    path = Path(str(module.__file__)).resolve()
    if path.parent == OVERRIDE_PATH:
        return Finding(True, "spack containerize --annotate is active")
    remedy = "see the entry point above; 'spack --debug hpc3 doctor' says why it was not used"
    return Finding(False, f"spack containerize is that of {path.parent}", remedy if has_entry_points() else "")


def _archspec() -> Finding:
    archspec = adopt_archspec()
    count = len(importlib.import_module("archspec.cpu").TARGETS)
    version = getattr(archspec, "__version__", "of an unknown version")
    return Finding(True, f"archspec {version} with {count} targets at {Path(str(archspec.__file__)).parent}")


def _extension() -> Finding:
    paths = importlib.import_module("spack.extensions").get_extension_paths()
    ours = [path for path in paths if Path(path).name == EXTENSION_PATH.name]
    if len(ours) == 1:
        return Finding(True, f"spack hpc3 comes from {ours[0]}")
    return Finding(False, f"spack hpc3 comes from {len(ours)} places: {', '.join(ours)}",
                   "leave one of them under config:extensions")  # fmt: skip
