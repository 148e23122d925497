"""Container engines and their versions; their own ``--version`` is asked, all at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence

from hpc3.fingerprint import ContainerRuntime

#: Engine to the program that is asked.
ENGINES = {
    "apptainer": "apptainer",
    "charliecloud": "ch-run",
    "docker": "docker",
    "enroot": "enroot",
    "podman": "podman",
    "podman-hpc": "podman-hpc",
    "sarus": "sarus",
    "shifter": "shifter",
}
_VERSION_ARGUMENTS = {"enroot": ["version"]}
_VERSION = re.compile(rb"[0-9]+(?:\.[0-9]+)+")
_MOST_SECONDS = 2.0


class EngineQuestions:
    """Questions to all engines of the host: asked when made, answered by `answers`; the host is read meanwhile."""

    def __init__(self, engines: Sequence[str] = tuple(ENGINES)) -> None:
        self._deadline = time.monotonic() + _MOST_SECONDS
        self._asked = {engine: _ask(engine) for engine in engines}

    def answers(self) -> tuple[ContainerRuntime, ...]:
        """Return the engines that are installed, sorted; one that does not answer in time has no version."""
        return tuple(
            ContainerRuntime(engine, _answer(process, self._deadline))
            for engine, process in sorted(self._asked.items())
            if process is not None
        )


def _ask(engine: str) -> subprocess.Popen[bytes] | None:
    program = shutil.which(ENGINES[engine])
    if program is None:
        return None
    command = [program, *_VERSION_ARGUMENTS.get(engine, ["--version"])]
    # ch-run refuses to run without USER, whatever it is.
    environment = {**os.environ, "USER": os.environ.get("USER", "nobody")}
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
    except OSError:
        return None


def _answer(process: subprocess.Popen[bytes], deadline: float) -> str:
    try:
        output, _ = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return ""
    match = _VERSION.search(output[:4096])
    return match.group().decode("ascii") if match and process.returncode == 0 else ""
