"""The vocabulary: every annotation key, its grammar, level, place and merge rule.

``data/vocabulary_v1.json`` is the truth; nothing else in the package spells a grammar. Keys are written in code
through `key`, so that the prefix is one constant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from .tables import DATA

PREFIX = "org.supercontainers."
OCI_PREFIX = "org.opencontainers.image."
SCHEMA_VERSION = "1.0"

#: Namespaces that steer runtimes; an image that carries one is reported, and we never write one
#: (crun writes host files for ``run.oci.hooks.stdout``; Sarus turns labels ``com.hooks.*`` into hook calls; the
#: Container Device Interface adds devices for ``cdi.k8s.io/*``).
RESERVED_NAMESPACES = (
    "cdi.k8s.io/",
    "com.hooks.",
    "io.kubernetes.",
    "io.podman.",
    "org.systemd.",
    "podman_hpc.",
    "run.oci.",
)
#: Single keys that hooks of CSCS's Container Engine look for.
RESERVED_KEYS = ("ldcache.enable", "mps.enable", "pce.enable")

# Limits: GHCR, containerd and label readers cope with these; the vocabulary states the larger ones per key.
_LONG_VALUES = {
    PREFIX + "software.dependencies": 65536,
    PREFIX + "documentation.readme": 4096,
    PREFIX + "documentation.howto.run": 4096,
    PREFIX + "documentation.howto.build": 4096,
    PREFIX + "documentation.tweaks": 4096,
}
_VALUE_LIMIT = 512

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Key:
    """One annotation key.

    Attributes:
        name: the full key.
        group: ``meta``, ``oci``, ``software``, ``hardware``, ``mpi``, ``system``, ``userland``, ….
        level: ``M`` mandatory, ``C`` conditional, ``O`` optional.
        place: letters of ``A`` (annotation), ``L`` (label too), ``D`` (index descriptor too).
        grammar: regular expression; a value is well-formed when it matches in full.
        limit: most characters of a value.
        merge: what happens to a base image's value: ``inherit``, ``override``, ``max``, ``min``, ``union``, ``never``.
        meaning: one line for people.
        source: where the key comes from.
        good: well-formed examples.
        bad: ill-formed examples.
    """

    name: str
    group: str
    level: str
    place: str
    grammar: str
    limit: int
    merge: str
    meaning: str
    source: str
    good: tuple[str, ...]
    bad: tuple[str, ...]

    @property
    def is_label(self) -> bool:
        """Whether the key is also written as a label of the image config."""
        return "L" in self.place

    @property
    def is_selection(self) -> bool:
        """Whether the key is also written on index descriptors."""
        return "D" in self.place

    def fault(self, value: str) -> str:
        """Return what is wrong with ``value``, or an empty string where it is well-formed."""
        if len(value) > self.limit:
            return f"longer than {self.limit} characters"
        # "." takes control characters, and "$" stands before a final line break: no value holds either.
        if holds_control(value):
            return "holds a control character"
        if not re.fullmatch(self.grammar, value):
            return f"does not match {self.grammar}"
        return ""


def holds_control(text: str) -> bool:
    """Whether a text holds a line break, another control character, or half of a surrogate pair."""
    return _CONTROL.search(text) is not None


def key(name: str) -> str:
    """Return the full key for a name without our prefix: ``key("mpi.version")``."""
    return PREFIX + name


@cache
def vocabulary() -> Mapping[str, Key]:
    """Return every key of the vocabulary by its full name, in the order of the data file."""
    document = json.loads((DATA / "vocabulary_v1.json").read_text("utf-8"))
    return {
        row["key"]: Key(
            name=row["key"],
            group=row["group"],
            level=row["level"],
            place=row["place"],
            grammar=row["regex"],
            limit=_LONG_VALUES.get(row["key"], _VALUE_LIMIT),
            merge=row["merge"],
            meaning=row["meaning"],
            source=row["source"],
            good=tuple(row["good"]),
            bad=tuple(row["bad"]),
        )
        for row in document["keys"]
    }


def is_reserved(name: str) -> bool:
    """Whether a key lies in a namespace that steers runtimes and is never written."""
    return name.startswith(RESERVED_NAMESPACES) or name in RESERVED_KEYS
