"""Every error that a person sees: one line that says what, where and what to do.

The exit code lives on the class, so that the command line and the host plug-ins agree without a table.
"""

from __future__ import annotations


class Hpc3Error(Exception):
    """Root of all errors of this package; ``str(error)`` is one line for a person.

    Args:
        what: what is wrong, one sentence without the full stop.
        where: file and place in it, such as ``spack.lock: concrete_specs.abc.version``.
        remedy: what to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.remedy:
            line = f"{line} ({self.remedy})"
        return printable(line)


class CheckFailed(Hpc3Error):
    """A check did what it should and found something: a stale recipe, a contradiction."""

    exit_code = 1


class UsageError(Hpc3Error):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class InputError(Hpc3Error):
    """An input is not what it should be; ``where`` names the file and the place in it."""

    exit_code = 3


class StoreError(Hpc3Error):
    """A registry, a store or the network failed."""

    exit_code = 4


class HostError(Hpc3Error):
    """This host could not be read."""

    exit_code = 5


def printable(text: str, limit: int = 2000) -> str:
    """Return ``text`` as one line without control characters, so that a terminal cannot be steered by it.

    Everything that comes from an image, a lock or a registry is hostile: line breaks, escape sequences, lone
    surrogates and bidirectional overrides are shown as escapes; what is longer than ``limit`` characters is cut.
    """
    cut = text if len(text) <= limit else text[:limit] + "…"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in cut
    )
