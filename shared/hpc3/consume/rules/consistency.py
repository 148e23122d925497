"""Does every place say the same: annotation, label, environment, tag, attached artifacts, base image."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpc3.consume.finding import Finding, finding
from hpc3.consume.subject import Subject
from hpc3.facts import Unknown
from hpc3.vocabulary import OCI_PREFIX, PREFIX, key, vocabulary

_CUDA = key("hardware.gpu.cuda.version")
_NVIDIA_VARIABLES = ("NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES")
#: Of the keys that no image inherits, those that may well say the same of two images.
_SHARED = (
    key("schema.version"),
    key("sbom.mediatype"),
    *(OCI_PREFIX + name for name in ("description", "documentation", "licenses", "revision", "source")),
)
_OWN = {known.name for known in vocabulary().values() if known.merge == "never"}.difference(_SHARED)
#: Keys that name something together: where one of both is this image's own, the other may be, too.
_PARTNERS = {
    key("software.name"): key("software.version"),
    OCI_PREFIX + "title": OCI_PREFIX + "version",
    OCI_PREFIX + "version": OCI_PREFIX + "title",
}
_MPI_NAMES = ("cray-mpich", "intel-mpi", "mpich", "mvapich", "openmpi")


def check_consistency(subject: Subject) -> Iterator[Finding]:
    """Yield contradictions between the places that can state a fact."""
    yield from _labels(subject)
    yield from _left_over(subject)
    yield from _environment(subject)
    yield from _tag(subject)
    yield from _sbom(subject)


def _labels(subject: Subject) -> Iterator[Finding]:
    labels = subject.labels or {}
    for known in vocabulary().values():
        name = known.name
        if name in labels and name.startswith(key("documentation.")):
            yield finding("HPC404", subject.place(name), key=name)
    if subject.annotations is None or subject.labels is None:
        return
    for name in sorted(set(labels) & set(subject.annotations)):
        if labels[name] != subject.annotations[name]:
            value, other = subject.annotations[name], labels[name]
            yield finding("HPC401", subject.place(name), key=name, value=value, other=other)
    for known in vocabulary().values():
        name = known.name
        if known.is_label and name in subject.annotations and name not in labels:
            yield finding("HPC402", subject.place(name), key=name)
        elif name in labels and name not in subject.annotations and not name.startswith(OCI_PREFIX):
            yield finding("HPC403", subject.place(name), key=name)


def _left_over(subject: Subject) -> Iterator[Finding]:
    """Yield keys of the base image that came into this one unchanged though every image must state its own."""
    stated = subject.stated()
    if isinstance(subject.inherited, Unknown):
        if any(name in vocabulary() for name in stated):
            yield finding("HPC413", subject.name, reason=subject.inherited.reason)
        return
    same = {name for name, value in subject.inherited.items() if stated.get(name) == value}
    for name in sorted(same):
        partner = _PARTNERS.get(name, "")
        renamed = partner in subject.inherited and partner not in same
        if (name in _OWN or partner) and not renamed:
            yield finding("HPC405", subject.place(name), key=name, value=stated[name])


def _environment(subject: Subject) -> Iterator[Finding]:
    environment = subject.environment()
    stated = subject.stated()
    cuda = stated.get(_CUDA, "")
    label = (subject.labels or {}).get("com.nvidia.cuda.version", "")
    if cuda and environment.get("CUDA_VERSION") and not _same_version(environment["CUDA_VERSION"], cuda):
        value = environment["CUDA_VERSION"]
        yield finding("HPC406", subject.place("Env"), name="CUDA_VERSION", value=value, stated=cuda)
    if cuda and label and not _same_version(label, cuda):
        where = subject.place("com.nvidia.cuda.version")
        yield finding("HPC409", where, label="com.nvidia.cuda.version", value=label, stated=cuda)
    required = _required_cuda(environment.get("NVIDIA_REQUIRE_CUDA", ""))
    if cuda and required and not _same_version(required, cuda):
        yield finding("HPC412", subject.place("Env"), value=f"cuda>={required}", stated=cuda)
    for name in ("LD_LIBRARY_PATH", "LIBRARY_PATH", "PATH"):
        for version in sorted(set(re.findall(r"/cuda-([0-9]+\.[0-9]+)(?=[/:]|$)", environment.get(name, "")))):
            if cuda and not _same_version(version, cuda):
                yield finding("HPC411", subject.place("Env"), name=name, value=version, stated=cuda)
    if subject.config is not None and "nvidia" in stated.get(key("hardware.gpu.vendor"), "").split(","):
        for name in _NVIDIA_VARIABLES:
            if name not in environment:
                yield finding("HPC410", subject.place("Env"), name=name)


def _required_cuda(requirement: str) -> str:
    """Return the CUDA version that every alternative of NVIDIA_REQUIRE_CUDA asks for (blank: or, comma: and)."""
    alternatives = [re.search(r"(?:^|,)cuda>=([0-9]+\.[0-9]+)", each) for each in requirement.split()]
    return alternatives[0].group(1) if alternatives and alternatives[0] else ""


def _tag(subject: Subject) -> Iterator[Finding]:
    tag = _tag_of(subject.reference)
    stated = subject.stated()
    cuda = re.search(r"(?:^|[-_.])cuda-?([0-9]+(?:\.[0-9]+)*)(?=$|[-_.])", tag)
    if cuda and stated.get(_CUDA) and not _same_version(cuda.group(1), stated[_CUDA]):
        yield finding("HPC407", subject.reference, tag=tag, value=f"CUDA {cuda.group(1)}", stated=stated[_CUDA])
    implementation = stated.get(key("mpi.implementation"), "")
    named = next((name for name in _MPI_NAMES if re.search(rf"(?:^|[-_]){name}(?=$|[-_.0-9])", tag)), "")
    if named and implementation and named != implementation:
        yield finding("HPC407", subject.reference, tag=tag, value=named, stated=implementation)
    version = stated.get(key("software.version"), "")
    start = re.match(r"v?([0-9]+(?:\.[0-9]+)+)(?=$|[-_])", tag)
    if start and version and not _same_version(start.group(1), version):
        yield finding("HPC407", subject.reference, tag=tag, value=start.group(1), stated=version)


def _tag_of(reference: str) -> str:
    name = reference.split("@")[0].rsplit("/", 1)[-1]
    return name.partition(":")[2]


def _sbom(subject: Subject) -> Iterator[Finding]:
    digest = subject.stated().get(PREFIX + "sbom.digest", "")
    if digest and subject.referrers is not None:
        blobs = {blob for referrer in subject.referrers for blob in referrer.blobs}
        if digest not in blobs:
            yield finding("HPC408", subject.place(PREFIX + "sbom.digest"), value=digest)


def _same_version(left: str, right: str) -> bool:
    """Whether two versions agree as far as both say."""
    pairs = list(zip(re.split(r"[._-]", left), re.split(r"[._-]", right)))
    return all(a == b for a, b in pairs)
