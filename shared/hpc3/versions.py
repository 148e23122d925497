"""Order of version numbers as vendors print them: ``535.104.05``, ``2.36``, ``6.1.0-13-amd64``, ``5.0.8rc1``."""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*")


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the leading dotted numbers of ``text``, without trailing zeros; ``()`` where it starts with none.

    ``"535.104.05-1"`` gives ``(535, 104, 5)``; ``"12.0"`` and ``"12"`` are equal.
    """
    match = _NUMBERS.match(text)
    numbers = [int(part) for part in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def is_at_least(version: str, least: str) -> bool:
    """Whether ``version`` is ``least`` or newer, by their dotted numbers."""
    return version_numbers(version) >= version_numbers(least)


def same_version(left: str, right: str) -> bool:
    """Whether two versions agree as far as both say: ``4.1`` and ``4.1.6`` do, ``2.3.0`` and ``2.3.0+cu121``, too."""
    return all(a == b for a, b in zip(_parts(left), _parts(right)))


def _parts(version: str) -> list[str]:
    """Return the parts of a version; a ``v`` before its first number is no part of it."""
    return re.split(r"[._+~-]", re.sub(r"^v(?=[0-9])", "", version))
