"""What every reader returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpc3.facts import Facts
from hpc3.request import EasyBuildRequest, SpackRequest

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
    request: SpackRequest | EasyBuildRequest | None = None
    metadata: SpackMetadata | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
