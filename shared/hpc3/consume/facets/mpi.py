"""Do ranks that this host starts from this image find each other, and may the host's MPI take over?

The worst failure is silent: without a common PMI each rank believes to be alone, and all of them exit with 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from hpc3.fingerprint import Fingerprint
from hpc3.versions import version_numbers

from ..evidence import host_side, image_sides
from ..image import Image
from ..pmi import clients, common_pmi, start_command
from ..swap import Swap, best_swap
from ..verdict import Judgement, Side, Verdict

FACET = "mpi"
_WHO = ("mpi.implementation", "mpi.version")
_MODE = "mpi.portability.mode"


def check_mpi(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield what the host's launcher and MPI say to the image: always at least one judgement."""
    implementation = image.value("mpi.implementation")
    if not implementation:
        reason = "Cannot tell: the image does not say which MPI its software links."
        yield Judgement(FACET, Verdict.UNKNOWN, "MPI_NOT_STATED", reason, image_sides(image, *_WHO))
    elif implementation in ("none", "threadmpi"):
        reason = "The software uses no MPI: start it once, on one node (-N1 -n1)."
        yield Judgement(FACET, Verdict.OK, "MPI_NONE", reason, image_sides(image, *_WHO))
    else:
        yield from _launch(image, host)
        yield from _host_library(image, host)


def _launch(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield whether the launcher and the image speak a common PMI."""
    evidence = image_sides(image, *_WHO, "mpi.pmi")
    mode = image.value(_MODE)
    if mode == "container":
        reason = "The image starts its own ranks (mpirun inside), on one node."
        yield Judgement(FACET, Verdict.OK, "MPI_CONTAINER", reason, image_sides(image, _MODE))
        return
    launcher = host.launcher
    if launcher is None or launcher.pmi is None:
        reason = f"Cannot tell whether ranks find each other: {host.why_unknown('launcher')}."
        yield Judgement(
            FACET, Verdict.UNKNOWN, "MPI_LAUNCHER_UNKNOWN", reason, evidence, (host_side("launcher", None),)
        )
        return
    there = (host_side("launcher.pmi", launcher.pmi),)
    if launcher.name == "none":
        reason = "This host has no launcher: the software runs on this one node, with the image's own mpirun."
        yield Judgement(FACET, Verdict.DEGRADED, "MPI_NO_LAUNCHER", reason, evidence, there)
        return
    flavour = common_pmi(image, launcher)
    if flavour is None:
        reason = "Cannot tell whether ranks find each other: the image does not say which PMI its MPI speaks."
        yield Judgement(FACET, Verdict.UNKNOWN, "MPI_PMI_NOT_STATED", reason, evidence, there)
    elif flavour:
        reason = f"The launcher and the image both speak {flavour}."
        remedy = " ".join(start_command(launcher.name, flavour))
        yield Judgement(FACET, Verdict.OK, "MPI_PMI_OK", reason, evidence, there, remedy)
    else:
        yield _no_common_pmi(image, launcher.name, evidence, there)


def _no_common_pmi(image: Image, launcher: str, evidence: tuple[Side, ...], there: tuple[Side, ...]) -> Judgement:
    has = ", ".join(clients(image) or ()) or "none"
    if image.value("mpi.implementation") == "openmpi" and version_numbers(image.value("mpi.version"))[:1] < (5,):
        outcome = "it stops with an error"
    else:
        outcome = "every rank believes to be rank 0 of 1, and all exit with 0: wrong results without a message"
    reason = f"The image speaks {has}, the launcher {there[0].value or 'nothing'}: {outcome}."
    plugin = {"slurm": "ask for Slurm's mpi/pmix plug-in, or ", "flux": "ask for flux-pmix, or "}.get(launcher, "")
    remedy = f"{plugin}take an image whose MPI speaks what the launcher does"
    return Judgement(FACET, Verdict.FAILS, "MPI_NO_COMMON_PMI", reason, evidence, there, remedy)


def _host_library(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield whether the host's MPI may or must take the place of the image's."""
    mode = image.value(_MODE)
    if mode not in ("bind", "replace"):
        return
    evidence = image_sides(image, _MODE, "mpi.abi.family", "mpi.abi.version")
    must = mode == "bind"
    if host.mpis is None:
        verdict = Verdict.UNKNOWN if must else Verdict.DEGRADED
        reason = f"Whether a host MPI fits is not known: {host.why_unknown('mpis')}."
        yield Judgement(FACET, verdict, "MPI_HOST_UNKNOWN", reason, evidence)
        return
    there = (host_side("mpis", {f"{mpi.implementation}:{mpi.soname}" for mpi in host.mpis}),)
    swap = best_swap(image, host)
    if swap is None:
        yield _no_host_mpi(image, must, evidence, there)
    elif swap.obstacles:
        text = "; ".join(swap.obstacles)
        verdict = Verdict.FAILS if must else Verdict.DEGRADED
        rest = "" if must else " It runs with the image's own MPI."
        reason = f"The host's {swap.mpi.implementation} cannot be swapped in: {text}.{rest}"
        yield Judgement(FACET, verdict, "MPI_SWAP_IMPOSSIBLE", reason, evidence, (_side(swap),))
    elif swap.cautions:
        reason = f"The host's {swap.mpi.implementation} fits, with care: {'; '.join(swap.cautions)}."
        yield Judgement(FACET, Verdict.DEGRADED, "MPI_SWAP_CAUTION", reason, evidence, (_side(swap),), _TWEAK)
    else:
        reason = f"The host's {swap.mpi.implementation} {swap.mpi.version} provides {swap.mpi.soname}."
        yield Judgement(FACET, Verdict.OK, "MPI_SWAP_OK", reason, evidence, (_side(swap),), _TWEAK)


def _no_host_mpi(image: Image, must: bool, evidence: tuple[Side, ...], there: tuple[Side, ...]) -> Judgement:
    family = image.value("mpi.abi.family") or "stated"
    others = f"; it has {there[0].value}" if there[0].value else ""
    if must:
        reason = f"The image has no MPI of its own for this host and needs one of the {family} ABI{others}."
        remedy = "translate with Wi4MPI, or load a host MPI of that family"
        return Judgement(FACET, Verdict.FAILS, "MPI_HOST_MISSING", reason, evidence, there, remedy)
    reason = f"The host has no MPI of the {family} ABI{others}: it runs with the image's own, perhaps slower."
    return Judgement(FACET, Verdict.DEGRADED, "MPI_HOST_MISSING", reason, evidence, there)


_TWEAK = "hpc3 tweak IMAGE --engine ENGINE"


def _side(swap: Swap) -> Side:
    return Side("mpis", f"{swap.mpi.implementation} {swap.mpi.version} {swap.mpi.path}".strip())
