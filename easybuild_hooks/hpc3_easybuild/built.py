"""For which processor an installed module was built: what the hooks wrote then, or EasyBuild's own test report."""

from __future__ import annotations

import ast
import glob
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from easybuild.tools.config import install_path

from .compat import unquoted
from .materials import text

#: The record beside an installation, in the folder where EasyBuild keeps its log.
FILE = Path("easybuild", "hpc3.json")

_REPORT_LIMIT = 4 * 1024 * 1024
_OPTARCH = re.compile(r"^--optarch=(.*)$", re.MULTILINE)
_ARCH_NAME = re.compile(r"^ \* _cpu arch name:_ (\S+)", re.MULTILINE)


def built_for(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return ``optarch``, ``target`` (of the host that built it) and ``evidence``; None where nothing tells."""
    folder = Path(install_path()) / entry["install_subdir"]
    recorded = _recorded(folder)
    if recorded is not None:
        return recorded
    return _reported(folder, entry["name"])


def _recorded(folder: Path) -> dict[str, Any] | None:
    try:
        session = json.loads((folder / FILE).read_text("utf-8"))["session"]
        target = session["host"]["target"]
        return {"optarch": session["optarch"], "target": text(target), "evidence": "hpc3.json"}
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not ours: the report may still tell
        return None


def _reported(folder: Path, name: str) -> dict[str, Any] | None:
    """Read the newest test report; EasyBuild names it after the time, so that the last by name is the newest."""
    reports = sorted((folder / "easybuild").glob(f"easybuild-{glob.escape(name)}-*_test_report.md"))
    if not reports:
        return None
    try:
        with reports[-1].open(encoding="utf-8", errors="replace") as stream:
            report = stream.read(_REPORT_LIMIT)
    except OSError:
        return None
    arch = _ARCH_NAME.search(report)
    stated = _OPTARCH.search(report)
    try:
        optarch = _parsed_optarch(unquoted(stated[1])) if stated else ""
    except (ValueError, SyntaxError, AttributeError):  # not what EasyBuild prints
        return None
    return {
        "optarch": optarch,
        "target": arch[1] if arch and arch[1] != "UNKNOWN" else "",
        "evidence": "test report",
    }


def _parsed_optarch(value: str) -> Any:
    """Return the option as a session has it: EasyBuild prints the value by compiler as Python does."""
    if value.startswith("{"):
        return {text(name): text(flags) for name, flags in ast.literal_eval(value).items()}
    return text(value)
