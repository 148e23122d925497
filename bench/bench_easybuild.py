"""The hooks' share of an ``eb`` run: import, one installation, a closure of 107 modules, against ``eb`` without them.

The peer is the same ``eb`` run without hooks: that of EasyBuild 5.4.1 in the user's cache, as the tests keep it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Measurement, measure, run_group

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the peers of the tests

from easybuild_peer import HOOKS, EasyBuild, easybuild_home

VERSION = "5.4.1"
GROMACS = "GROMACS-2025.4-foss-2025b-CUDA-12.9.1.eb"

#: Times the hooks file's import in EasyBuild's Python, after what every ``eb`` has imported anyway.
_IMPORT = """
import time
import easybuild.main
from easybuild.tools.hooks import load_source
start = time.perf_counter()
load_source("hooks", {hooks!r})
print(time.perf_counter() - start)
"""

#: Times what one installation costs: the record beside it, for an easyconfig with many sources and extensions.
_INSTALLATION = """
import pathlib, sys, time
from easybuild.framework.easyconfig.tools import det_easyconfig_paths, parse_easyconfigs
from easybuild.tools.hooks import load_source
from easybuild.tools.options import set_up_configuration
options, _ = set_up_configuration(args=[{easyconfig!r}], silent=True)
paths = [(path, False) for path in det_easyconfig_paths(options.args)]
easyconfig = parse_easyconfigs(paths, validate=False)[0][0]["ec"]
load_source("hooks", {hooks!r})
from hpc3_easybuild.closure import installation_record
from hpc3_easybuild.folder import write_json
installation_record(easyconfig)
start = time.perf_counter()
write_json(pathlib.Path({folder!r}) / "hpc3.json", installation_record(easyconfig))
print(time.perf_counter() - start, file=sys.stderr)
"""


def seconds_printed(script: str, repeat: int) -> float:
    """Return the least of the seconds that a script prints last, run by EasyBuild's Python."""
    best = float("inf")
    for _ in range(repeat):
        command = [os.environ["EB_PYTHON"], "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        best = min(best, float((done.stdout + done.stderr).split()[-1]))
    return best


def in_turn(command: list[str], more: str, repeat: int) -> tuple[float, float]:
    """Return the least time without and with one more argument; in turn, so that both see the same noise."""
    pairs = [(measure(command, 1).seconds, measure([*command, more], 1).seconds) for _ in range(repeat)]
    return min(plain for plain, _ in pairs), min(hooked for _, hooked in pairs)


def measurements(quick: bool) -> Iterator[Measurement]:
    repeat = 1 if quick else 7
    home = easybuild_home(VERSION)
    with tempfile.TemporaryDirectory() as name:
        os.environ.update(EasyBuild(VERSION, home, Path(name)).environment(HPC3_OUTPUT=name))
        imported = seconds_printed(_IMPORT.format(hooks=str(HOOKS)), repeat)
        yield Measurement("import of the hooks file", imported * 1000, "ms", 50)
        script = _INSTALLATION.format(hooks=str(HOOKS), easyconfig=GROMACS, folder=name)
        yield Measurement("record beside one installation (GROMACS)", seconds_printed(script, repeat) * 1000, "ms", 5)
        plain, hooked = in_turn([str(home / "bin" / "eb"), "-D", "--robot", GROMACS], f"--hooks={HOOKS}", repeat)
    yield Measurement("eb -D --robot, 107 modules, without hooks", plain, "s")
    yield Measurement("  the same with hooks: what they add", hooked - plain, "s", 2, peer="eb without hooks")
    yield Measurement("  the same with hooks, to without", hooked / plain, "times", 1.2, peer="eb without hooks")


if __name__ == "__main__":
    run_group("EasyBuild's hooks", measurements)
