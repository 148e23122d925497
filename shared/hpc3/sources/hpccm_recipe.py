"""A recipe of HPCCM: HPCCM itself is asked what it makes of it, in a process of the Python that has HPCCM.

A recipe is a Python program, and to read it is to run it, with the rights of whoever asks. So it is only run where a
person names the file; nothing that lies in an image or in a folder is ever run. The process gets a time limit, a limit
to what it writes, and no terminal; that holds faults in check, not an attacker.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hpc3.errors import InputError, printable

from .documents import read_document
from .hpccm_question import NO_HPCCM
from .source import RecipeArguments

#: HPCCM takes half a second for a large recipe, and half a minute where a file system is slow.
_TIMEOUT = 120

_ANSWER_LIMIT = 64 * 1024 * 1024


def ask_hpccm(recipe: Path, arguments: RecipeArguments, timeout: float = _TIMEOUT) -> bytes:
    """Run a recipe and return what HPCCM makes of it, as JSON that is yet to be checked.

    Args:
        recipe: path of the recipe.
        arguments: what it is run with.
        timeout: seconds.

    Raises:
        InputError: no HPCCM is found; the recipe takes too long, writes too much or ends the process.
    """
    for python in _pythons():
        answer = _ask(python, recipe, arguments, timeout)
        if answer is not None:
            return answer
    raise InputError(
        "HPCCM is needed to read its recipes and is not found",
        where=str(recipe),
        remedy="install it beside hpc3, 'pip install hpccm', or put hpccm on PATH",
    )


def _pythons() -> Iterator[str]:
    """Return the Pythons that may have HPCCM: our own, that of ``hpccm`` on PATH, the system's; each once."""
    found = [sys.executable]
    hpccm = shutil.which("hpccm")
    if hpccm:
        with Path(hpccm).open(encoding="utf-8", errors="replace") as script:
            found += re.findall(r"^#!\s*(/\S*python\S*)$", script.readline(4096).rstrip())
    yield from dict.fromkeys(path for path in map(shutil.which, [*found, "python3"]) if path)


def _ask(python: str, recipe: Path, arguments: RecipeArguments, timeout: float) -> bytes | None:
    """Return the answer, or None where this Python has no HPCCM."""
    question = Path(__file__).with_name("hpccm_question.py")
    said_to_recipe = json.dumps({"cpu_target": arguments.cpu_target, "userarg": dict(arguments.userarg)})
    with tempfile.TemporaryDirectory(prefix="hpc3-") as folder:
        answer, complaints = Path(folder) / "answer.json", Path(folder) / "complaints"
        command = [python, str(question), str(answer), str(recipe), said_to_recipe]
        code = _run(command, complaints, timeout)
        if code is None:
            raise InputError(f"the recipe was stopped: it ran for more than {timeout:g} s", where=str(recipe))
        if code == NO_HPCCM:
            return None
        if code != 0 or not answer.exists():
            raise InputError(f"HPCCM cannot be asked: {_last_line(complaints)}", where=str(recipe))
        return read_document(answer, _ANSWER_LIMIT)


def _run(command: list[str], complaints: Path, timeout: float) -> int | None:
    """Return the exit code; None where the time was up. Nothing that the process started is left running."""
    with complaints.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
        )
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(complaints: Path) -> str:
    with complaints.open("rb") as stream:
        stream.seek(max(0, complaints.stat().st_size - 4096))
        lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return printable(lines[-1], 500) if lines else "it says nothing"
