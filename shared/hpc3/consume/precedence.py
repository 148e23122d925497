"""Which statement counts where several places speak, and which statements do not fit together.

Nothing is averaged: the most trusted place wins, and every disagreement is reported with both values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hpc3.vocabulary import vocabulary

#: Places that contradict nothing: a site overrules on purpose, an index speaks of all its images, a guess of none.
_SILENT = ("external", "index", "inferred")


@dataclass(frozen=True)
class Statement:
    """A value and the place it was read from."""

    value: str
    place: str


@dataclass(frozen=True)
class Contradiction:
    """Two statements about the same thing that cannot both be true: what, and ``place: value`` of each."""

    subject: str
    said: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.subject}: {' but '.join(self.said)}"


@dataclass(frozen=True)
class Settled:
    """The statements that count, and what is wrong with the others."""

    statements: Mapping[str, Statement]
    contradictions: tuple[Contradiction, ...]
    ill_formed: Mapping[str, str]


def settle(
    places: Sequence[tuple[str, Mapping[str, str]]], environment: Mapping[str, str], labels: Mapping[str, str]
) -> Settled:
    """Return which statement of each vocabulary key counts.

    Args:
        places: place and what was read there, the most trusted first.
        environment: of the image config.
        labels: of the image config, all of them.
    """
    statements: dict[str, Statement] = {}
    contradictions: list[Contradiction] = []
    ill_formed: dict[str, str] = {}
    for name in sorted({name for _, values in places for name in values} & vocabulary().keys()):
        usable = []
        for place, values in places:
            if name not in values:
                continue
            fault = vocabulary()[name].fault(values[name])
            if fault:
                ill_formed.setdefault(name, f"{place}: {fault}")
            else:
                usable.append(Statement(values[name], place))
        if usable:
            statements[name] = usable[0]
        stated = [statement for statement in usable if statement.place not in _SILENT]
        if len({statement.value for statement in stated}) > 1:
            texts = tuple(f"{statement.place} says {statement.value}" for statement in stated)
            contradictions.append(Contradiction(name, texts))
    contradictions += _between_environment_and_labels(environment, labels)
    return Settled(statements, tuple(contradictions), ill_formed)


def _between_environment_and_labels(
    environment: Mapping[str, str], labels: Mapping[str, str]
) -> Iterator[Contradiction]:
    """Yield what images of GPU vendors are known to say against themselves."""
    cuda = environment.get("CUDA_VERSION", "")
    path = environment.get("LD_LIBRARY_PATH", "")
    on_path = re.search(r"/cuda-([0-9]+\.[0-9]+)(?:/|:|$)", path)
    if cuda and on_path and not f"{cuda}.".startswith(f"{on_path.group(1)}."):
        said = (f"CUDA_VERSION says {cuda}", f"LD_LIBRARY_PATH names cuda-{on_path.group(1)}")
        yield Contradiction("CUDA toolkit", said)
    toolkit = labels.get("com.nvidia.cuda.version", "")
    cublas = labels.get("com.nvidia.cublas.version", "")
    # Since CUDA 11 cuBLAS carries the toolkit's major number (CUDA 11.0 release notes, component versions).
    if toolkit and cublas and _major(cublas) >= 11 and _major(cublas) != _major(toolkit):
        said = (f"label com.nvidia.cuda.version says {toolkit}", f"label com.nvidia.cublas.version says {cublas}")
        yield Contradiction("CUDA toolkit", said)


def _major(version: str) -> int:
    match = re.match(r"[0-9]{1,6}", version)
    return int(match.group()) if match else 0
