"""Find the image to take on a host, among many: ranked, and every place explained.

Images are compared criterion by criterion; the first that differs decides. An image that cannot run stands behind
every image that can, so that adding one never changes who is first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpc3.fingerprint import Fingerprint
from hpc3.targets import known_targets
from hpc3.versions import version_numbers

from .check import Report, check_image
from .facets.cpu import canonical_target
from .image import Image
from .verdict import Verdict

_FAR = 1000
_CODE_RANK = {"GPU_CODE_NATIVE": 0, "GPU_CODE_OLDER": 1, "GPU_CODE_PTX": 2}
_FABRIC_RANK = {
    "FABRIC_NOT_NEEDED": 0,
    "FABRIC_NONE": 0,
    "FABRIC_NATIVE": 0,
    "FABRIC_SWAP": 0,
    "FABRIC_INJECT": 1,
    "FABRIC_TCP": 2,
}


@dataclass(frozen=True)
class Criterion:
    """What one comparison says of one image: smaller is better; ``shown`` is what a person reads."""

    name: str
    rank: Any
    shown: str


@dataclass(frozen=True)
class Ranked:
    """An image in its place.

    Attributes:
        report: what `check_image` says of it.
        criteria: in the order in which they decide.
        why: one sentence: why it is first, or what the first has before it.
    """

    report: Report
    criteria: tuple[Criterion, ...]
    why: str


@dataclass(frozen=True)
class Wanted:
    """What is looked for: a software and, where given, what its version begins with."""

    name: str
    version: str = ""

    def fits(self, image: Image) -> bool:
        """Whether an image is of this software and version."""
        version = image.value("software.version")
        return image.value("software.name") == self.name and (
            not self.version or f"{version}.".startswith(f"{self.version}.")
        )


def wanted_software(text: str) -> Wanted:
    """Return what ``gromacs``, ``gromacs@2024`` or ``GROMACS@2024.2`` asks for."""
    name, _, version = text.partition("@")
    return Wanted(name.strip().lower(), version.strip())


def rank_images(images: Iterable[Image], host: Fingerprint) -> tuple[Ranked, ...]:
    """Return the images in the order in which they should be taken; each digest once, nothing left out."""
    distinct = {image.digest or image.reference or str(number): image for number, image in enumerate(images)}
    judged = []
    for image in distinct.values():
        report = check_image(image, host)
        judged.append((_criteria(report), report))
    judged.sort(key=lambda entry: tuple(criterion.rank for criterion in entry[0]))
    return tuple(
        Ranked(report, criteria, _why(place, criteria, report, judged))
        for place, (criteria, report) in enumerate(judged)
    )


def _criteria(report: Report) -> tuple[Criterion, ...]:
    image = report.image
    verdict, version = report.verdict, image.value("software.version")
    target = image.value("hardware.cpu.optimized.version")
    runs = verdict in (Verdict.OK, Verdict.DEGRADED)
    codes = {judgement.code for judgement in report.judgements}
    uses_gpu = not codes.isdisjoint(_CODE_RANK)
    code = min((_CODE_RANK[name] for name in codes if name in _CODE_RANK), default=0)
    fabric = min((_FABRIC_RANK[name] for name in codes if name in _FABRIC_RANK), default=2)
    worst_of = {name: max((f.verdict.severity for f in report.facet(name)), default=0) for name in ("mpi", "libc")}
    return (
        # Degraded and ok are told apart by what follows: a GPU image that is not perfect beats a CPU image that is.
        Criterion("verdict", 0 if runs else verdict.severity, verdict.value),
        Criterion("GPU", 0 if uses_gpu or not report.host.gpus else 1, "uses the GPU" if uses_gpu else "no GPU code"),
        Criterion("CPU", _cpu_distance(report), target or "CPU not stated"),
        Criterion("GPU code", code, image.value("hardware.gpu.architecture") or "none"),
        Criterion("fabric", fabric, image.value("communication.framework") or "not stated"),
        Criterion("MPI", worst_of["mpi"] + worst_of["libc"], image.value("mpi.implementation") or "not stated"),
        Criterion("quality", verdict.severity, verdict.value),
        Criterion("version", _newest_first(version), version or "not stated"),
        Criterion("size", _FAR**4 if image.size is None else image.size, f"{image.size or 'unknown'} bytes"),
        Criterion("statements", -len(image.statements), f"{len(image.statements)} statements"),
        Criterion("digest", image.digest or image.reference, image.digest[:19]),
    )


def _cpu_distance(report: Report) -> int:
    """Return how far code lies from the host: steps down archspec's order; what is not below it lies far away."""
    target = canonical_target(report.image.value("hardware.cpu.optimized.version"))
    known = known_targets()
    if not target or report.host.cpu is None or report.host.cpu.target not in known:
        return _FAR
    host, wanted = known[report.host.cpu.target], known[target]
    if host == wanted:
        return 0
    if wanted in host.ancestors:
        return sum(1 for ancestor in host.ancestors if ancestor > wanted) + 1
    return _FAR - len(wanted.features)


def _newest_first(version: str) -> tuple[int, ...]:
    numbers = [-number for number in version_numbers(version)]
    return (*numbers, 1)  # a longer version is newer: 2024.1 after 2024


def _why(
    place: int, criteria: tuple[Criterion, ...], report: Report, judged: Sequence[tuple[tuple[Criterion, ...], Report]]
) -> str:
    if report.verdict in (Verdict.FAILS, Verdict.UNKNOWN):
        return report.sentence
    if place == 0:
        others = judged[1][0] if len(judged) > 1 else ()
        for mine, other in zip(criteria, others):
            if mine.rank != other.rank:
                return f"best by {mine.name}: {mine.shown} before {other.shown}"
        return "the only one that runs"
    for mine, first in zip(criteria, judged[0][0]):
        if mine.rank != first.rank:
            return f"{mine.name}: {mine.shown}, the first has {first.shown}"
    return "like the first in everything that counts"


def ranked_document(ranked: Sequence[Ranked]) -> list[Mapping[str, Any]]:
    """Return the ranking as plain data, the first first."""
    return [
        {
            "place": place,
            "reference": entry.report.image.reference,
            "digest": entry.report.image.digest,
            "verdict": entry.report.verdict.value,
            "why": entry.why,
            "criteria": {criterion.name: criterion.shown for criterion in entry.criteria},
        }
        for place, entry in enumerate(ranked, 1)
    ]
