"""Every exit code, from the classes and the enumeration that they live on."""

from __future__ import annotations

from collections.abc import Iterator

from hpc3 import errors
from hpc3.consume.verdict import Verdict


def exit_codes() -> Iterator[tuple[int, str]]:
    """Yield each exit code and what it means, in ascending order."""
    yield 0, "It is done; a check found nothing."
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    kinds = [each for each in classes if issubclass(each, errors.Hpc3Error) and each is not errors.Hpc3Error]
    for kind in sorted(kinds, key=lambda kind: kind.exit_code):
        yield kind.exit_code, " ".join((kind.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")
    yield 130, "It was interrupted."


def verdict_exit_codes() -> Iterator[tuple[int, str]]:
    """Yield the exit codes of ``hpc3 check`` and their verdicts, in ascending order."""
    for verdict in sorted(Verdict, key=lambda verdict: verdict.exit_code):
        yield verdict.exit_code, verdict.value
