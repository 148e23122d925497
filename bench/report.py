"""All benchmarks in one run: each in a process of its own, then one table, a plot and a line of history."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import history
from measure import Group, Measurement, group_of, table
from plot import plot_of

HERE = Path(__file__).parent


def main() -> None:
    names = [path.stem.replace("bench_", "", 1) for path in sorted(HERE.glob("bench_*.py"))]
    parser = argparse.ArgumentParser(prog="bench/run", description="All benchmarks, each against its peers.")
    parser.add_argument("--only", default="", metavar="NAMES", help=f"some of {','.join(names)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions: to see that it works")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the shares of the goals (SVG)")
    parser.add_argument("--record", action="store_true", help=f"add a line to {history.FILE.name}")
    args = parser.parse_args()
    only = args.only.split(",") if args.only else names
    if unknown := sorted(set(only) - set(names)):
        parser.error(f"there is no benchmark {', '.join(unknown)}: {', '.join(names)}")
    if args.quick and args.record:
        parser.error("--quick measures nothing that is worth a record")
    groups = list(run_groups(only, quick=args.quick))
    print("quick: no figure of this run means anything" if args.quick else summary(groups))
    if args.record:
        history.add_record(groups)
    if args.plot:
        args.plot.write_text(plot_of(groups, history.read_records()), "utf-8")


def run_groups(names: Sequence[str], *, quick: bool) -> Iterator[Group]:
    """Run the benchmarks one after the other, and print each table as soon as it is there."""
    for name in names:
        group = run_benchmark(name, quick=quick)
        print(table(group), end="\n\n", flush=True)
        yield group


def run_benchmark(name: str, *, quick: bool) -> Group:
    """Return what a benchmark measures; one that fails is a group with the reason."""
    command = [sys.executable, str(HERE / f"bench_{name}.py"), "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return group_of(json.loads(done.stdout))
    except ValueError:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it printed nothing"]
        return Group(name, (Measurement("all of it", None, why_not=said[0]),))


def summary(groups: Sequence[Group]) -> str:
    """Return the last line: how many goals are met, which are missed, and how many figures there are not."""
    everything = [measurement for group in groups for measurement in group.measurements]
    held = [measurement for measurement in everything if measurement.share is not None]
    missed = [measurement.name.strip() for measurement in held if (measurement.share or 0) > 1]
    absent = sum(measurement.value is None for measurement in everything)
    line = f"goals met: {len(held) - len(missed)} of {len(held)}"
    line += f"; missed: {'; '.join(missed)}" if missed else ""
    return line + (f"; not measured: {absent}" if absent else "")


if __name__ == "__main__":
    main()
