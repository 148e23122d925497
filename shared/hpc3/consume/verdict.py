"""Verdicts: what a check says, why, on what evidence, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How an image gets on with a host; ``severity`` orders them, the overall verdict is the worst."""

    OK = "ok"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    FAILS = "fails"

    @property
    def severity(self) -> int:
        """0 for ok up to 3 for fails."""
        return _SEVERITY[self]

    @property
    def exit_code(self) -> int:
        """Exit code of ``hpc3 check``: 0 ok, 10 degraded, 20 fails, 30 unknown."""
        return _EXIT_CODES[self]


_SEVERITY = {Verdict.OK: 0, Verdict.DEGRADED: 1, Verdict.UNKNOWN: 2, Verdict.FAILS: 3}
_EXIT_CODES = {Verdict.OK: 0, Verdict.DEGRADED: 10, Verdict.FAILS: 20, Verdict.UNKNOWN: 30}


@dataclass(frozen=True)
class Side:
    """One side's evidence.

    Attributes:
        subject: an annotation key, ``env NAME``, or an attribute of the fingerprint (``gpus.driver``).
        value: what it says; empty: nothing.
        place: for an image, the place it was read from (`hpc3.consume.image.PLACES`); for a host empty.
    """

    subject: str
    value: str
    place: str = ""


@dataclass(frozen=True)
class Judgement:
    """One statement of a facet.

    Attributes:
        facet: ``cpu``, ``gpu``, ``mpi``, ``fabric``, ``libc``, ``kernel``, ``devices``, ``metadata``.
        verdict: what it means for running the image.
        code: stable name for programs, such as ``CPU_MISSING_FLAGS``.
        reason: one sentence for a person.
        image: evidence on the image's side.
        host: evidence on the host's side.
        remedy: a command or a setting that helps; empty where nothing does.
    """

    facet: str
    verdict: Verdict
    code: str
    reason: str
    image: tuple[Side, ...] = ()
    host: tuple[Side, ...] = ()
    remedy: str = ""


def worst(judgements: Iterable[Judgement]) -> Verdict:
    """Return the worst verdict; ok where there is no judgement."""
    return max(
        (judgement.verdict for judgement in judgements), key=lambda verdict: verdict.severity, default=Verdict.OK
    )
