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
