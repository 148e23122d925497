"""SPDX 2.3 in JSON (ISO/IEC 5962; https://spdx.github.io/spdx-spec/v2.3/)."""

from __future__ import annotations


def spdx_sbom(facts: object) -> str:
    """Placeholder."""
    raise NotImplementedError
