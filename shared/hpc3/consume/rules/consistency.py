"""Does every place say the same: annotation, label, environment, tag, attached artifacts, base image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from hpc3.consume.finding import Finding, finding
from hpc3.consume.infer import ARCHITECTURES, VENDORS, Implied, platforms_of_tag, read_environment, read_tag
from hpc3.consume.subject import Subject
from hpc3.facts import Unknown
from hpc3.versions import is_at_least, same_version
from hpc3.vocabulary import OCI_PREFIX, PREFIX, key, vocabulary

_RUNTIME = "hardware.gpu.runtime"
_TARGET = "hardware.cpu.optimized.version"
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
#: Software that links no MPI library may well stand on a base image that brings one.
_WITHOUT_MPI = ("none", "threadmpi")
#: What a base image is named by: its tag may have been kept.
_BELOW = ("hardware.gpu.cuda.version", "hardware.gpu.rocm.version", "os.version")
#: A year and a month, as NVIDIA NGC and others count their releases, whatever is inside.
_CALENDAR = re.compile(r"(?:1[5-9]|2[0-9])\.(?:0[1-9]|1[0-2])(?:\.[0-9]+)?")


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
    where = subject.place("Env")
    # An image without MPI of its own has left what the base image says of one alone.
    without_mpi = stated.get(key("mpi.implementation"), "") in _WITHOUT_MPI
    read = [each for each in read_environment(environment) if not (without_mpi and "mpi.implementation" in each[1])]
    # What is asked of the driver is a lower bound: see _demands_newer.
    read = [(name, {_RUNTIME: "cuda"} if name == "NVIDIA_REQUIRE_CUDA" else implied) for name, implied in read]
    for name, told in _denied(read, stated):
        yield finding("HPC406", where, name=name, value=environment[name], stated=told)
    yield from _cuda_elsewhere(subject, environment, stated.get(_CUDA, ""))
    if subject.config is not None and "nvidia" in stated.get(key("hardware.gpu.vendor"), "").split(","):
        for name in _NVIDIA_VARIABLES:
            if name not in environment:
                yield finding("HPC410", where, name=name)


def _cuda_elsewhere(subject: Subject, environment: Mapping[str, str], cuda: str) -> Iterator[Finding]:
    """Yield where NVIDIA's label, its demand on the driver, and search paths speak of another CUDA."""
    if not cuda:
        return
    label = (subject.labels or {}).get("com.nvidia.cuda.version", "")
    if label and not same_version(label, cuda):
        where = subject.place("com.nvidia.cuda.version")
        yield finding("HPC409", where, label="com.nvidia.cuda.version", value=label, stated=cuda)
    required = environment.get("NVIDIA_REQUIRE_CUDA", "")
    is_off = environment.get("NVIDIA_DISABLE_REQUIRE", "") in ("1", "t", "T", "TRUE", "true", "True")
    if not is_off and _demands_newer(required, cuda):
        yield finding("HPC412", subject.place("Env"), value=required, stated=cuda)
    for name in ("LD_LIBRARY_PATH", "LIBRARY_PATH", "PATH"):
        for version in sorted(set(re.findall(r"/cuda-([0-9]+\.[0-9]+)(?=[/:]|$)", environment.get(name, "")))):
            if not same_version(version, cuda):
                yield finding("HPC411", subject.place("Env"), name=name, value=version, stated=cuda)


def _demands_newer(requirement: str, cuda: str) -> bool:
    """Whether every alternative of NVIDIA_REQUIRE_CUDA asks for more than the stated CUDA.

    A blank parts alternatives, a comma conditions that hold together. An alternative that speaks of the driver only
    asks for no CUDA: NVIDIA lists so the drivers for which the image brings compatibility libraries.
    """
    alternatives = requirement.split()
    return bool(alternatives) and all(
        any(_is_newer(condition, cuda) for condition in alternative.split(",")) for alternative in alternatives
    )


def _is_newer(condition: str, cuda: str) -> bool:
    match = re.fullmatch(r"cuda(>=|=|>)([0-9]+(?:\.[0-9]+)*)", condition)
    if not match:
        return False
    if same_version(match[2], cuda):  # whoever states 12.4 does not deny 12.4.1
        return match[1] == ">" and match[2].count(".") >= cuda.count(".")
    return not is_at_least(cuda, match[2])


