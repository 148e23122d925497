"""PMI: how the ranks that a launcher starts find each other; which flavour both sides speak."""

from __future__ import annotations

from hpc3.fingerprint import Launcher
from hpc3.versions import version_numbers

from .image import Image

#: Clients in an image, the preferred first.
_PREFERRED = ("cray", "pmix", "pmi2", "pmi1")
#: What Flux calls a flavour.
_FLUX_NAMES = {"pmi1": "simple", "cray": "cray-pals"}


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
    """Return client to the flavour that the launcher is asked for, by the flavours that it serves.

    Slurm's plug-in mpi/pmi2 speaks the wire protocols of PMI-1 and PMI-2 (src/plugins/mpi/pmi2/pmi1.c).
    """
    flavours = launcher.pmi or ()
    offered = {}
    pmix = sorted((name for name in flavours if name.startswith("pmix")), key=len)
    if pmix:
        offered["pmix"] = pmix[0]
    if "pmi2" in flavours:
        offered.update({"pmi2": "pmi2", "pmi1": "pmi2"})
    if "pmi1" in flavours:
        offered["pmi1"] = "pmi1"
    cray = next((name for name in ("cray_shasta", "cray") if name in flavours), "")
    if cray:
        offered["cray"] = cray
    return offered


def common_pmi(image: Image, launcher: Launcher) -> str | None:
    """Return the flavour to ask the launcher for; empty where both sides have none in common, None when not known."""
    has = clients(image)
    if has is None or launcher.pmi is None:
        return None
    offered = served(launcher)
    return next((offered[client] for client in has if client in offered), "")


def start_command(launcher: str, flavour: str, *, once: bool = False) -> tuple[str, ...]:
    """Return what stands before a command so that the launcher starts its ranks.

    Args:
        launcher: as `Launcher` names it; empty, for one that is not known: Slurm.
        flavour: of PMI, one that it serves; empty: its default.
        once: start it once, on one node.
    """
    if launcher == "none":
        return ()
    if launcher == "jsm":  # jsrun(1): it serves PMIx alone, and is not asked
        return ("jsrun", *(["-n1"] if once else []))
    single = ["-N1", "-n1"] if once else []
    if launcher == "flux":  # flux-run(1), "pmi=LIST"
        return ("flux", "run", *single, *([f"-opmi={_FLUX_NAMES.get(flavour, flavour)}"] if flavour else []))
    return ("srun", *single, *([f"--mpi={flavour}"] if flavour else []))
