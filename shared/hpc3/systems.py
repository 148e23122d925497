"""Which operating system an image is, as far as its name tells."""

from __future__ import annotations

import re

from .tables import Row, rows


def system_of_image(reference: str) -> Row | None:
    """Return the system that an image's name tells: by the table, or by a tag such as ``…-ubuntu22.04``.

    A tag may spell the system as Spack does (``rocky9``) or as its own image is called (``rockylinux9``).
    """
    plain = plain_image_name(reference)
    for row in rows("operating_systems"):
        if plain in {plain_image_name(name) for name in (row["image"], *row["images"])}:
            return row
    # What follows the last slash: before it a colon stands before a port.
    tag = plain.rpartition("/")[2].partition(":")[2]
    for row in rows("operating_systems"):
        images = (name.rpartition("/")[2].replace(":", "") for name in row["images"])
        if any(_is_in_tag(name, tag) for name in (row["os"], *images)):
            return row
    return None


def _is_in_tag(name: str, tag: str) -> bool:
    return re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![0-9.])", tag) is not None


def plain_image_name(reference: str) -> str:
    """Return a reference without digest and without what Docker Hub's short names leave out."""
    name = reference.partition("@")[0]
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        name = name[len(prefix) :] if name.startswith(prefix) else name
    return name
