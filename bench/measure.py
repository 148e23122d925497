"""What every benchmark shares: whole processes, timed against a peer in the same run, and how results are printed.

A benchmark is a file ``bench_NAME.py`` with a function that yields measurements, handed to `run_group`. Alone it prints
a table; ``bench/run`` runs each in a process of its own, with ``--json``, and puts all together.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


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
class Measurement:
    """One figure, and what it is held against.

    Attributes:
        name: what was measured; one that explains the line above it begins with two blanks.
        value: the figure; None where it could not be measured.
        unit: ``s``, ``ms``, ``times``, ``%``, …
        goal: what it must keep to; None where there is no goal.
        peer: what it is compared with; empty where the goal is absolute.
        at_least: whether the goal is a least value rather than a most.
        why_not: why there is no figure.
    """

    name: str
    value: float | None
    unit: str = ""
    goal: float | None = None
    peer: str = ""
    at_least: bool = False
    why_not: str = ""

    @property
    def share(self) -> float | None:
        """The figure as a share of the goal: at most 1 where it is met; None without a figure or a goal."""
        if self.value is None or self.goal is None:
            return None
        part, whole = (self.goal, self.value) if self.at_least else (self.value, self.goal)
        if whole == 0:
            return 0.0 if part == 0 else math.inf
        return part / whole


@dataclass(frozen=True)
class Group:
    """The measurements of one benchmark, under its title."""

    title: str
    measurements: tuple[Measurement, ...]


def measure(command: Sequence[str], repeat: int = 9) -> Sample:
    """Run a command several times and return its least time: noise only ever adds.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
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
            raise subprocess.CalledProcessError(process.returncode, list(command), stderr=said)
        best, memory = min(best, seconds), max(memory, usage.ru_maxrss * 1024)
        processor = min(processor, usage.ru_utime + usage.ru_stime)
    return Sample(best, memory, processor)


def hpc3(*arguments: str) -> list[str]:
    """Return the command line of hpc3 in this interpreter's environment."""
    return [os.path.join(os.path.dirname(sys.executable), "hpc3"), *arguments]  # noqa: PTH118, PTH120


def run_group(title: str, measurements: Callable[[bool], Iterable[Measurement]]) -> None:
    """Be the command line of one benchmark: measure, and print a table, or JSON for ``bench/run``.

    Args:
        title: what the benchmark is about.
        measurements: yields them; its argument says whether to be quick: small sizes, few repetitions.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions: to see that it works")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()
    group = Group(title, tuple(measured(measurements, quick=args.quick)))
    print(json.dumps(asdict(group)) if args.json else table(group))


def measured(measurements: Callable[[bool], Iterable[Measurement]], *, quick: bool) -> Iterable[Measurement]:
    """Yield the measurements, and as the last one the reason where a peer is missing or fails."""
    import pytest  # what the peers of the tests skip with

    try:
        yield from measurements(quick)
    except pytest.skip.Exception as missing:
        yield Measurement("the rest", None, why_not=str(missing.msg))
    except FileNotFoundError as missing:
        yield Measurement("the rest", None, why_not=f"there is no {missing.filename}")
    except subprocess.CalledProcessError as failed:
        said = failed.stderr.decode("utf-8", "replace") if isinstance(failed.stderr, bytes) else failed.stderr or ""
        last = said.strip().splitlines()[-1:] or ["it says nothing"]
        yield Measurement("the rest", None, why_not=f"{failed.cmd[0]} ends with {failed.returncode}: {last[0]}")


def group_of(document: dict[str, Any]) -> Group:
    """Return a group from its JSON document."""
    return Group(document["title"], tuple(Measurement(**fields) for fields in document["measurements"]))


def table(group: Group) -> str:
    """Return a group as text: figure, goal, whether it is met, and the share of the goal on a logarithmic axis."""
    return "\n".join([group.title, *(f"  {_line(measurement)}" for measurement in group.measurements)])


def _line(measurement: Measurement) -> str:
    name = f"{measurement.name:70}"
    if measurement.value is None:
        return f"{name} not measured, because {measurement.why_not}"
    figure = f"{name} {measurement.value:10.4g} {measurement.unit:8}"
    share = measurement.share
    if share is None:
        return figure.rstrip()
    goal = f"{'≥' if measurement.at_least else '≤'} {measurement.goal:g}"
    return f"{figure} {goal:8} {axis(share)} {'met' if share <= 1 else 'MISSED'}"


def axis(share: float, half: int = 10) -> str:
    """Return a share of a goal on a logarithmic axis from a hundredth to a hundredfold, the goal in the middle."""
    cells = ["·"] * (2 * half + 1)
    cells[half] = "|"
    place = -2.0 if share <= 0 else min(max(math.log10(share), -2), 2)
    cells[half + round(place / 2 * half)] = "●"
    return "".join(cells)
