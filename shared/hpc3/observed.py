"""What the files of an image show: the common tongue of ``evidence``, which looks, and ``consume``, which compares.

Everything here was read from a file, never from an annotation; each value names the file, the offset and the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .facts import Evidence, Fact, Unknown


@dataclass(frozen=True)
class Skipped:
    """Something that was not looked at, and why; ``path`` is absolute inside the image."""

    path: str
    reason: str


@dataclass(frozen=True)
class Package:
    """A package that a database, a recipe or a folder inside the image states.

    Attributes:
        name: lower case.
        version: the upstream version where it can be told from the distribution's, else as stated.
        manager: ``dpkg``, ``rpm``, ``apk``, ``spack``, ``easybuild``, ``python``, ``pkg-config``.
        evidence: the file that states it.
    """

    name: str
    version: str
    manager: str
    evidence: Evidence


@dataclass(frozen=True)
class FeatureUse:
    """Where code uses a CPU feature: archspec's name of it, instructions counted, and functions as examples."""

    feature: str
    instructions: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class CpuUse:
    """The instruction sets that the code of an image uses, beyond its family's baseline.

    Attributes:
        family: archspec family of the code (``x86_64``).
        required: features of code that runs with no run-time check, by name.
        dispatched: features of code behind a run-time check, by name.
        unclear: features of code of which neither can be told, by name.
        files: objects disassembled.
        code_bytes: machine code decoded.
        missing: objects whose code was not, or not wholly, analysed, each with the reason.
    """

    family: str
    required: Mapping[str, FeatureUse] = field(default_factory=dict)
    dispatched: Mapping[str, FeatureUse] = field(default_factory=dict)
    unclear: Mapping[str, FeatureUse] = field(default_factory=dict)
    files: int = 0
    code_bytes: int = 0
    missing: tuple[str, ...] = ()


NOT_DISASSEMBLED = Unknown("the code was not disassembled")


@dataclass(frozen=True)
class Observed:
    """Everything that one walk over a file tree showed.

    Attributes:
        values: full annotation key to what the files show, in the grammar of the key; a key that files cannot show
            is not there.
        cpu: the instruction sets used.
        families: archspec family of every ELF machine found, to one file of it.
        packages: by lower-case name, sorted by version and manager.
        commands: name of every executable file in the folders of PATH, to its path.
        skipped: what was not looked at.
        files: regular files seen.
        image_bytes: their sizes added up.
    """

    values: Mapping[str, Fact[str]]
    cpu: CpuUse | Unknown = NOT_DISASSEMBLED
    families: Mapping[str, Evidence] = field(default_factory=dict)
    packages: Mapping[str, tuple[Package, ...]] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    files: int = 0
    image_bytes: int = 0