def _tag(subject: Subject) -> Iterator[Finding]:
    tag, stated = subject.tag, subject.stated()
    if not tag:
        return
    for word, told in (*_denied(read_tag(tag), stated), *_other_platform(subject)):
        yield finding("HPC407", subject.reference, tag=tag, value=word, stated=told)
    version = stated.get(key("software.version"), "")
    start = re.match(r"v?([0-9]+(?:\.[0-9]+)+)(?=$|[-_])", tag)
    if not start or not version or same_version(start.group(1), version):
        return
    # A tag may begin with another version than the software's: a release by year and month, or that of what is below.
    others = [stated[key(name)] for name in _BELOW if "." in stated.get(key(name), "")]
    is_calendar = _CALENDAR.fullmatch(start.group(1)) and not _CALENDAR.fullmatch(version)
    if not is_calendar and not any(same_version(start.group(1), other) for other in others):
        yield finding("HPC407", subject.reference, tag=tag, value=start.group(1), stated=version)


def _other_platform(subject: Subject) -> Iterator[tuple[str, str]]:
    stated = subject.platform.get("architecture", "")
    named = platforms_of_tag(subject.tag)
    if named and stated and ARCHITECTURES.get(stated, stated) not in named.values():
        yield next(iter(named)), f"architecture {stated}"


def _denied(read: Iterable[tuple[str, Implied]], stated: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the words or variables that deny what is stated, and what of it.

    Of several MPI libraries, or CPU targets, one may be stated: only where none of them is, the first is told.
    """
    alternatives: dict[str, list[tuple[str, str]]] = {}
    for word, implied in read:
        told = next((told for deny in (_denied_gpu, _denied_mpi, _denied_cpu) for told in deny(implied, stated)), "")
        subject = next(iter(implied))
        if subject != _RUNTIME:
            alternatives.setdefault(subject, []).append((word, told))
        elif told:
            yield word, told
    for group in alternatives.values():
        if all(told for _, told in group):
            yield group[0]


def _denied_gpu(implied: Implied, stated: Mapping[str, str]) -> Iterator[str]:
    runtime = implied.get(_RUNTIME, "")
    vendor = stated.get(key("hardware.gpu.vendor"), "")
    versions = [name for name in ("hardware.gpu.cuda.version", "hardware.gpu.rocm.version") if implied.get(name)]
    # HIP needs a ROCM_PATH for NVIDIA, too; a version is that of a toolkit.
    if runtime and vendor and VENDORS[runtime] not in vendor.split(",") and (versions or vendor == "none"):
        yield f"hardware.gpu.vendor {vendor}"
    for name in versions:
        other = stated.get(key(name), "")
        if other and not same_version(implied[name], other):
            yield f"{name} {other}"
    architectures = stated.get(key("hardware.gpu.architecture"), "")
    architecture = implied.get("hardware.gpu.architecture", "")
    if architecture and architectures and architecture not in architectures.split(","):
        yield f"hardware.gpu.architecture {architectures}"


def _denied_mpi(implied: Implied, stated: Mapping[str, str]) -> Iterator[str]:
    named, implementation = implied.get("mpi.implementation", ""), stated.get(key("mpi.implementation"), "")
    if not named or not implementation:
        return
    version, other = implied.get("mpi.version", ""), stated.get(key("mpi.version"), "")
    if named != implementation:
        yield f"mpi.implementation {implementation}"
    elif version and other and not same_version(version, other):
        yield f"mpi.version {other}"


def _denied_cpu(implied: Implied, stated: Mapping[str, str]) -> Iterator[str]:
    named, target = (values.get(name, "") for values, name in ((implied, _TARGET), (stated, key(_TARGET))))
    # Code that asks the processor may be as good on the one named as on the least.
    is_dispatch = stated.get(key("hardware.cpu.optimized.mode"), "") == "dispatch"
    if named and target and named != target and not is_dispatch:
        yield f"{_TARGET} {target}"


def _sbom(subject: Subject) -> Iterator[Finding]:
    digest = subject.stated().get(PREFIX + "sbom.digest", "")
    if digest and subject.referrers is not None:
        blobs = {blob for referrer in subject.referrers for blob in referrer.blobs}
        if digest not in blobs:
            yield finding("HPC408", subject.place(PREFIX + "sbom.digest"), value=digest)
