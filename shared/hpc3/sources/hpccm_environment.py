"""What a recipe's Dockerfile leaves in the image's environment, and as which user it leaves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from hpc3.request import EnvironmentChange

from .hpccm_blocks import base_image_rows

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Left:
    """What the last stage leaves.

    Attributes:
        environment: its changes, those of the base image first.
        user: as whom containers would run; empty: the recipe does not say.
        unclear: variables whose value refers to others: it is in the image's environment, but in no change.
    """

    environment: tuple[EnvironmentChange, ...] = ()
    user: str = ""
    unclear: tuple[str, ...] = ()


def left_by(dockerfile: str) -> Left:
    """Return what the last stage of a Dockerfile leaves; a stage from another stage begins with what that one left."""
    stages: dict[str, Left] = {}
    name, left = "", Left()
    for keyword, rest in _instructions(dockerfile):
        if keyword == "FROM":
            stages[name] = left
            image, *named = rest.split()
            name = named[1] if len(named) == 2 else ""
            left = stages.get(image) or Left(tuple(_of_base_image(image)))
        elif keyword == "USER":
            left = Left(left.environment, rest, left.unclear)
        elif keyword == "ENV":
            left = _with_variables(left, rest)
    return left


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    lines = (line for line in dockerfile.split("\n") if not line.lstrip().startswith("#"))
    for line in lines:
        logical = line.strip()
        while logical.endswith("\\"):
            logical = logical[:-1] + next(lines, "").strip()
        keyword, _, rest = logical.partition(" ")
        yield keyword.upper(), rest.strip()


def _of_base_image(image: str) -> Iterator[EnvironmentChange]:
    for row, _ in base_image_rows(image):
        for name, value in row["paths"].items():
            yield EnvironmentChange("prepend", name, value)


def _with_variables(left: Left, rest: str) -> Left:
    changes, unclear = list(left.environment), list(left.unclear)
    for name, value in _variables(rest):
        own = rf"\$(?:{name}|\{{{name}\}})"
        before = re.fullmatch(rf"([^$]+):{own}", value)
        after = re.fullmatch(rf"{own}:([^$]+)", value)
        if before:
            changes.append(EnvironmentChange("prepend", name, before.group(1)))
        elif after and (name, "set") not in {(change.name, change.action) for change in changes}:
            # Behind the rest of ours: a profile script does not go behind what a login shell has already.
            changes.insert(0, EnvironmentChange("prepend", name, after.group(1)))
        elif "$" not in value:
            changes.append(EnvironmentChange("set", name, value))
        else:
            unclear.append(name)
    return Left(tuple(changes), left.user, tuple(unclear))


def _variables(rest: str) -> Iterator[tuple[str, str]]:
    try:
        words = shlex.split(rest)
    except ValueError:
        words = rest.split()
    if words and "=" not in words[0]:  # the old form: NAME the rest of the line
        words = ["=".join(rest.split(None, 1))]
    for word in words:
        name, equals, value = word.partition("=")
        if equals and _VARIABLE.fullmatch(name):
            yield name, value
