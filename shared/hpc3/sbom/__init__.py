"""The software bill of materials of a set of facts: CycloneDX and SPDX."""
