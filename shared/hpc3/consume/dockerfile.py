"""What a Dockerfile says the image's configuration will be.

Only the instructions that make the configuration are understood; ``RUN`` and ``COPY`` are stepped over.
"""

from __future__ import annotations

import copy
import json
import posixpath
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hpc3.errors import InputError

from .dockerfile_lines import Instruction, escape_of, instructions
from .dockerfile_words import Words, plain_words
from .subject import Subject

#: Names that an instruction may use: build arguments and the environment so far.
Scope = Mapping[str, str]


@dataclass
class _Stage:
    base: str
    words: Words
    config: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    has_command: bool = False  # whether a CMD of its own was read; one that it was built on counts less

    @property
    def scope(self) -> Scope:
        return ChainMap(self.environment, self.arguments)


def subject_from_dockerfile(text: str, name: str) -> Subject:
    """Return the subject of a Dockerfile's last stage, stages of the file that it builds on included.

    Raises:
        InputError: there is no FROM, or one without a base; a heredoc does not end; or it becomes too long.
    """
    words = Words(escape_of(text), name)
    stages: dict[str, _Stage] = {}
    before: dict[str, str] = {}  # arguments before the first FROM: a stage sees those that it declares again
    stage: _Stage | None = None
    for instruction in instructions(text, name):
        if instruction.keyword == "FROM":
            stage = _start_stage(instruction, stages, before, words, name)
        elif instruction.keyword == "ARG":
            scope = before if stage is None else stage.scope
            _take_arguments(instruction.rest, before if stage is None else stage.arguments, scope, before, words)
        elif stage is not None:
            _apply(stage, instruction)
    if stage is None:
        raise InputError("has no FROM instruction", where=name)
    if stage.environment:
        stage.config["Env"] = [f"{variable}={value}" for variable, value in stage.environment.items()]
    return Subject(
        name,
        labels=stage.labels,
        config=stage.config,
        base="" if stage.base == "scratch" else stage.base,
        places={place: f"{name}:{line}" for place, line in stage.places.items()},
    )


def _start_stage(
    instruction: Instruction, stages: dict[str, _Stage], arguments: Scope, words: Words, name: str
) -> _Stage:
    written = [word for word in plain_words(instruction.rest) if not word.startswith("--")]
    if not written:
        raise InputError("FROM names no base", where=f"{name}:{instruction.line}")
    # An argument without a value is given to the builder, and may be any image: never the empty one.
    base = words.value(written[0], arguments, keep_unset=True) or written[0]
    parent = stages.get(base.lower())
    stage = _Stage(base, words)
    if parent is not None:
        stage = _stage_on(parent)
    stage.places["FROM"] = instruction.line
    if len(written) > 2 and written[1].upper() == "AS":
        stages[written[2].lower()] = stage
    return stage


def _stage_on(parent: _Stage) -> _Stage:
    config, environment, labels = copy.deepcopy(parent.config), dict(parent.environment), dict(parent.labels)
    entries = sum(len(part) for part in (environment, labels, *config.values()))
    parent.words.charge(16 * entries)  # a long chain of stages would take quadratic space
    return _Stage(parent.base, parent.words, config, environment, labels, dict(parent.places))


def _take_arguments(rest: str, arguments: dict[str, str], scope: Scope, before: Scope, words: Words) -> None:
    for word in words.split(rest):
        name, equals, value = word.partition("=")
        if equals:
            arguments[name] = words.value(value, scope)
        elif name in before:
            arguments[name] = before[name]


def _apply(stage: _Stage, instruction: Instruction) -> None:
    effect = _EFFECTS.get(instruction.keyword)
    if effect is None:
        return
    field_name, change = effect
    change(stage, instruction)
    stage.places[field_name] = instruction.line


def _entrypoint(stage: _Stage, instruction: Instruction) -> None:
    stage.config["Entrypoint"] = _command(instruction.rest)
    if not stage.has_command:  # an ENTRYPOINT resets the CMD of what the stage is built on
        stage.config["Cmd"] = []
        stage.places.pop("Cmd", None)


def _cmd(stage: _Stage, instruction: Instruction) -> None:
    stage.config["Cmd"] = _command(instruction.rest)
    stage.has_command = True


def _label(stage: _Stage, instruction: Instruction) -> None:
    for name, value in _pairs(stage, instruction.rest):
        stage.labels[name] = value
        stage.places[name] = instruction.line


def _env(stage: _Stage, instruction: Instruction) -> None:
    # All of one instruction see the environment before it.
    stage.environment.update(dict(_pairs(stage, instruction.rest)))


def _user(stage: _Stage, instruction: Instruction) -> None:
    stage.config["User"] = stage.words.value(instruction.rest, stage.scope)


def _workdir(stage: _Stage, instruction: Instruction) -> None:
    place = stage.words.value(instruction.rest, stage.scope)
    joined = posixpath.join("/", stage.config.get("WorkingDir", ""), place)
    stage.words.charge(len(joined))  # each relative one is longer than the one before
    stage.config["WorkingDir"] = "/" + posixpath.normpath(joined).lstrip("/")  # normpath keeps a leading "//"


def _volume(stage: _Stage, instruction: Instruction) -> None:
    written = _json_words(instruction.rest) or plain_words(instruction.rest)
    names = [stage.words.value(name, stage.scope) for name in written]
    stage.config.setdefault("Volumes", {}).update({name: {} for name in names})


def _healthcheck(stage: _Stage, instruction: Instruction) -> None:
    stage.config["Healthcheck"] = {"Test": ["NONE" if instruction.rest.upper() == "NONE" else "CMD"]}


def _onbuild(stage: _Stage, instruction: Instruction) -> None:
    stage.config.setdefault("OnBuild", []).append(instruction.rest)


#: Keyword to the part of the configuration that it changes, and how.
_EFFECTS: Mapping[str, tuple[str, Callable[[_Stage, Instruction], None]]] = {
    "CMD": ("Cmd", _cmd),
    "ENTRYPOINT": ("Entrypoint", _entrypoint),
    "ENV": ("Env", _env),
    "HEALTHCHECK": ("Healthcheck", _healthcheck),
    "LABEL": ("Labels", _label),
    "ONBUILD": ("OnBuild", _onbuild),
    "USER": ("User", _user),
    "VOLUME": ("Volumes", _volume),
    "WORKDIR": ("WorkingDir", _workdir),
}


def _command(rest: str) -> list[str]:
    words = _json_words(rest)
    return words if words is not None else ["/bin/sh", "-c", rest]


def _json_words(rest: str) -> list[str] | None:
    if not rest.startswith("["):
        return None
    try:
        words = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    return [str(word) for word in words] if isinstance(words, list) else None


def _pairs(stage: _Stage, rest: str) -> Iterator[tuple[str, str]]:
    words, scope = stage.words, stage.scope
    written = words.split(rest)
    if written and "=" not in written[0]:  # the old form: NAME the rest of the line
        name, *values = plain_words(rest, 1)
        yield words.value(name, scope), words.value("".join(values), scope)
        return
    for word in written:
        name, equals, value = word.partition("=")
        if equals:
            yield words.value(name, scope), words.value(value, scope)
