"""Which system a tree is: ``os-release``, and the point release that some systems keep elsewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

#: Where os-release lies, the first that is there wins: os-release(5).
OS_RELEASE_PATHS = ("etc/os-release", "usr/lib/os-release")

#: Files that hold a point release beside os-release: Debian's and the Red Hat family's.
POINT_RELEASE_PATHS = ("etc/debian_version", "etc/redhat-release")


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments of an ``os-release`` file; a line that is none is left out, as os-release(5) asks."""
    values = {}
    for line in text.splitlines():
        name, assigned, value = line.strip().partition("=")
        if not assigned or not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            continue
        try:
            words = shlex.split(value, posix=True)
        except ValueError:  # an unclosed quote
            continue
        values[name] = "".join(words[:1])
    return values


def point_release(texts: Mapping[str, str], version: str) -> tuple[str, str]:
    """Return the full point release and the file that states it; two empty strings where none does.

    Args:
        texts: contents of `POINT_RELEASE_PATHS` that are there, by path.
        version: VERSION_ID of os-release; a point release that does not begin with it belongs to something else.
    """
    for path in POINT_RELEASE_PATHS:
        found = re.search(r"[0-9]+(\.[0-9]+)+", texts.get(path, "")[:256])
        if found and version and (found.group() + ".").startswith(version.split(".")[0] + "."):
            return found.group(), path
    return "", ""
