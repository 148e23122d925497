"""Sarus: hooks for the administrator, ``--mpi`` for the user. Sarus makes annotations of an image's labels."""

from __future__ import annotations

from .configuration import Configuration, launched
from .oci_hooks import hook_files
from .wiring import Wiring


def configure_sarus(wiring: Wiring) -> Configuration:
    """Return what Sarus is told."""
    options = []
    if wiring.mpi and wiring.mpi_family == "mpich":
        options = ["--mpi"]
    elif wiring.libfabric:
        options = ["--mpi", "--mpi-type=libfabric"]
    options += [f"--annotation={name}={value}" for name, value in wiring.annotations]
    notes = [*wiring.notes, "labels of the image say the same to Sarus; annotations on the command line overrule them"]
    if wiring.libfabric and not wiring.mpi:
        notes.append("--mpi-type=libfabric names a hook of your site: sarus hooks --mpi lists them")
    return Configuration(
        "sarus",
        hook_files("opt/sarus/default/etc/hooks.d", wiring),
        launched(wiring, "sarus", "run", *options, wiring.reference, "COMMAND"),
        tuple(notes),
        ("sarus", "pull", wiring.reference),
    )
