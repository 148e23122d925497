"""Judge an image's metadata: does it keep the behaviour contract, and does it speak the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable

from .finding import ERROR, WARNING, Finding
from .rules.consistency import check_consistency
from .rules.contract import check_contract
from .rules.cross_field import check_cross_field
from .rules.grammar import check_grammar
from .rules.index import check_index
from .subject import Subject

_CHECKS = (check_contract, check_grammar, check_cross_field, check_consistency, check_index)


def validate_subject(subject: Subject) -> tuple[Finding, ...]:
    """Return everything that is wrong with a subject, sorted by code, place and message."""
    found = {finding for check in _CHECKS for finding in check(subject)}
    return tuple(sorted(found, key=lambda f: (f.code, f.where, f.message)))


def is_rejected(findings: Iterable[Finding], *, strict: bool = False) -> bool:
    """Whether the findings reject the subject: an error does, and a warning where it is strict."""
    return any(f.level == ERROR or (strict and f.level == WARNING) for f in findings)
