"""What every reader returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpc3.facts import Facts
from hpc3.request import EasyBuildRequest, HpccmRequest, SpackRequest

from .spack_metadata import SpackMetadata


@dataclass(frozen=True)
class Source:
    """Facts, and what is needed to make an image from them.

    Attributes:
        facts: what the source states.
        request: what the person asks of the image; None where the source cannot become an image.
        metadata: what a running Spack knows besides; None where it was not asked.
        files: documents that the recipe carries along, bytes by name (``spack.lock``).
    """

    facts: Facts
    request: SpackRequest | EasyBuildRequest | HpccmRequest | None = None
    metadata: SpackMetadata | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class RecipeArguments:
    """What HPCCM's own command line says beside the recipe.

    Attributes:
        cpu_target: archspec's name of the processor to optimize for (``--cpu-target``); empty: the recipe decides.
        userarg: what the recipe finds in ``USERARG`` (``--userarg``), value by name.
    """

    cpu_target: str = ""
    userarg: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        named = [f"--userarg {name}={value}" for name, value in sorted(self.userarg.items())]
        return " ".join([*([f"--cpu-target {self.cpu_target}"] if self.cpu_target else []), *named])
