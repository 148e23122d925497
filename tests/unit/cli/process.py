"""The command line as a person has it: a process with two streams and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HPC3 = [sys.executable, "-m", "hpc3.cli"]


def hpc3(
    *arguments: str | Path,
    env: dict[str, str] | None = None,
    prepare: Callable[[], Any] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``hpc3``."""
    return subprocess.run(
        [*HPC3, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        preexec_fn=prepare,
        cwd=cwd,
    )


def complaint(result: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the one line of an error; nothing else was printed."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("hpc3: error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr[:-1].isprintable()
    return result.stderr
