"""What every benchmark shares: whole processes, timed against a peer in the same run, and printed as ratios."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One measured command.

    Attributes:
        seconds: least wall-clock time of all repetitions.
        memory: largest resident set in bytes.
        processor: least processor time of all repetitions, in seconds.
    """

    seconds: float
    memory: int
    processor: float = 0.0


@dataclass(frozen=True)
class Row:
    """One line of a result: what was measured, the figure, and the goal that it is held against (0: none)."""

    what: str
    figure: float
    unit: str
    goal: float = 0.0


def measure(command: Sequence[str], repeat: int = 9) -> Sample:
    """Run a command several times and return its least time: noise only ever adds."""
    best, processor, memory = float("inf"), float("inf"), 0
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(repeat):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {said.decode(errors='replace')[-500:]}")
        best, memory = min(best, seconds), max(memory, usage.ru_maxrss * 1024)
        processor = min(processor, usage.ru_utime + usage.ru_stime)
    return Sample(best, memory, processor)


def print_rows(title: str, rows: Sequence[Row]) -> None:
    """Print a table: figure, goal and whether it is met."""
    print(f"\n{title}")
    for row in rows:
        goal = f"  goal <= {row.goal:g} {row.unit}".rstrip() if row.goal else ""
        missed = "  MISSED" if row.goal and row.figure > row.goal else ""
        print(f"  {row.what:62} {row.figure:8.3f} {row.unit:8}{goal}{missed}")


def hpc3(*arguments: str) -> list[str]:
    """Return the command line of hpc3 in this interpreter's environment."""
    return [os.path.join(os.path.dirname(sys.executable), "hpc3"), *arguments]  # noqa: PTH118, PTH120
