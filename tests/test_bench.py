"""The benchmarks run, on small sizes; no time is judged here."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import peers
from history import add_record, read_records
from measure import Group, Measurement, axis, group_of, table
from plot import plot_of
from report import summary

BENCH = peers.REPOSITORY / "bench"

GOOD = Measurement("start-up", 2.0, "times", 4, peer="python")
BAD = Measurement("<quick> & clean", 25, "times", 50, at_least=True)
PLAIN = Measurement("  whole process", 0.3, "s")
ABSENT = Measurement("the rest", None, why_not="not installed: skopeo")
GROUP = Group("A title", (GOOD, BAD, PLAIN, ABSENT))


def report(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / "report.py"), "--quick", *arguments]
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    ("measurement", "share"),
    [
        (GOOD, 0.5),
        (BAD, 2),
        (PLAIN, None),
        (ABSENT, None),
        (Measurement("none allowed", 0, goal=0), 0),
        (Measurement("none allowed", 1, goal=0), math.inf),
        (Measurement("nothing happens", 0, goal=5, at_least=True), math.inf),
    ],
)
def test_share_of_the_goal(measurement: Measurement, share: float | None) -> None:
    assert measurement.share == share


def test_axis_is_logarithmic_with_the_goal_in_the_middle() -> None:
    drawn = [axis(share, half=2) for share in (0, 0.01, 0.1, 1, 10, 100, math.inf)]
    assert drawn == ["●·|··", "●·|··", "·●|··", "··●··", "··|●·", "··|·●", "··|·●"]


def test_table_says_what_is_met_missed_and_absent() -> None:
    title, good, bad, plain, absent = table(GROUP).splitlines()
    assert title == "A title"
    assert good.endswith("met")
    assert "≤ 4" in good
    assert bad.endswith("MISSED")
    assert "≥ 50" in bad
    assert plain.endswith("0.3 s")
    assert absent.endswith("not measured, because not installed: skopeo")
    assert summary([GROUP]) == "goals met: 1 of 2; missed: <quick> & clean; not measured: 1"


def test_history_has_what_was_measured_and_where_but_no_names_of_the_machine(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    add_record([GROUP], file)
    add_record([GROUP], file)
    first, second = read_records(file)
    assert first == second
    assert set(first) == {"date", "commit", "cpu", "python", "groups"}
    assert group_of(first["groups"][0]) == GROUP
    assert os.uname().nodename not in file.read_text("utf-8")


def test_plot_has_a_mark_for_each_goal_and_faint_ones_for_the_past(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    add_record([GROUP], file)
    root = ElementTree.fromstring(plot_of([GROUP], read_records(file)))
    marks = [mark.get("r") for mark in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert sorted(marks) == ["3", "3", "5", "5"]
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<quick> & clean" in texts
    assert "whole process" not in texts


def test_one_benchmark_runs_and_draws(tmp_path: Path) -> None:
    done = report("--only", "core", "--plot", str(tmp_path / "plot.svg"))
    assert done.returncode == 0, done.stderr
    assert "hpc3 --help, to python -c pass" in done.stdout
    assert "not measured" not in done.stdout
    assert ElementTree.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")


def test_the_command_makes_its_own_environment(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=peers.REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(peers.REPOSITORY / name, tmp_path / name)
    command = [str(tmp_path / "bench" / "run"), "--quick", "--only", "core"]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "hpc3 --help, to python -c pass" in done.stdout
    assert list((tmp_path / ".venv/bench").glob("lib/*/site-packages/hpc3/cli/__pycache__/main.*.pyc"))


@pytest.mark.registry
def test_the_peers_of_the_registry_take_part() -> None:
    for program in ("docker-registry", "skopeo", "buildah"):
        peers.need_program(program)
    done = report("--only", "oci")
    assert done.returncode == 0, done.stderr
    assert "quicker than buildah from, commit, push" in done.stdout
    assert "not measured" not in done.stdout


def test_a_missing_peer_is_a_line_with_the_reason() -> None:
    done = report("--only", "oci,core", path=str(Path(sys.executable).parent))
    assert done.returncode == 0, done.stderr
    assert "not measured, because not installed: docker-registry, skopeo" in done.stdout
    assert "hpc3 --help, to python -c pass" in done.stdout


def test_a_benchmark_that_fails_is_a_line_with_the_reason(tmp_path: Path) -> None:
    copy = shutil.copytree(BENCH, tmp_path / "bench")
    (copy / "bench_core.py").write_text("raise RuntimeError('no such luck')\n", "utf-8")
    command = [sys.executable, str(copy / "report.py"), "--only", "core"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "not measured, because RuntimeError: no such luck" in done.stdout


@pytest.mark.parametrize("arguments", [("--only", "nothing"), ("--record",)])
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    assert report(*arguments).returncode == 2


def test_every_benchmark_is_given_to_run_group() -> None:
    for path in BENCH.glob("bench_*.py"):
        assert "run_group(" in path.read_text("utf-8"), path.name


def test_no_record_names_a_folder() -> None:
    for record in read_records():
        assert "/home/" not in json.dumps(record)
