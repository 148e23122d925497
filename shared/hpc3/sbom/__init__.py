"""The software bill of materials of a set of facts."""

from .cyclonedx import cyclonedx_sbom
from .spdx import spdx_sbom

__all__ = ["cyclonedx_sbom", "spdx_sbom"]
