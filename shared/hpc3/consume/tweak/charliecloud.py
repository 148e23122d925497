"""Charliecloud: ``ch-run`` with binds; ``ch-fromhost`` would change the unpacked image, so it is only mentioned."""

from __future__ import annotations

from .configuration import Configuration, launched
from .wiring import Wiring

_LIBRARIES = "/mnt/0"  # ch-run makes no mount point: /mnt/0 to /mnt/9 are there in every image it builds


def configure_charliecloud(wiring: Wiring) -> Configuration:
    """Return what Charliecloud is told; ``$IMAGE`` is the folder or SquashFS file of the unpacked image."""
    options: list[str] = ["--set-env"]
    notes = [*wiring.notes, "unpack it first: ch-image pull and ch-convert, then IMAGE=its path"]
    path = wiring.mpi.mpi.path if wiring.mpi else wiring.libfabric
    if path:
        options += [f"--bind={path.rpartition('/')[0]}:{_LIBRARIES}", f"--set-env=LD_LIBRARY_PATH={_LIBRARIES}"]
    if "cxi" in wiring.networks and wiring.ranks:
        options.append("--set-env=FI_PROVIDER=cxi")
        notes.append(
            "ch-fromhost --cray-cxi would put libfabric into the image itself, which is then no longer portable"
        )
    if wiring.gpu == "nvidia":
        notes.append("NVIDIA's driver libraries: ch-fromhost --nvidia, once per host and image")
    command = launched(wiring, "ch-run", *options, "$IMAGE", "--", "COMMAND")
    return Configuration("charliecloud", (), command, tuple(notes), ("ch-image", "pull", wiring.reference))
