"""Enroot and Pyxis: mounts and a hook for the administrator, the ``srun`` line for the user.

Enroot writes an image's labels as comments into ``/etc/rc``: a hook that reads them there makes it obey ours.
"""

from __future__ import annotations

from hpc3.vocabulary import key

from .configuration import Configuration, File, launched_by_slurm
from .edf import enroot_reference
from .wiring import Wiring

_FAMILIES = ("mpich", "openmpi", "mpi-abi")


def configure_enroot(wiring: Wiring) -> Configuration:
    """Return what Enroot and Pyxis are told."""
    files = [_hook(wiring)] if wiring.mpi or wiring.libfabric else []
    options = [f"--container-image={enroot_reference(wiring.reference)}", "--no-container-mount-home"]
    environment: tuple[str, ...] = ()
    if wiring.gpu == "nvidia":
        # Void means no GPU at all, and the default capability is "utility", without CUDA.
        environment = ("env", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility")
        options.append("--container-env=NVIDIA_VISIBLE_DEVICES,NVIDIA_DRIVER_CAPABILITIES")
    notes = [*wiring.notes]
    if wiring.ranks:
        notes.append("enable Enroot's extra/50-slurm-pmi.sh: it carries the PMI variables into the container")
    command = (*environment, *launched_by_slurm(wiring, *options, "COMMAND"))
    pull = ("enroot", "import", f"docker://{enroot_reference(wiring.reference)}")
    return Configuration("enroot", tuple(files), command, tuple(notes), pull)


def _hook(wiring: Wiring) -> File:
    """Return a hook that mounts the host's libraries into images whose labels ask for it."""
    if wiring.mpi:
        path = wiring.mpi.mpi.path
        family = wiring.mpi.mpi.abi_family if wiring.mpi.mpi.abi_family in _FAMILIES else "none"
        conditions = [(key("mpi.abi.family"), family), (key("mpi.portability.mode"), r"\(bind\|replace\)")]
        inside = f"/usr/lib/{wiring.mpi.mpi.soname or path.rpartition('/')[2]}"
    else:
        path, inside = wiring.libfabric, "/usr/lib/libfabric.so.1"
        conditions = [(key("mpi.portability.optimization"), r"\(.*,\)\?libfabric-inject\(,.*\)\?")]
    tests = "\n".join(
        f"grep -q '^# {name.replace('.', '[.]')} {value}$' \"${{rc}}\" || exit 0" for name, value in conditions
    )
    mount = f"{path} {inside} none x-create=file,bind,ro,nosuid,nodev,nofail"
    return File(
        "etc/enroot/hooks.d/60-hpc3.sh",
        "#!/bin/sh\n"
        "# Lends a library of the host to images whose labels ask for it (Enroot keeps labels in /etc/rc).\n"
        "set -eu\n"
        'rc="${ENROOT_ROOTFS:?}/etc/rc"\n'
        '[ -r "${rc}" ] || exit 0\n'
        f"{tests}\n"
        f"printf '%s\\n' '{mount}' >> \"${{ENROOT_MOUNTS:?}}\"\n",
        executable=True,
    )
