"""The hooks' share of an ``eb`` run: import, one installation, a closure of 107 modules, against ``eb`` without them.

Run it with an interpreter into which hpc3 is installed and with EasyBuild 5.4.1's ``eb`` on PATH (its Python in
``EB_PYTHON``): ``python bench/bench_easybuild.py``. The peer is the same ``eb`` run without hooks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Row, measure, print_rows

HOOKS = Path(__file__).parent.parent / "easybuild_hooks" / "hpc3_easybuild" / "hooks.py"
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


def seconds_printed(script: str, repeat: int = 5) -> float:
    """Return the least of the seconds that a script prints last, run by EasyBuild's Python."""
    best = float("inf")
    for _ in range(repeat):
        command = [os.environ.get("EB_PYTHON", "python3"), "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        best = min(best, float((done.stdout + done.stderr).split()[-1]))
    return best


def in_turn(command: list[str], more: str, repeat: int = 7) -> tuple[float, float]:
    """Return the least time without and with one more argument; in turn, so that both see the same noise."""
    pairs = [(measure(command, 1).seconds, measure([*command, more], 1).seconds) for _ in range(repeat)]
    return min(plain for plain, _ in pairs), min(hooked for _, hooked in pairs)


def main() -> None:
    if shutil.which("eb") is None:
        raise SystemExit("eb is not on PATH: nothing to measure")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HPC3_OUTPUT"] = folder
        os.environ["EASYBUILD_PREFIX"] = folder
        imported = seconds_printed(_IMPORT.format(hooks=str(HOOKS)))
        one = seconds_printed(_INSTALLATION.format(hooks=str(HOOKS), easyconfig=GROMACS, folder=folder))
        plain, hooked = in_turn(["eb", "-D", "--robot", GROMACS], f"--hooks={HOOKS}")
    rows = [
        Row("import of the hooks file", imported * 1000, "ms", 50),
        Row("record beside one installation (GROMACS)", one * 1000, "ms", 5),
        Row("eb -D --robot, 107 modules, without hooks", plain, "s"),
        Row("  the same with hooks: what they add", hooked - plain, "s", 2),
        Row("  the same with hooks, to without", hooked / plain, "times", 1.2),
    ]
    print_rows(f"EasyBuild's hooks ({sys.implementation.name} {sys.version.split()[0]})", rows)


if __name__ == "__main__":
    main()
