"""Apptainer: flags and binds; labels are inert, and ``--nv`` does not look at ``NVIDIA_REQUIRE_CUDA``."""

from __future__ import annotations

from .configuration import Configuration, launched
from .wiring import Wiring


def configure_apptainer(wiring: Wiring) -> Configuration:
    """Return what Apptainer is told."""
    options = {"nvidia": ["--nv"], "amd": ["--rocm"]}.get(wiring.gpu, [])
    prefix: list[str] = []
    libraries = [path for path in (wiring.mpi.mpi.path if wiring.mpi else "", wiring.libfabric) if path]
    if libraries:
        # Files in /.singularity.d/libs come first in LD_LIBRARY_PATH: the cleanest swap of single libraries.
        prefix = ["env", f"APPTAINER_CONTAINLIBS={','.join(libraries)}"]
    if wiring.pmi.startswith("pmix"):
        options += ["--bind", "/run", "--bind", "/var/spool"]
    is_file = wiring.reference.endswith(".sif")
    image = wiring.reference if is_file else f"docker://{wiring.reference}"
    command = launched(wiring, *prefix, "apptainer", "exec", *options, image, "COMMAND")
    notes = [*wiring.notes]
    if wiring.mpi:
        notes.append("the host library's own dependencies must be found too: add their folders with --bind")
    return Configuration("apptainer", (), command, tuple(notes), () if is_file else ("apptainer", "pull", image))
