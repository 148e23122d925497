"""The launcher and the PMI flavours that it serves: how the ranks of a container find each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from hpc3.errors import HostError
from hpc3.fingerprint import Launcher

#: Where distributions, OpenHPC and hand-made installations put Slurm's plug-ins.
_SLURM_PLUGINS = ("usr/lib64/slurm", "usr/lib/slurm", "usr/lib/*-linux-gnu/slurm*", "opt/slurm/lib*/slurm")
#: Where Flux's shell looks for plug-ins (flux-core, configure.ac: fluxlibdir/shell/plugins; Spack's flux-pmix has a
#: folder below it).
_FLUX_PLUGINS = ("lib64/flux/shell/plugins", "lib/flux/shell/plugins", "lib/*-linux-gnu/flux/shell/plugins")
#: Flux's plug-in to the flavour it serves (flux-run(1), "pmi=LIST"; flux-pmix; flux-coral2, src/shell/plugins).
_FLUX_FLAVOURS = {"pmix.so": "pmix", "cray_pals.so": "cray"}
#: Program to why it does not tell which PMI ranks are offered; the more particular first.
_SILENT: Mapping[str, str] = {
    # docs.open-mpi.org, "Launching with HPE PALS": it has a PMIx server, within limits.
    "palsrun": "HPE PALS offers PMIx only where it was set up, and no file tells",
    # docs.open-mpi.org, "Launching with PBS / Torque", "Launching with LSF": their own commands start daemons.
    "pbsdsh": "PBS offers no PMI itself: the mpiexec of an MPI does",
    "blaunch": "LSF offers no PMI itself: the mpiexec of an MPI does",
}
_MOST_SECONDS = 2.0


def read_launcher(root: Path) -> Launcher:
    """Return the launcher of the host: Slurm, Flux, IBM's JSM, or ``none`` where there is no launcher at all.

    Plug-ins are files: they are listed rather than asking ``srun`` or ``flux``, which want a configuration.

    Raises:
        HostError: another launcher is there, which does not tell what it offers.
    """
    return _slurm(root) or _flux(root) or _jsm(root) or _none(root)


def flavours_from_list(text: str) -> set[str]:
    """Return the flavours that ``srun --mpi=list`` printed, on either stream."""
    words = re.findall(r"\b(none|pmi2|pmix(?:_v[0-9]+)?|cray_shasta|openmpi)\b", text)
    return set(words) - {"none"}


def _slurm(root: Path) -> Launcher | None:
    files = (file for folder in _folders(root, _SLURM_PLUGINS) for file in folder.glob("mpi_*.so"))
    flavours = {file.name[len("mpi_") : -len(".so")] for file in files}
    srun = _program("srun", root)
    if not flavours and srun and root == Path("/"):
        flavours = _asked(srun)
    return Launcher("slurm", pmi=tuple(sorted(flavours - {"none"}))) if flavours or srun else None


def _flux(root: Path) -> Launcher | None:
    program = _program("flux", root)
    if program is None:
        return None
    plugins = {file.name for folder in _folders(program.parent.parent, _FLUX_PLUGINS) for file in folder.rglob("*.so")}
    # Flux's shell itself speaks the wire protocol of PMI-1, and loads what speaks another (flux-run(1), "pmi=LIST").
    flavours = {"pmi1", *(flavour for plugin, flavour in _FLUX_FLAVOURS.items() if plugin in plugins)}
    return Launcher("flux", pmi=tuple(sorted(flavours)))


def _jsm(root: Path) -> Launcher | None:
    # jsrun's daemons are PMIx servers, without the libraries for PMI-1 and PMI-2 (flux-core, issues 1555 and 1581).
    return Launcher("jsm", pmi=("pmix",)) if _program("jsrun", root) else None


def _none(root: Path) -> Launcher:
    for program, reason in _SILENT.items():
        if _program(program, root):
            raise HostError(f"which PMI the ranks are offered is not known: {reason}")
    return Launcher("none", pmi=())


def _program(name: str, root: Path) -> Path | None:
    """Return a program: of the running machine by its ``PATH``, of another root by where distributions put it."""
    if root == Path("/"):
        found = shutil.which(name)
        return Path(found) if found else None
    path = root / "usr/bin" / name
    return path if path.is_file() else None


def _folders(root: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    return (folder for pattern in patterns for folder in root.glob(pattern))


def _asked(srun: Path) -> set[str]:
    try:
        listed = subprocess.run([srun, "--mpi=list"], capture_output=True, timeout=_MOST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return flavours_from_list((listed.stdout + listed.stderr).decode("utf-8", "replace"))
