"""What Spack has moved between 0.21 and 1.2, found under one name."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def tty() -> ModuleType:
    """Return the module that talks to the terminal: part of Spack since 1.0, beside it before."""
    try:
        return importlib.import_module("spack.llnl.util.tty")
    except ImportError:
        return importlib.import_module("llnl.util.tty")


def adopt_archspec() -> ModuleType:
    """Make the archspec that Spack brings importable as ``archspec``, and return it.

    Up to 0.23 it is on Spack's own path; from 1.0 on it is ``spack.vendor.archspec``. Spack has read its large table
    already, and a second copy, where one is installed, would be read again and may know other targets than the Spack
    that wrote the lock.
    """
    if "archspec" not in sys.modules:
        try:
            vendored = importlib.import_module("spack.vendor.archspec")
        except ImportError:
            return importlib.import_module("archspec")
        sys.modules["archspec"] = vendored
        sys.modules["archspec.cpu"] = importlib.import_module("spack.vendor.archspec.cpu")
    return sys.modules["archspec"]


def spack_version() -> str:
    """Return Spack's version, such as ``1.1.0``."""
    return str(importlib.import_module("spack").spack_version)


def has_entry_points() -> bool:
    """Whether this Spack asks installed Python packages for extensions: from 0.22 on."""
    return hasattr(importlib.import_module("spack.extensions"), "extension_paths_from_entry_points")
