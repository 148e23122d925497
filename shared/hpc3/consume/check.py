"""Check an image against a host: every facet, each with its verdict; the overall verdict is the worst."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from hpc3.fingerprint import Fingerprint
from hpc3.vocabulary import vocabulary

from .facets.cpu import check_cpu
from .facets.devices import check_devices
from .facets.fabric import check_fabric
from .facets.gpu import check_gpu
from .facets.kernel import check_kernel
from .facets.libc import check_libc
from .facets.metadata import check_metadata
from .facets.mpi import check_mpi
from .image import Image
from .verdict import Judgement, Verdict, worst

#: Facet to the question it asks, in the order in which people read them.
FACETS: Mapping[str, Callable[[Image, Fingerprint], Iterable[Judgement]]] = {
    "cpu": check_cpu,
    "gpu": check_gpu,
    "mpi": check_mpi,
    "fabric": check_fabric,
    "libc": check_libc,
    "kernel": check_kernel,
    "devices": check_devices,
    "metadata": check_metadata,
}


@dataclass(frozen=True)
class Report:
    """What a check found: judgements in the order of `FACETS`, within a facet the worst first."""

    image: Image
    host: Fingerprint
    judgements: tuple[Judgement, ...]

    @cached_property
    def verdict(self) -> Verdict:
        """The worst of all judgements."""
        return worst(self.judgements)

    def facet(self, name: str) -> tuple[Judgement, ...]:
        """Return the judgements of one facet, the worst first."""
        return tuple(judgement for judgement in self.judgements if judgement.facet == name)

    @property
    def sentence(self) -> str:
        """The verdict as one sentence for a person."""
        deciding = [judgement for judgement in self.judgements if judgement.verdict is self.verdict]
        opening = {
            Verdict.OK: "runs",
            Verdict.DEGRADED: "runs, but not as well as it could: ",
            Verdict.UNKNOWN: "",
            Verdict.FAILS: "will not run here: ",
        }[self.verdict]
        return opening if self.verdict is Verdict.OK else f"{opening}{deciding[0].reason}"


def check_image(image: Image, host: Fingerprint) -> Report:
    """Return what every facet says about running ``image`` on ``host``.

    Of an image that an index alone speaks of, what an index never says is left out rather than called unknown.
    """
    judgements: list[Judgement] = []
    for ask in FACETS.values():
        said = (
            judgement for judgement in ask(image, host) if not (image.is_partial and _is_beyond_an_index(judgement))
        )
        judgements += sorted(said, key=lambda judgement: (-judgement.verdict.severity, judgement.code))
    return Report(image, host, tuple(judgements))


def _is_beyond_an_index(judgement: Judgement) -> bool:
    """Whether a judgement is unknown for the sole lack of keys that are not written on index descriptors."""
    silent = [vocabulary()[side.subject] for side in judgement.image if side.subject in vocabulary() and not side.value]
    return judgement.verdict is Verdict.UNKNOWN and bool(silent) and not any(known.is_selection for known in silent)
