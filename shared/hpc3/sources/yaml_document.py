"""YAML from strangers: plain types only, and bounded also where aliases would multiply it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpc3.errors import InputError

#: Values of a document with its aliases expanded. An alias costs nothing to read, but all that it stands for when a
#: mapping is merged (``<<``), printed or walked: nine lines can stand for a billion values.
_VALUES = 200_000

#: Levels of nesting. Older builds of PyYAML's C reader have no limit of their own and crash with the process.
_DEPTH = 100

#: Python converts no longer number in sensible time.
_DIGITS = 4300
_NUMBERS = frozenset(("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"))


def load_yaml(data: bytes, name: str) -> object:
    """Return a parsed YAML document; only plain types are made.

    Args:
        data: the file's bytes, whose number the caller bounds.
        name: the file's name, for errors.

    Raises:
        InputError: it is not YAML, nested too deeply, or larger than it looks.
    """
    import yaml  # here, not above: inside Spack its own reader is used, and PyYAML may not be there

    try:
        # The C reader is ten times as fast, and as safe, where PyYAML was built with it.
        reader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        _check_depth(yaml.parse(data, Loader=reader), name)
        loader = reader(data)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check(node, name)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"is not YAML: {place}{getattr(error, 'problem', None) or error}", where=name) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # PyYAML's constructors trust that a value is what its tag or its look says: 2024-99-99, !!bool x.
        raise InputError("is not YAML: a value is not what its tag or its form says", where=name) from error


def _check_depth(events: Iterable[Any], name: str) -> None:
    """Raise where a document is nested too deeply; its events come one by one, without recursion."""
    import yaml

    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise InputError(f"is nested too deeply: over {_DEPTH} levels", where=name)


def _check(node: Any, name: str) -> None:
    if _count(node, {}, name) > _VALUES:
        raise InputError(f"has over {_VALUES:,} values when its aliases are expanded: too many", where=name)


def _count(node: Any, known: dict[int, int], name: str) -> int:
    """Return how many values a node stands for; ``known`` holds those of nodes seen, 0 for one that is not done."""
    found = known.get(id(node))
    if found is not None:
        if found == 0:
            raise _error(node, "an alias stands for what contains itself", name)
        return found
    known[id(node)] = 0
    total = 1
    if isinstance(node.value, str):
        if node.tag in _NUMBERS and len(node.value) > _DIGITS:
            raise _error(node, "a number is too long", name)
    else:
        for item in node.value:
            # A sequence holds nodes, a mapping pairs of them.
            total += sum(_count(part, known, name) for part in (item if isinstance(item, tuple) else (item,)))
    known[id(node)] = total
    return total


def _error(node: Any, what: str, name: str) -> InputError:
    return InputError(f"is not YAML: line {node.start_mark.line + 1}: {what}", where=name)
