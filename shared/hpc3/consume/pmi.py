"""PMI: how the ranks that a launcher starts find each other; which flavour both sides speak."""

from __future__ import annotations

from hpc3.fingerprint import Launcher
from hpc3.versions import version_numbers

from .image import Image

#: What ``srun --mpi=`` is given for each client, the preferred first.
_PREFERRED = ("cray", "pmix", "pmi2", "pmi1")


def clients(image: Image) -> tuple[str, ...] | None:
    """Return the PMI clients in an image (``pmix``, ``pmi2``, ``pmi1``, ``cray``); None when not known.

    Open MPI from version 5 on has PMIx alone, whatever it was built with (its NEWS: PMI-1 and PMI-2 are removed).
    """
    if image.value("mpi.implementation") == "openmpi" and version_numbers(image.value("mpi.version"))[:1] >= (5,):
        return ("pmix",)
    stated = image.values("mpi.pmi")
    if not stated:
        return None
    plain = {"pmix" if name.startswith("pmix") else name for name in stated if name != "none"}
    return tuple(name for name in _PREFERRED if name in plain)


def served(launcher: Launcher) -> dict[str, str]:
    """Return client to what ``srun --mpi=`` is given for it, by the flavours that the launcher serves.

    Slurm's plug-in mpi/pmi2 speaks the wire protocols of PMI-1 and PMI-2 (src/plugins/mpi/pmi2/pmi1.c).
    """
    flavours = launcher.pmi or ()
    offered = {}
    pmix = sorted((name for name in flavours if name.startswith("pmix")), key=len)
    if pmix:
        offered["pmix"] = pmix[0]
    if "pmi2" in flavours:
        offered.update({"pmi2": "pmi2", "pmi1": "pmi2"})
    if "cray_shasta" in flavours:
        offered["cray"] = "cray_shasta"
    return offered


def common_pmi(image: Image, launcher: Launcher) -> str | None:
    """Return what ``srun --mpi=`` should be given; empty where both sides have none in common, None when not known."""
    has = clients(image)
    if has is None or launcher.pmi is None:
        return None
    offered = served(launcher)
    return next((offered[client] for client in has if client in offered), "")
