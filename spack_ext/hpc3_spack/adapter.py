"""Everything that asks Spack: which environment is meant, whether its lock is current, what its packages say.

The one module that touches ``Environment`` and ``Spec``. The lock itself is read by `hpc3.sources`, as without Spack,
so that both give the same recipe; Spack is only asked for what no lock holds, and only once per lock: the answers are
kept beside it in ``hpc3-metadata.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import spack.cmd
import spack.environment
import spack.util.spack_yaml

from hpc3.cli.output import talk, write_product
from hpc3.errors import InputError
from hpc3.sources import read_source
from hpc3.sources.source import Source
from hpc3.sources.spack_environment import environment_source
from hpc3.sources.spack_metadata import METADATA_NAME, metadata_document

from .compat import adopt_archspec

#: How a person makes a lock, or a new one.
_CONCRETIZE = "concretize: spack -e . concretize, or add --concretize"


def environment_folder() -> Path:
    """Return the folder of the environment that is meant: the active one (``-e``, ``-D``), else the current folder."""
    active = spack.environment.active_environment()
    return Path(active.path) if active is not None else Path.cwd()


def read_with_spack(path: Path, picks: Sequence[str] = (), *, quiet: bool = False) -> Source:
    """Read a source; where it is an environment, ask Spack for what its lock does not hold.

    Raises:
        InputError: it is no source, or not what it should be; the lock is missing, or older than ``spack.yaml``.
    """
    adopt_archspec()
    if path.name == "spack.yaml":
        path = path.parent
    if path.is_dir():
        return _read_environment(path, picks, quiet=quiet)
    if path.suffix == ".lock":
        return environment_source(path, picks, load_yaml)
    return read_source(path, picks)


def load_yaml(data: bytes, name: str) -> object:
    """Return a parsed YAML document, read by Spack's own reader.

    Raises:
        InputError: it is not YAML.
    """
    stream = _NamedText(data.decode("utf-8", "replace"))
    stream.name = name
    try:
        return spack.util.spack_yaml.load(stream)
    except spack.util.spack_yaml.SpackYAMLError as error:
        cause = error.__cause__ or error
        mark = getattr(cause, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(cause, "problem", None) or str(cause).partition("\n")[0]
        raise InputError(f"is not YAML: {place}{problem}", where=name) from error


class _NamedText(io.StringIO):
    """Spack's reader asks a stream for its name."""

    name = ""


def concretize(path: Path) -> None:
    """Concretize an environment as ``spack concretize`` does, with what it says on stderr."""
    with _activated(_environment(path)), contextlib.redirect_stdout(sys.stderr):
        command = spack.cmd.get_module("concretize")
        parser = argparse.ArgumentParser()
        command.setup_parser(parser)
        command.concretize(parser, parser.parse_args([]))


def _read_environment(folder: Path, picks: Sequence[str], *, quiet: bool) -> Source:
    if not (folder / "spack.yaml").is_file():
        raise InputError(
            "there is no spack.yaml",
            where=str(folder),
            remedy="go to the environment's folder, activate it, or name it: spack -e ENVIRONMENT …",
        )
    if not (folder / "spack.lock").exists():
        raise InputError("there is no spack.lock", where=str(folder), remedy=_CONCRETIZE)
    source = environment_source(folder, picks, load_yaml)
    environment = _environment(folder)
    _check_lock(environment)
    if source.metadata is not None:
        return source
    from .package_metadata import ask_spack  # only now: it loads package recipes

    with _activated(environment), contextlib.redirect_stdout(sys.stderr):
        roots = [root for _, root in environment.concretized_specs()]
        answer = ask_spack(roots, source.facts.digest)
    for warning in answer.warnings:
        talk(warning, quiet=quiet)
    try:
        write_product(metadata_document(answer.metadata), str(folder / METADATA_NAME))
    except InputError as error:
        talk(f"{error}: Spack will be asked again the next time", quiet=quiet)
    return environment_source(folder, picks, load_yaml, answer.metadata)


def _environment(folder: Path) -> Any:
    """Return Spack's environment of a folder; the active one, if it is that, has been read already."""
    active = spack.environment.active_environment()
    if active is not None and Path(active.path).resolve() == folder.resolve():
        return active
    return spack.environment.Environment(str(folder.resolve()))


@contextlib.contextmanager
def _activated(environment: Any) -> Iterator[None]:
    """Let the environment's own configuration and package repositories hold."""
    if spack.environment.active_environment() is environment:
        yield
    else:
        with environment:
            yield


def _check_lock(environment: Any) -> None:
    """Raise where ``spack.yaml`` and ``spack.lock`` ask for different specs."""
    wanted = set(environment.user_specs)
    locked = {user_spec for user_spec, _ in environment.concretized_specs()}
    own = set(environment.concretized_user_specs)  # without those of included environments
    new = sorted(str(spec) for spec in wanted - locked)
    gone = sorted(str(spec) for spec in own - wanted)
    if new or gone:
        changes = [f"asks for {', '.join(new)}"] if new else []
        changes += [f"no longer asks for {', '.join(gone)}"] if gone else []
        what = f"is older than spack.yaml, which {' and '.join(changes)}"
        raise InputError(what, where="spack.lock", remedy=_CONCRETIZE)
