"""A base image that nobody here compiled: its code is what Debian says of its architecture."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from hpc3.vocabulary import key
from images.judging import verdicts_of

pytestmark = pytest.mark.images


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the base is of this machine's architecture")
def test_all_of_debian_agrees_with_the_generic_target(debian_rootfs: Path, tmp_path: Path) -> None:
    """Debian's amd64 needs x86-64 and no more (https://wiki.debian.org/ArchitectureSpecificsMemo, amd64)."""
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", str(root), "--exclude=./dev/*", "-xf", str(debian_rootfs)], check=True)
    stated = tmp_path / "stated.json"
    stated.write_text(json.dumps({key("hardware.cpu.optimized.version"): "x86_64", key("os.vendor"): "debian"}))
    command = [sys.executable, "-m", "hpc3.cli", "verify", str(root), "--from", str(stated), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    verdicts = verdicts_of(json.loads(done.stdout))
    assert verdicts == {"hardware.cpu.optimized.version": "agrees", "os.vendor": "agrees"}
