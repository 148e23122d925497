"""Documents that are almost right: every value of a good one replaced by every kind of wrong one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

#: One of each JSON kind, and strings that hurt where they are printed, split, joined or run.
WRONG: tuple[Any, ...] = (
    None,
    True,
    7,
    -1,
    1.5,
    "",
    "x",
    [],
    [None],
    [["x"]],
    [{"x": 1}],
    {},
    {"x": None},
    {"": {"": []}},
    "a\nb",
    "\x00",
    "\x1b[2J",
    '"; rm -rf / #$(id)`id`\\',
    "..",
    "\ud800",
    "x" * 70_000,
)

Path = tuple[Any, ...]


def paths(document: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the place of every value in a document, the document itself first."""
    yield at
    if isinstance(document, dict):
        for key, value in document.items():
            yield from paths(value, (*at, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from paths(value, (*at, index))


def mutations(document: Any) -> Iterator[tuple[Path, Any, Any]]:
    """Yield (place, wrong value, document with it there) for every place and every kind of wrong value."""
    for path in paths(document):
        for wrong in WRONG:
            yield path, wrong, replaced(document, path, wrong)


def replaced(document: Any, path: Path, value: Any) -> Any:
    """Return a copy of a document with one value replaced."""
    if not path:
        return value
    result = copy.copy(document)
    result[path[0]] = replaced(document[path[0]], path[1:], value)
    return result


def without(document: Any, path: Path) -> Any:
    """Return a copy of a document without one value."""
    result = copy.copy(document)
    if len(path) == 1:
        del result[path[0]]
    else:
        result[path[0]] = without(document[path[0]], path[1:])
    return result
