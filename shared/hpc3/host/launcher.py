"""The launcher and the PMI flavours that it serves: how the ranks of a container find each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from hpc3.errors import HostError
from hpc3.fingerprint import Launcher

#: Where distributions, OpenHPC and hand-made installations put Slurm's plug-ins.
_PLUGIN_FOLDERS = ("usr/lib64/slurm", "usr/lib/slurm", "usr/lib/*-linux-gnu/slurm*", "opt/slurm/lib*/slurm")
_OTHERS = ("flux", "jsrun", "palsrun", "pbsdsh", "prun")
_MOST_SECONDS = 2.0


def read_launcher(root: Path) -> Launcher:
    """Return the launcher of the host: Slurm, or ``none`` where there is no launcher at all.

    Slurm's plug-ins are files: they are listed rather than asking ``srun``, which wants a configuration.

    Raises:
        HostError: another launcher is there; which PMI it serves is not read.
    """
    files = (file for pattern in _PLUGIN_FOLDERS for folder in root.glob(pattern) for file in folder.glob("mpi_*.so"))
    flavours = {file.name[len("mpi_") : -len(".so")] for file in files}
    srun = shutil.which("srun") if root == Path("/") else None
    if not flavours and srun:
        flavours = _asked(srun)
    if not flavours and not srun:
        return _other_launcher()
    return Launcher("slurm", pmi=tuple(sorted(flavours - {"none"})))


def _other_launcher() -> Launcher:
    other = next((program for program in _OTHERS if shutil.which(program)), "")
    if other:
        raise HostError(f"there is no Slurm but {other} here, and what it serves is not read")
    return Launcher("none", pmi=())


def flavours_from_list(text: str) -> set[str]:
    """Return the flavours that ``srun --mpi=list`` printed, on either stream."""
    words = re.findall(r"\b(none|pmi2|pmix(?:_v[0-9]+)?|cray_shasta|openmpi)\b", text)
    return set(words) - {"none"}


def _asked(srun: str) -> set[str]:
    try:
        listed = subprocess.run([srun, "--mpi=list"], capture_output=True, timeout=_MOST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return flavours_from_list((listed.stdout + listed.stderr).decode("utf-8", "replace"))
