"""What `hpc3 tweak` gives: files for an administrator, a command for a user, and what both should know."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from ..pmi import start_command
from .wiring import Wiring


@dataclass(frozen=True)
class File:
    """A file to install: path below the root of the file system, text, whether it is run."""

    path: str
    text: str
    executable: bool = False


@dataclass(frozen=True)
class Configuration:
    """What one engine is told.

    Attributes:
        engine: its name.
        files: for an administrator (or, for EDF, the user); may be empty.
        command: words of the command that runs the image; ``COMMAND`` stands for the software's own.
        notes: for a person.
        pull: words of the command that fetches the image; empty where the engine does that when it runs it.
    """

    engine: str
    files: tuple[File, ...]
    command: tuple[str, ...]
    notes: tuple[str, ...] = ()
    pull: tuple[str, ...] = ()

    @property
    def command_line(self) -> str:
        """The command that runs the image, as a POSIX shell reads it."""
        return " ".join(_quoted(word) for word in self.command)

    @property
    def pull_line(self) -> str:
        """The command that fetches the image, as a POSIX shell reads it; empty where there is none."""
        return " ".join(_quoted(word) for word in self.pull)


def launched(wiring: Wiring, *command: str) -> tuple[str, ...]:
    """Return a command as the launcher starts it: with the PMI both sides speak, or once where there is no MPI."""
    return (*start_command(wiring.launcher, wiring.pmi, once=not wiring.ranks), *command)


def launched_by_slurm(wiring: Wiring, *command: str) -> tuple[str, ...]:
    """Return a command as Slurm starts it, for engines that are plug-ins of ``srun``: ``command`` are its options."""
    return launched(replace(wiring, launcher="slurm"), *command)


def _quoted(word: str) -> str:
    # A variable at the start of a word is meant: the shell puts the user's own value there.
    if word.startswith("$") and word[1:].isidentifier():
        return f'"{word}"'
    return shlex.quote(word)
