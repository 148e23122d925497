"""What ``validate`` and ``verify`` say of an image in an engine's storage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.engines import Engines


@dataclass(frozen=True)
class Judged:
    """What was found wrong with an image.

    Attributes:
        code: exit code.
        findings: code of each finding to its level.
    """

    code: int
    findings: dict[str, str]

    def codes(self, *levels: str) -> set[str]:
        """The codes of the findings of these levels."""
        return {code for code, level in self.findings.items() if level in levels}


def layout_of(engines: Engines, image: str, folder: Path) -> str:
    """Copy an image into an OCI layout and return its reference."""
    reference = f"oci:{folder / 'layout'}:{image.rpartition('/')[2]}"
    engines.buildah("push", image, reference)
    return reference


def validated(engines: Engines, reference: str, run: str = "") -> Judged:
    """Judge an image; ``run`` is the name of the local image that is also started, by buildah."""
    options = ["--engine", " ".join(["buildah", *engines.options]), "--run", run] if run else []
    done = _hpc3("validate", reference, "--format", "json", *options)
    return Judged(done.returncode, {each["code"]: each["level"] for each in json.loads(done.stdout)["findings"]})


def verified(reference: str) -> tuple[int, dict[str, Any]]:
    """Hold the annotations of an image against its files; return exit code and document."""
    done = _hpc3("verify", reference, "--format", "json", "--quiet")
    return done.returncode, json.loads(done.stdout)


def verdicts_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the verdicts in what ``hpc3 verify`` prints as JSON, by key without our prefix."""
    return {each["key"].replace("org.supercontainers.", ""): each["verdict"] for each in document["comparisons"]}


def _hpc3(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpc3.cli", *arguments]
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode in (0, 1), done.stderr
    return done
