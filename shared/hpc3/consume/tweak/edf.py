"""CSCS' container engine: an environment definition file (TOML), used by ``srun --environment=NAME``."""

from __future__ import annotations

import json
import re

from .configuration import Configuration, File, launched_by_slurm
from .wiring import Wiring


def configure_edf(wiring: Wiring) -> Configuration:
    """Return an EDF and the command that uses it."""
    name = (
        re.sub(r"[^a-z0-9]+", "-", wiring.reference.partition("@")[0].rpartition("/")[2].lower()).strip("-") or "image"
    )
    file = File(f".edf/{name}.toml", _document(wiring))
    command = launched_by_slurm(wiring, f"--environment={name}", "COMMAND")
    notes = (*wiring.notes, f"install it below your home: --install $HOME writes ~/{file.path}")
    return Configuration("edf", (file,), command, notes)


def enroot_reference(reference: str) -> str:
    """Return a reference as Enroot and its kin spell it: ``registry#repository:tag``."""
    registry, slash, rest = reference.partition("/")
    return f"{registry}#{rest}" if slash and re.search(r"[.:]|^localhost$", registry) else reference


def _document(wiring: Wiring) -> str:
    lines = [
        f"image = {text(enroot_reference(wiring.reference))}",
        "entrypoint = false",
        "writable = false",
    ]
    environment = _environment(wiring)
    if environment:
        lines += ["", "[env]", *(f"{name} = {text(value)}" for name, value in environment.items())]
    # Every entry is written with its whole dotted key in one table: TOML opens no table twice.
    annotations = _annotations(wiring)
    if annotations:
        lines += ["", "[annotations]", *(f"{name} = {text(value)}" for name, value in annotations.items())]
    return "\n".join(lines) + "\n"


def _environment(wiring: Wiring) -> dict[str, str]:
    environment = {"FI_PROVIDER": "cxi"} if "cxi" in wiring.networks and wiring.ranks else {}
    if wiring.mpi_family == "openmpi" and wiring.pmi.startswith("pmix"):
        # cscs-docs 80abed13, container engine, "OpenMPI": the security module and the path over libfabric.
        environment["PMIX_MCA_psec"] = "native"
        if "cxi" in wiring.networks:
            environment.update({"OMPI_MCA_pml": "cm", "OMPI_MCA_mtl": "ofi"})
    return environment


def _annotations(wiring: Wiring) -> dict[str, str]:
    """Return the engine's own switches; their values are texts, also where they look like truths."""
    found = {}
    if "cxi" in wiring.networks and wiring.ranks:
        found["com.hooks.cxi.enabled"] = "true"
    variant = {"nvidia": "cuda", "amd": "rocm"}.get(wiring.gpu, "") + wiring.toolkit_major
    if {"nccl", "rccl"} & set(wiring.collectives) and variant in ("cuda12", "cuda13", "rocm5", "rocm6"):
        found["com.hooks.aws_ofi_nccl.enabled"] = "true"
        found["com.hooks.aws_ofi_nccl.variant"] = variant
    return found


def text(value: str) -> str:
    """Return a TOML basic string; JSON's escapes are among TOML's."""
    return json.dumps(value, ensure_ascii=True)
