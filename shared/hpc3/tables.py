"""The data tables: what the project knows of packages, drivers and systems, each row with its source.

A table is a JSON file in ``data/``: ``{"about": "…", "rows": [{…, "source": "…"}]}``. Its schema lies beside it as
``<name>.schema.json``; the tests hold every table against its schema, so that reading it here needs no checks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

Row = Mapping[str, Any]


@cache
def rows(table: str) -> tuple[Row, ...]:
    """Return the rows of ``data/<table>.json`` in the file's order; they are shared: do not change them."""
    document = json.loads((DATA / f"{table}.json").read_text("utf-8"))
    return tuple(document["rows"])


#: Versions that Spack orders above every number (spack.version.common.infinity_versions).
_NEWEST = frozenset(("develop", "main", "master", "head", "trunk", "stable"))


def holds_for(row: Row, version: str) -> bool:
    """Whether ``version`` lies in a row's half-open range ``since`` … ``before``; an empty bound is open.

    A version that is neither a number nor one of Spack's names for the newest is in a range only if it is unbounded.
    """
    since, before = row.get("since", ""), row.get("before", "")
    if not since and not before:
        return True
    if version in _NEWEST:
        return not before
    key = version_key(version)
    if key is None:
        return False
    lowest, highest = version_key(since) or (), version_key(before)
    return lowest <= key and (highest is None or key < highest)


def version_key(version: str) -> tuple[int, ...] | None:
    """Return the leading numbers of a version for comparison (``5.0.8rc1``: 5, 0, 8); None where there are none."""
    numbers: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits[:18]))
        if digits != part:
            break
    return tuple(numbers) or None
