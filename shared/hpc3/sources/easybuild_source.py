"""A record, or an easyconfig whose record EasyBuild is asked for, as a source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hpc3.errors import InputError

from .documentation import documentation_beside
from .documents import read_document
from .easybuild_facts import facts_from_record
from .easybuild_record import parse_record
from .easybuild_request import request_from_record
from .easyconfig import ask_easybuild
from .source import Source

#: The record of a closure of 300 modules has about 1 MB.
_RECORD_LIMIT = 64 * 1024 * 1024


def read_record(path: Path, picks: Sequence[str] = ()) -> Source:
    """Read a record that the hooks wrote.

    Raises:
        InputError: it is not what it should be, or roots are picked.
    """
    _refuse_picks(path, picks)
    return source_from_record(read_document(path, _RECORD_LIMIT), path)


def read_easyconfig(path: Path, picks: Sequence[str] = ()) -> Source:
    """Ask EasyBuild for the record of an easyconfig: a path, or a name that its robot search path has.

    Raises:
        InputError: EasyBuild is not found, or refuses the easyconfig; roots are picked.
    """
    _refuse_picks(path, picks)
    return source_from_record(ask_easybuild(path), path)


def source_from_record(data: bytes, path: Path) -> Source:
    """Return the source that a record's bytes are; documentation lies beside ``path``.

    Raises:
        InputError: it is not what it should be.
    """
    record = parse_record(data, path.name)
    facts = facts_from_record(record, documentation=documentation_beside(path.parent))
    return Source(facts, request_from_record(record), files={"record.json": data})


def _refuse_picks(path: Path, picks: Sequence[str]) -> None:
    if picks:
        raise InputError("--root picks roots of a Spack environment; an easyconfig is its own root", where=str(path))
