"""Shifter: a module in ``udiRoot.conf`` for the administrator, ``--module`` for the user."""

from __future__ import annotations

from .configuration import Configuration, File, launched
from .wiring import Wiring


def configure_shifter(wiring: Wiring) -> Configuration:
    """Return what Shifter is told."""
    modules, files = [], []
    if wiring.mpi and wiring.mpi_family == "mpich":
        modules.append("mpich")
        files.append(File("etc/shifter/udiRoot.conf.d/hpc3-mpich.conf", _module(wiring.mpi.mpi.path)))
    if wiring.gpu == "nvidia":
        modules.append("gpu")
    command = launched(
        wiring,
        "shifter",
        f"--module={','.join(modules) or 'none'}",
        f"--image=docker:{wiring.reference}",
        "COMMAND",
    )
    notes = [*wiring.notes]
    if files:
        notes.append("Shifter reads one file: append the lines to udiRoot.conf and run shifter_checkconfig")
    pull = ("shifterimg", "pull", f"docker:{wiring.reference}")
    return Configuration("shifter", tuple(files), command, tuple(notes), pull)


def _module(library: str) -> str:
    """Return the module's lines (NERSC/shifter 84b7d349, udiRoot.conf.example)."""
    inside = "/opt/udiImage/modules/mpich"
    return (
        f"module_mpich_copyPath={library.rpartition('/')[0]}\n"
        f"module_mpich_siteEnvPrepend=LD_LIBRARY_PATH={inside}\n"
        "module_mpich_enabled=1\n"
    )
