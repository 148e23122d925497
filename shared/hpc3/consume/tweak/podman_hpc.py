"""podman-hpc: its own modules by flags, and a module file where the host's MPI lies elsewhere.

Keys and flags: NERSC/podman-hpc at 01b02d6e, etc/modules.d.
"""

from __future__ import annotations

import json

from hpc3.versions import version_numbers

from .configuration import Configuration, File, launched
from .wiring import Wiring


def configure_podman_hpc(wiring: Wiring) -> Configuration:
    """Return what podman-hpc is told."""
    flags = ["--gpu"] if wiring.gpu == "nvidia" else []
    if "nccl" in wiring.collectives and wiring.gpu == "nvidia":
        flags.append("--nccl")
    files: tuple[File, ...] = ()
    if wiring.mpi and wiring.mpi_family == "mpich":
        flags.append("--cuda-mpi" if wiring.gpu == "nvidia" else "--mpi")
    elif wiring.mpi:
        files = (_module(wiring),)
        flags.append("--hpc3-mpi")
    elif wiring.mpi_family == "openmpi":
        flags += _openmpi(wiring)
    command = launched(wiring, "podman-hpc", "run", "--rm", *flags, wiring.reference, "COMMAND")
    return Configuration("podman-hpc", files, command, wiring.notes, ("podman-hpc", "pull", wiring.reference))


def _openmpi(wiring: Wiring) -> list[str]:
    if wiring.pmi.startswith("pmix"):
        return ["--openmpi-pmix"]
    return ["--openmpi-pmi2"] if wiring.pmi == "pmi2" and version_numbers(wiring.mpi_version)[:1] < (5,) else []


def _module(wiring: Wiring) -> File:
    assert wiring.mpi is not None
    folder = wiring.mpi.mpi.path.rpartition("/")[0]
    inside = "/opt/udiImage/modules/hpc3-mpi"
    module = {
        "name": "hpc3-mpi",
        "cli_arg": "hpc3-mpi",
        "help": "Host MPI in place of the image's",
        "env": "ENABLE_HPC3_MPI",
        # podman-hpc compares these with names and with flags: both are listed.
        "conflicts": ["cuda-mpi", "mpi", "mpich", "openmpi-pmi2", "openmpi-pmix"],
        "shared_run": True,
        "additional_args": [
            *(f"-e {names}" for names in ("SLURM_*", "PMI_*", "PMIX_*")),
            f"-e LD_LIBRARY_PATH={inside}",
            "--ipc=host",  # with it comes the host's /dev/shm
            "--network=host",
            "--pid=host",
        ],
        "copy": [],
        "bind": [f"{folder}:{inside}"],
    }
    # Every JSON value is a YAML value; quoting is then JSON's, and nothing can be mistaken.
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in module.items())
    return File("etc/podman_hpc/modules.d/hpc3-mpi.yaml", text)
