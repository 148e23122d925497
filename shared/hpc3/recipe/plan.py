"""A recipe before it is text: stages, steps and the contract that every image keeps.

A plan knows no Dockerfile and no quoting. What is ours to run is `Shell`, written in this package; every other word
may come from a stranger, and the renderers quote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from hpc3.request import EnvironmentChange


@dataclass(frozen=True)
class Shell:
    """Shell text of ours: it may use the recipe's arguments and the step's variables, never a foreign value.

    A line break stands where the text may be broken: every line but the last goes on in the next.
    """

    text: str


Word = Union[str, Shell]
#: One shell statement: text of ours, or the words of one command.
Statement = Union[Shell, tuple[Word, ...]]


@dataclass(frozen=True)
class Argument:
    """A value that whoever builds may replace (``ARG``)."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Mount:
    """Something that one step sees while it runs, and that no layer keeps.

    Attributes:
        kind: ``cache``: kept between builds where the builder can; ``secret``: given by whoever builds.
        id: name that the builder knows it by.
        target: path in the stage.
    """

    kind: str
    id: str
    target: str


@dataclass(frozen=True)
class Run:
    """Run statements one after the other; the first that fails stops the build.

    Attributes:
        comment: what for, for the reader of the recipe.
        statements: what is run.
        variables: foreign values that `Shell` statements use by name.
        arguments: names of the recipe's arguments that the statements use.
        mounts: what the step sees besides.
        lint: rules of hadolint that the step breaks knowingly.
    """

    comment: str
    statements: tuple[Statement, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    lint: tuple[str, ...] = ()


@dataclass(frozen=True)
class Copy:
    """Copy files or folders into a folder: from the build's context, or from another stage."""

    comment: str
    sources: tuple[str, ...]
    destination: str
    stage: str = ""


@dataclass(frozen=True)
class Write:
    """Write a file.

    Attributes:
        comment: what for.
        path: absolute path in the stage.
        content: the bytes.
        packed: whether it is carried compressed: for what people do not read in a recipe.
        lint: rules of hadolint that the text breaks knowingly.
    """

    comment: str
    path: str
    content: bytes
    packed: bool = False
    lint: tuple[str, ...] = ()


Step = Union[Run, Copy, Write]


@dataclass(frozen=True)
class Stage:
    """One stage: its name, the argument that names its image, and its steps."""

    name: str
    image_argument: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """A whole recipe.

    Attributes:
        header: lines for the reader at the top.
        arguments: what whoever builds may replace; those of the images come first.
        stages: in order; the last one is the image.
        environment: what the image's environment is, in order.
        labels: value by key.
        sections: further sections of an Apptainer definition (``runscript``, ``startscript``, ``test``, ``help``).
    """

    header: tuple[str, ...]
    arguments: tuple[Argument, ...]
    stages: tuple[Stage, ...]
    environment: tuple[EnvironmentChange, ...]
    labels: Mapping[str, str]
    sections: Mapping[str, str] = field(default_factory=dict)
