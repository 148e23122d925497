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

from .versions import version_numbers

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
    if not version[:1].isdigit():
        return False
    numbers = version_numbers(version)
    return version_numbers(since) <= numbers and (not before or numbers < version_numbers(before))
