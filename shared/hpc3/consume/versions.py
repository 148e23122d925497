"""When two versions, each told as far as its author cared to, say the same."""

from __future__ import annotations

import re


def same_version(left: str, right: str) -> bool:
    """Whether two versions agree as far as both say: ``4.1`` and ``4.1.6`` do, ``2.3.0`` and ``2.3.0+cu121``, too."""
    return all(a == b for a, b in zip(version_parts(left), version_parts(right)))


def version_parts(version: str) -> list[str]:
    """Return the parts of a version; a ``v`` before its first number is no part of it."""
    return re.split(r"[._+~-]", re.sub(r"^v(?=[0-9])", "", version))


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for asking which is newer."""
    match = re.match(r"[0-9]{1,9}(?:\.[0-9]{1,9}(?![0-9]))*", version)
    return tuple(map(int, match.group().split("."))) if match else ()
