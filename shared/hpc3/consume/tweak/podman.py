"""Podman: hooks for the administrator, a module of defaults, and the run command with explicit annotations."""

from __future__ import annotations

from .configuration import Configuration, File, launched
from .oci_hooks import hook_files
from .wiring import Wiring

#: What an MPI job wants of a container: the host's namespaces (containers.conf(5); sarus-suite's module "hpc").
_MODULE = """\
# Defaults for HPC jobs: podman --module hpc3 run …
[containers]
cgroupns = "host"
cgroups = "no-conmon"
ipcns = "host"
netns = "host"
pidns = "host"
utsns = "host"
"""


def configure_podman(wiring: Wiring) -> Configuration:
    """Return what Podman is told."""
    module = File("etc/containers/containers.conf.modules/hpc3", _MODULE)
    options = ["--rm", "--cgroupns=host", "--ipc=host", "--network=host", "--pid=host", "--userns=keep-id"]
    options += [word for name, value in wiring.annotations for word in ("--annotation", f"{name}={value}")]
    options += _gpu(wiring)
    if wiring.ranks:
        options += [word for names in ("PMI_*", "PMIX_*", "SLURM_*") for word in ("--env", names)]
    if "cxi" in wiring.networks:
        options += ["--device", "/dev/cxi0"]
    if {"mlx5", "mlx4", "irdma", "efa", "verbs"} & set(wiring.networks):
        options += ["--device", "/dev/infiniband", "--ulimit", "memlock=-1:-1"]
    return Configuration(
        "podman",
        (module, *hook_files("etc/containers/oci/hooks.d", wiring)),
        launched(wiring, "podman", "run", *options, wiring.reference, "COMMAND"),
        (*wiring.notes, "Podman 4.5.1 and newer ignore annotations of images: they are given on the command line"),
        ("podman", "pull", wiring.reference),
    )


def _gpu(wiring: Wiring) -> list[str]:
    if wiring.gpu == "nvidia":
        return ["--device", "nvidia.com/gpu=all"]  # CDI: nvidia-ctk cdi generate
    if wiring.gpu == "amd":
        return ["--device", "/dev/kfd", "--device", "/dev/dri", "--group-add", "keep-groups"]
    if wiring.gpu == "intel":
        return ["--device", "/dev/dri", "--group-add", "keep-groups"]
    return []
