"""Every command of ``docs/hpccm.md`` works, in its order, and shows what the page says of it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.loopback import blocks

pytestmark = pytest.mark.hpccm

#: What each block must print, in the order of the page.
SHOWN = (
    ('"org.supercontainers.hardware.cpu.optimized.version": "zen3"', '"org.supercontainers.ucx.version": "1.17.0"'),
    ("0 errors, 0 warnings, 0 notes", "accepted"),
    (),
    ("the recipe sets no CPU target",),
)


def test_the_page_works(tmp_path: Path) -> None:
    if importlib.util.find_spec("hpccm") is None:
        pytest.skip("HPCCM is not installed")
    commands = blocks("hpccm.md")
    assert len(commands) == len(SHOWN)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block, shown in zip(commands, SHOWN):
        # It is there already, in the release that the tests are for.
        command = block.replace("pip install --quiet hpccm\n", "")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{block}\n{printed}"
        assert [text for text in shown if text not in printed] == [], f"{block}\n{printed}"
    assert (tmp_path / "gromacs.def").read_text("utf-8").count("BootStrap: docker") == 2
