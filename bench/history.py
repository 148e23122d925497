"""The history of the benchmarks: one line of JSON for each run that was recorded, with no name of host or folder."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from measure import Group

HERE = Path(__file__).parent
FILE = HERE / "history.jsonl"


def add_record(groups: Sequence[Group], file: Path = FILE) -> None:
    """Append a run: date, commit, processor and Python beside the measurements."""
    record = {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "cpu": _processor(),
        "python": platform.python_version(),
        "groups": [asdict(group) for group in groups],
    }
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_records(file: Path = FILE) -> list[dict[str, Any]]:
    """Return the recorded runs, the oldest first."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def _commit() -> str:
    """Return the commit, with a plus sign where the checkout differs from it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.strip()


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    return found.group(1) if found else platform.machine()
