"""The wiring: what a host must lend to an image, whatever the engine is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hpc3.fingerprint import Fingerprint
from hpc3.vocabulary import key, vocabulary

from ..facets.fabric import injectable_libfabric, served_natively
from ..image import Image
from ..pmi import common_pmi
from ..swap import Swap, best_swap


@dataclass(frozen=True)
class Wiring:
    """What the host lends.

    Attributes:
        reference: what to run.
        launcher: its name, such as ``slurm``; empty when not known.
        pmi: the flavour it is asked for; empty: there is no MPI, or no common PMI.
        ranks: whether the software uses MPI at all.
        mpi: the host MPI that takes the place of the image's; None: the image keeps its own.
        mpi_family: ABI family of the image's MPI; empty when there is none.
        mpi_version: of the image's MPI.
        libfabric: path of the host's libfabric that is put in; empty: the image keeps its own.
        gpu: ``nvidia``, ``amd``, ``intel`` or empty.
        toolkit_major: of CUDA or ROCm, for plug-ins that come in variants; empty when not known.
        collectives: names of collective libraries in the image (``nccl``).
        networks: kinds of network cards of the host.
        annotations: what engines that select hooks by annotations are given; from the vocabulary alone.
        notes: what a person should know.
    """

    reference: str
    launcher: str
    pmi: str
    ranks: bool
    mpi: Swap | None
    mpi_family: str
    mpi_version: str
    libfabric: str
    gpu: str
    toolkit_major: str
    collectives: tuple[str, ...]
    networks: tuple[str, ...]
    annotations: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


#: Keys that hooks may be selected by. Podman 4.5.1 and newer pass no annotation of an image on, for good reasons:
#: each of these is read from the vocabulary, checked against its grammar and given on the command line.
ANNOTATIONS = (
    "communication.framework",
    "hardware.gpu.runtime",
    "hardware.gpu.vendor",
    "mpi.abi.family",
    "mpi.abi.version",
    "mpi.implementation",
    "mpi.portability.mode",
    "mpi.portability.optimization",
)

_TOOLKITS = {"nvidia": "hardware.gpu.cuda.version", "amd": "hardware.gpu.rocm.version"}


def wiring_of(image: Image, host: Fingerprint) -> Wiring:
    """Return what ``host`` must lend to ``image``."""
    implementation = image.value("mpi.implementation")
    ranks = implementation not in ("", "none", "threadmpi")
    swap = best_swap(image, host) if image.value("mpi.portability.mode") in ("bind", "replace") else None
    usable = swap if swap and not swap.obstacles and _is_plain(swap.mpi.path) else None
    networks = {fabric.kind for fabric in host.fabrics or ()}
    foreign = networks - served_natively(image, networks)
    libfabric = injectable_libfabric(image, host) if foreign and not usable else ""
    libfabric = libfabric if _is_plain(libfabric) else ""
    vendors = {gpu.vendor for gpu in host.gpus or ()} & set(image.values("hardware.gpu.vendor"))
    gpu = next((vendor for vendor in ("nvidia", "amd", "intel") if vendor in vendors), "")
    toolkit = image.value(_TOOLKITS[gpu]) if gpu in _TOOLKITS else ""
    pmi = common_pmi(image, host.launcher) if ranks and host.launcher else None
    return Wiring(
        reference=_runnable(image),
        launcher=host.launcher.name if host.launcher else "",
        pmi=pmi or "",
        ranks=ranks,
        mpi=usable,
        mpi_family=image.value("mpi.abi.family"),
        mpi_version=image.value("mpi.version"),
        libfabric=libfabric,
        gpu=gpu,
        toolkit_major=toolkit.partition(".")[0],
        collectives=tuple(sorted({name.partition("@")[0] for name in image.values("communication.collectives")})),
        networks=tuple(sorted(networks)),
        annotations=_annotations(image),
        notes=_notes(image, host, ranks, pmi, swap),
    )


def _runnable(image: Image) -> str:
    """Return the reference as engines take it: without the transport that is every engine's default."""
    named = image.reference or (f"IMAGE@{image.digest}" if image.digest else "IMAGE")
    return named[len("docker://") :] if named.startswith("docker://") else named


def _is_plain(path: str) -> bool:
    """Whether a path of the host may stand in shell scripts and configuration files without any quoting."""
    return bool(re.fullmatch(r"/[A-Za-z0-9/._+-]+", path))


def _annotations(image: Image) -> tuple[tuple[str, str], ...]:
    stated = ((key(name), image.value(name)) for name in ANNOTATIONS)
    return tuple((name, value) for name, value in stated if value and not vocabulary()[name].fault(value))


def _notes(image: Image, host: Fingerprint, ranks: bool, pmi: str | None, swap: Swap | None) -> tuple[str, ...]:
    notes = []
    if ranks and pmi == "":
        notes.append("the launcher and the image have no PMI in common: ranks will not find each other")
    elif ranks and host.launcher and host.launcher.name == "none":
        notes.append("there is no launcher: COMMAND is the image's own mpirun, on this one node")
    elif ranks and pmi is None and host.launcher:
        notes.append("which PMI the image or the launcher speaks is not known: choose it yourself")
    if swap and not _is_plain(swap.mpi.path):
        notes.append(f"the host's {swap.mpi.implementation} stays out: its path is not known or not plain")
    if swap:
        notes += [f"the host's {swap.mpi.implementation} stays out: {text}" for text in swap.obstacles]
        notes += [f"care: {text}" for text in swap.cautions]
    if not ranks:
        notes.append("the software uses no MPI: start it once")
    if image.values("hardware.gpu.vendor") not in ((), ("none",)) and not host.gpus:
        notes.append("the image wants a GPU and the host shows none")
    return tuple(notes)
