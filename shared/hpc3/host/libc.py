"""The C library, asked through the library that this process itself runs on."""

from __future__ import annotations

import os
from pathlib import Path

from hpc3.errors import HostError
from hpc3.fingerprint import HostLibc


def read_libc(root: Path) -> HostLibc:
    """Return the host's C library.

    Raises:
        HostError: neither glibc nor musl.
    """
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):  # musl has no such name
        name = version = ""
    if name == "glibc":
        return HostLibc(name, version)
    if any((root / "lib").glob("ld-musl-*.so.1")):
        return HostLibc("musl", "")
    raise HostError("the C library is neither glibc nor musl")
