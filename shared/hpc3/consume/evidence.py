"""The evidence of judgements: what an image and a host say, as both sides of a statement."""

from __future__ import annotations

from hpc3.vocabulary import key

from .image import Image
from .verdict import Side


def image_sides(image: Image, *names: str) -> tuple[Side, ...]:
    """Return what an image states under each of ``names`` (without our prefix); silence is evidence too."""
    sides = []
    for name in names:
        statement = image.statements.get(key(name))
        sides.append(Side(key(name), statement.value, statement.place) if statement else Side(key(name), ""))
    return tuple(sides)


def find_remedy(image: Image) -> str:
    """Return the command that looks for a better image of the same software; empty where its name is not stated."""
    name = image.value("software.name")
    return f"hpc3 find {name}" if name else ""


def environment_side(image: Image, name: str) -> Side:
    """Return what the image's environment says."""
    return Side(f"env {name}", image.environment.get(name, ""), "config")


def host_side(attribute: str, value: object) -> Side:
    """Return what a host says; an iterable is joined by blanks."""
    if isinstance(value, (tuple, list, set, frozenset)):
        return Side(attribute, " ".join(sorted(str(entry) for entry in value)))
    return Side(attribute, "" if value is None else str(value))
