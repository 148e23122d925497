"""What an image that nobody annotated implies by its environment, labels and tag; every result is marked inferred.

Only names that a vendor or a registry uses on purpose are read; a tag is split at its separators, never searched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hpc3.targets import known_targets
from hpc3.vocabulary import key

_MPI_VARIABLES = {  # set by NGC (OPENMPI_VERSION), HPCCM recipes and Intel's images
    "OPENMPI_VERSION": "openmpi",
    "OMPI_VERSION": "openmpi",
    "MPICH_VERSION": "mpich",
    "MVAPICH_VERSION": "mvapich",
    "I_MPI_VERSION": "intel-mpi",
}
_MPI_WORDS = {
    "openmpi": "openmpi",
    "mpich": "mpich",
    "mvapich": "mvapich",
    "impi": "intel-mpi",
    "intelmpi": "intel-mpi",
}
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64", "ppc64le": "ppc64le"}
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")


def inferred_statements(reference: str, environment: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Return vocabulary keys to values that the environment, BioContainers' labels and the tag imply."""
    found: dict[str, str] = {}
    for implied in (_from_tag(reference), _from_labels(labels), _from_environment(environment)):
        found.update({name: value for name, value in implied.items() if value})
    if "hardware.gpu.runtime" in found:
        found["hardware.gpu.vendor"] = {"cuda": "nvidia", "rocm": "amd"}[found["hardware.gpu.runtime"]]
    return {key(name): value for name, value in found.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    cuda = _first_version(environment.get("CUDA_VERSION", ""))
    required = re.search(r"cuda>=([0-9]+\.[0-9]+)", environment.get("NVIDIA_REQUIRE_CUDA", ""))
    if cuda or required:
        found["hardware.gpu.runtime"] = "cuda"
        found["hardware.gpu.cuda.version"] = cuda or (required.group(1) if required else "")
    elif environment.get("ROCM_VERSION") or environment.get("ROCM_PATH"):
        found["hardware.gpu.runtime"] = "rocm"
        found["hardware.gpu.rocm.version"] = _first_version(environment.get("ROCM_VERSION", ""))
    for variable, implementation in _MPI_VARIABLES.items():
        if variable in environment:
            found["mpi.implementation"] = implementation
            found["mpi.version"] = _first_version(environment[variable])
            break
    return found


def _from_labels(labels: Mapping[str, str]) -> dict[str, str]:
    # BioContainers: github.com/BioContainers/specs, container-specs.md
    return {
        "software.name": labels.get("software", "").lower(),
        "software.version": labels.get("software.version", ""),
    }


def _from_tag(reference: str) -> dict[str, str]:
    repository, _, tag = reference.partition("@")[0].rpartition(":")
    if not repository or "/" in tag:  # no tag: the colon belonged to a port, or there was none
        return {}
    found = {"software.name": re.sub(r"[^a-z0-9._+-]", "", repository.rpartition("/")[2].lower())}
    version = _VERSION.match(tag) or re.match(r"[0-9]{4}(?=$|-)", tag)
    found["software.version"] = version.group() if version else ""
    e4s = found["software.name"].startswith("e4s")
    for word in _words(tag):
        found.update(_from_word(word, e4s))
    return found


def _from_word(word: str, e4s: bool) -> dict[str, str]:
    cuda = re.fullmatch(r"(?:cuda|cu)([0-9]+\.[0-9]+)(?:\.[0-9]+)?", word)
    # E4S alone writes the compute capability: elsewhere cuda80 is the toolkit 8.0.
    gpu = re.fullmatch(r"cuda(70|80|90|120)", word) if e4s else None
    if cuda:
        return {"hardware.gpu.runtime": "cuda", "hardware.gpu.cuda.version": cuda.group(1)}
    if gpu:
        return {"hardware.gpu.runtime": "cuda", "hardware.gpu.architecture": f"sm_{gpu.group(1)}"}
    if re.fullmatch(r"gfx[0-9a-f]{3,5}", word):
        return {"hardware.gpu.runtime": "rocm", "hardware.gpu.architecture": word}
    if word in _MPI_WORDS:
        return {"mpi.implementation": _MPI_WORDS[word]}
    target = _ARCHITECTURES.get(word, word)
    if target in known_targets():
        # A family in a tag names the platform, not what the code was optimized for.
        return {} if target in _ARCHITECTURES.values() else {"hardware.cpu.optimized.version": target}
    return {}


def _words(tag: str) -> list[str]:
    """Return a tag's words; an underscore separates them too, but not inside ``x86_64`` or ``skylake_avx512``."""
    words: list[str] = []
    for word in re.split(r"[-+]+", tag.lower()):
        whole = word in _ARCHITECTURES or word in known_targets()
        words += [word] if whole else word.split("_")
    return words


def _first_version(text: str) -> str:
    match = _VERSION.search(text)
    return ".".join(match.group().split(".")[:3]) if match else ""
