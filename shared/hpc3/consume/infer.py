"""What an image that nobody annotated implies by its environment, labels and tag; every result is marked inferred.

Only names that a vendor or a registry uses on purpose are read; a tag is split at its separators, never searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hpc3.errors import UsageError
from hpc3.oci.reference import parse_reference
from hpc3.targets import family, known_targets
from hpc3.vocabulary import key, vocabulary

_MPI_VARIABLES = {  # set by NGC (OPENMPI_VERSION), HPCCM recipes and Intel's images
    "OPENMPI_VERSION": "openmpi",
    "OMPI_VERSION": "openmpi",
    "MPICH_VERSION": "mpich",
    "MVAPICH_VERSION": "mvapich",
    "I_MPI_VERSION": "intel-mpi",
}
_MPI_WORDS = {
    "craympich": "cray-mpich",
    "openmpi": "openmpi",
    "mpich": "mpich",
    "mvapich": "mvapich",
    "impi": "intel-mpi",
    "intelmpi": "intel-mpi",
}
#: Words for a platform to its OCI (Go) name.
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64", "ppc64le": "ppc64le"}
VENDORS = {"cuda": "nvidia", "rocm": "amd"}
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_CUDA_MAJOR = r"(?:9|1[0-9])"
#: One name in two words, and a toolkit that a hyphen parts from its version.
_PAIRS = re.compile(
    rf"(?<![a-z0-9])(?:(cray)-(?=mpich)|(intel)-(?=mpi(?![a-z]))"
    rf"|(cuda)[-_](?={_CUDA_MAJOR}\.[0-9]+(?:\.[0-9]+)?(?:$|[-_+])))"
)
_MPI_WORD = re.compile(rf"({'|'.join(_MPI_WORDS)})([0-9]+(?:\.[0-9]+)+|[013-9])?")

#: Keys without our prefix to values.
Implied = Mapping[str, str]


def inferred_statements(reference: str, environment: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Return vocabulary keys to values that the environment, BioContainers' labels and the tag imply."""
    found: dict[str, str] = {}
    for implied in (_from_reference(reference), _from_labels(labels), _from_environment(environment)):
        found.update({name: value for name, value in implied.items() if value})
    if "hardware.gpu.runtime" in found:
        found["hardware.gpu.vendor"] = VENDORS[found["hardware.gpu.runtime"]]
    return {key(name): value for name, value in found.items()}


def read_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Implied]]:
    """Yield each variable that says something, and what; the more precise of two first."""
    cuda = _first_version(environment.get("CUDA_VERSION", ""))
    if cuda:
        yield "CUDA_VERSION", {"hardware.gpu.runtime": "cuda", "hardware.gpu.cuda.version": cuda}
    required = re.search(r"(?:^|[ ,])cuda[<>=!]+([0-9]+(?:\.[0-9]+)?)", environment.get("NVIDIA_REQUIRE_CUDA", ""))
    if required:
        least = required.group(1) if ">=" in required.group() and "." in required.group(1) else ""
        yield "NVIDIA_REQUIRE_CUDA", {"hardware.gpu.runtime": "cuda", "hardware.gpu.cuda.version": least}
    for variable in ("ROCM_VERSION", "ROCM_PATH"):
        value = environment.get(variable, "")
        version = _first_version(value) if variable == "ROCM_VERSION" else ""
        if value:
            yield variable, {"hardware.gpu.runtime": "rocm", "hardware.gpu.rocm.version": version}
    for variable, implementation in _MPI_VARIABLES.items():
        if variable in environment:
            yield variable, {"mpi.implementation": implementation, "mpi.version": _first_version(environment[variable])}


def read_tag(tag: str, *, e4s: bool = False) -> Iterator[tuple[str, Implied]]:
    """Yield each word of a tag that says something, and what; a version may be less precise than its key asks.

    Args:
        tag: without the name before it.
        e4s: whether E4S chose it, who alone writes the compute capability.
    """
    for word in _words(tag):
        implied = _from_word(word, e4s)
        if implied:
            yield word, implied


def platforms_of_tag(tag: str) -> dict[str, str]:
    """Return the words of a tag that name a platform to its OCI (Go) architecture."""
    return {word: ARCHITECTURES[word] for word in _words(tag) if word in ARCHITECTURES}


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for _, implied in read_environment(environment):
        if all(found.get(name, value) == value for name, value in implied.items()):  # else the first one counts
            found.update({name: value for name, value in implied.items() if value})
    return found


