"""Which kinds of finding cannot arise, because what was judged does not hold what they are about."""

from __future__ import annotations

from .finding import kinds
from .subject import Subject

_OF_STARTS = "HPC6"
_OF_CONFIG = ("HPC1", "HPC406", "HPC410", "HPC411", "HPC412", "HPC505")
_OF_DOCKERFILES = ("HPC113",)
_OF_ANNOTATIONS = ("HPC401", "HPC402", "HPC403", "HPC503")
_OF_LABELS = ("HPC401", "HPC402", "HPC403", "HPC404", "HPC409", "HPC504")
_OF_PLATFORMS = ("HPC302",)
_OF_REFERRERS = ("HPC408",)
_OF_INDEXES = ("HPC414", "HPC415")
#: What an image in a store has and a file has not: a tag, and a base image that can be read.
_OF_STORES = ("HPC405", "HPC407", "HPC413")


def unchecked(subject: Subject, *, started: bool) -> frozenset[str]:
    """Return the codes that nothing was held against.

    Args:
        subject: what was judged.
        started: whether it was started, too.
    """
    absent = (
        (not started, (_OF_STARTS,)),
        (subject.config is None, _OF_CONFIG),
        (not subject.base, _OF_DOCKERFILES),
        (subject.annotations is None, _OF_ANNOTATIONS),
        (subject.labels is None, _OF_LABELS),
        (not subject.platform.get("architecture"), _OF_PLATFORMS),
        (subject.referrers is None, _OF_REFERRERS),
        (not (subject.descriptor or subject.described), _OF_INDEXES),
        (not subject.reference, _OF_STORES),
    )
    stems = tuple(stem for is_absent, group in absent if is_absent for stem in group)
    return frozenset(code for code in kinds() if code.startswith(stems))
