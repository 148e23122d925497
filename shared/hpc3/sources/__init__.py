"""Readers of build systems: each turns one kind of input into facts and a request.

What a path is, its shape tells: a folder with ``spack.lock``, a lock, an easyconfig, a record, a recipe of HPCCM, a
facts document. Each kind has a function ``(path, picks) -> Source`` in the table below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hpc3.errors import InputError, UsageError

from .source import RecipeArguments, Source

Reader = Callable[[Path, Sequence[str]], Source]


def read_source(path: Path, picks: Sequence[str] = (), arguments: RecipeArguments | None = None) -> Source:
    """Read a source, whatever kind it is.

    Args:
        path: a file or a folder.
        picks: roots to keep (``--root``); none: all.
        arguments: what a recipe of HPCCM is run with.

    Raises:
        InputError: it is no source, or not what it should be.
        UsageError: there are arguments, but it is no recipe of HPCCM.
    """
    # By its name alone, and only the file itself: to read a recipe is to run it.
    if path.suffix == ".py":
        from .hpccm_source import read_recipe

        return read_recipe(path, picks, arguments)
    if arguments:
        raise UsageError("--cpu-target and --userarg are for recipes of HPCCM")
    return _reader_for(path)(path, picks)


def _reader_for(path: Path) -> Reader:
    # Imported where it is needed: a lock costs no more than a lock.
    if path.is_dir() or path.name == "spack.yaml" or path.suffix == ".lock":
        from .spack_environment import read_environment

        return read_environment
    if path.suffix == ".eb":
        from .easybuild_source import read_easyconfig

        return read_easyconfig
    if path.suffix == ".json":
        return _reader_of_document(path)
    if not path.exists():
        raise InputError("there is no such file", where=str(path))
    raise InputError(
        "is not a spack.lock, a folder with one, an easyconfig, a record, a recipe of HPCCM or facts", where=str(path)
    )


def _reader_of_document(path: Path) -> Reader:
    from .documents import Place, parse_json_object, read_document
    from .easybuild_record import is_record

    if path.exists() and is_record(parse_json_object(read_document(path), Place(str(path)))):
        from .easybuild_source import read_record

        return read_record
    from .facts_document import read_facts

    return read_facts