def _from_labels(labels: Mapping[str, str]) -> dict[str, str]:
    # BioContainers: github.com/BioContainers/specs, container-specs.md
    return {
        "software.name": labels.get("software", "").lower(),
        "software.version": labels.get("software.version", ""),
    }


def _from_reference(reference: str) -> dict[str, str]:
    repository, tag = _split(reference)
    if not tag:
        return {}
    found = {"software.name": re.sub(r"[^a-z0-9._+-]", "", repository.rpartition("/")[2].lower())}
    version = _VERSION.match(tag) or re.match(r"[0-9]{4}(?=$|-)", tag)
    found["software.version"] = version.group() if version else ""
    for _, implied in read_tag(tag, e4s=found["software.name"].startswith("e4s")):
        found.update({name: value for name, value in implied.items() if not vocabulary()[key(name)].fault(value)})
    return found


def _split(reference: str) -> tuple[str, str]:
    """Return repository and tag; no tag: the colon belonged to a port or a transport, or there was none."""
    if reference.startswith(("oci:", "oci-archive:")):  # a folder's name names no software
        try:
            return "", parse_reference(reference).short_tag
        except UsageError:
            return "", ""
    repository, _, tag = reference.partition("@")[0].rpartition(":")
    return (repository, tag) if repository and "/" not in tag else ("", "")


def _from_word(word: str, e4s: bool) -> Implied:
    for read in (_cuda_of, _rocm_of, _mpi_of):
        implied = read(word)
        if implied:
            return implied
    # E4S alone writes the compute capability: elsewhere cuda80 is the toolkit 8.0.
    gpu = re.fullmatch(r"cuda(70|80|90|120)", word) if e4s else None
    if gpu:
        return {"hardware.gpu.runtime": "cuda", "hardware.gpu.architecture": f"sm_{gpu.group(1)}"}
    # A family in a tag names the platform, not what the code was optimized for; m1 may be a milestone.
    if word in known_targets() and family(word) != word and not re.fullmatch(r"[a-z][0-9]{1,2}", word):
        return {"hardware.cpu.optimized.version": word}
    return {}


def _cuda_of(word: str) -> Implied:
    """Read ``cuda12.4``, ``cuda12`` and PyTorch's ``cu124``; not ``cuda124``, which may be a compute capability."""
    short = re.fullmatch(rf"cu({_CUDA_MAJOR})([0-9])", word)
    plain = re.fullmatch(rf"(?:cuda|cu)([0-9]+\.[0-9]+|{_CUDA_MAJOR})(?:\.[0-9]+)?", word)
    if not (short or plain):
        return {}
    version = f"{short[1]}.{short[2]}" if short else plain[1] if plain else ""
    return {"hardware.gpu.runtime": "cuda", "hardware.gpu.cuda.version": version}


def _rocm_of(word: str) -> Implied:
    rocm = re.fullmatch(r"rocm([0-9]+\.[0-9]+(?:\.[0-9]+)?)", word)
    if rocm:
        return {"hardware.gpu.runtime": "rocm", "hardware.gpu.rocm.version": rocm.group(1)}
    if re.fullmatch(r"gfx[0-9a-f]{3,5}", word):
        return {"hardware.gpu.runtime": "rocm", "hardware.gpu.architecture": word}
    return {}


def _mpi_of(word: str) -> Implied:
    """Read a name and the version glued to it; the 2 of ``mvapich2`` and ``mpich2`` is part of the name."""
    match = _MPI_WORD.fullmatch(re.sub(r"^(mvapich|mpich)2$", r"\1", word))
    if not match:
        return {}
    version = {"mpi.version": match[2]} if match[2] else {}
    return {"mpi.implementation": _MPI_WORDS[match[1]], **version}


def _words(tag: str) -> list[str]:
    """Return a tag's words; an underscore separates them too, but not inside ``x86_64`` or ``skylake_avx512``."""
    words: list[str] = []
    joined = _PAIRS.sub(lambda match: match[1] or match[2] or match[3], tag.lower())
    for word in re.split(r"[-+]+", joined):
        whole = word in ARCHITECTURES or word in known_targets()
        words += [word] if whole else word.split("_")
    return words


def _first_version(text: str) -> str:
    match = _VERSION.search(text)
    return ".".join(match.group().split(".")[:3]) if match else ""
