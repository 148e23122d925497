"""Releases of HPCCM: kept in the user's cache, each in a virtual environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import peers

RECIPE = peers.REPOSITORY / "recipes" / "gromacs-hpccm" / "recipe.py"


def hpccm_python(version: str) -> Path:
    """Return the Python that has a release, made once, or skip the test with the reason."""
    home = peers.cache_folder() / f"hpccm-{version}-{sys.version_info[0]}.{sys.version_info[1]}"
    if not home.exists():
        partial = home.with_name(f".{home.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        install = [str(partial / "bin" / "python"), "-m", "pip", "install", "--quiet", f"hpccm=={version}"]
        for command in ([sys.executable, "-m", "venv", str(partial)], install):
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                shutil.rmtree(partial, ignore_errors=True)
                pytest.skip(f"HPCCM {version} cannot be installed: {result.stderr.strip().splitlines()[-1:]}")
        partial.rename(home)
    peers.ran(f"HPCCM {version}")
    return home / "bin" / "python"
