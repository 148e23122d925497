"""What a Dockerfile says the image's configuration will be.

Our own reader of logical lines, in place of a library: of those on PyPI, one takes the body of a heredoc for
instructions, another needs a compiler to install. Only the instructions that make the configuration are understood;
``RUN`` and ``COPY`` are stepped over.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hpc3.errors import InputError

from .subject import Subject

#: Names that an instruction may use: build arguments and the environment so far.
Scope = Mapping[str, str]

_VARIABLE = re.compile(
    r"\\\$|\$\{(?P<braced>[A-Za-z_]\w*)(?::(?P<way>[-+])(?P<word>[^}]*))?\}|\$(?P<plain>[A-Za-z_]\w*)"
)
_HEREDOC = re.compile(r"<<-?([\"']?)([A-Za-z_]\w*)\1")


@dataclass(frozen=True)
class Instruction:
    """One logical line: its keyword in capitals, the rest, and the number of its first line."""

    keyword: str
    rest: str
    line: int


@dataclass
class _Stage:
    base: str
    config: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)


def subject_from_dockerfile(text: str, name: str) -> Subject:
    """Return the subject of a Dockerfile's last stage, stages of the file that it builds on included.

    Raises:
        InputError: there is no FROM.
    """
    stages: dict[str, _Stage] = {}
    before: dict[str, str] = {}  # arguments before the first FROM: a stage sees those that it declares again
    stage: _Stage | None = None
    for instruction in instructions(text):
        if instruction.keyword == "FROM":
            stage = _start_stage(instruction, stages, before)
        elif instruction.keyword == "ARG":
            _take_argument(instruction.rest, before if stage is None else stage.arguments, before)
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


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the logical lines: comments and continuations gone, heredoc bodies stepped over."""
    directive = re.match(r"(?:#.*\n)*?#\s*escape\s*=\s*(\S)", text, re.IGNORECASE)
    escape = directive.group(1) if directive else "\\"
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        logical = line.strip()
        while logical.endswith(escape):
            logical = logical[:-1]
            following = next(((n, ln) for n, ln in lines if ln.strip() and not ln.lstrip().startswith("#")), None)
            if following is None:
                break
            logical += following[1].strip()
        keyword, _, rest = logical.partition(" ")
        if keyword.upper() in ("ADD", "COPY", "RUN"):
            for _, delimiter in _HEREDOC.findall(rest):
                for _, body in lines:
                    if body.strip() == delimiter:
                        break
        yield Instruction(keyword.upper(), rest.strip(), number)


def _start_stage(instruction: Instruction, stages: dict[str, _Stage], arguments: Mapping[str, str]) -> _Stage:
    words = [word for word in _expand(instruction.rest, arguments).split() if not word.startswith("--")]
    base = words[0] if words else ""
    parent = stages.get(base.lower())
    stage = _Stage(base)
    if parent is not None:
        stage = _Stage(
            parent.base, dict(parent.config), dict(parent.environment), dict(parent.labels), dict(parent.places)
        )
    stage.places["FROM"] = instruction.line
    if len(words) > 2 and words[1].upper() == "AS":
        stages[words[2].lower()] = stage
    return stage


def _take_argument(rest: str, arguments: dict[str, str], before: Mapping[str, str]) -> None:
    for word in _split(rest):
        name, equals, value = word.partition("=")
        arguments[name] = _expand(value, arguments) if equals else before.get(name, "")


def _apply(stage: _Stage, instruction: Instruction) -> None:
    effect = _EFFECTS.get(instruction.keyword)
    if effect is None:
        return
    field_name, change = effect
    change(stage, instruction, {**stage.arguments, **stage.environment})
    stage.places[field_name] = instruction.line


def _entrypoint(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    stage.config["Entrypoint"] = _command(instruction.rest)
    stage.config.setdefault("Cmd", [])  # an ENTRYPOINT resets the base's CMD


def _cmd(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    stage.config["Cmd"] = _command(instruction.rest)


def _label(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    for name, value in _pairs(instruction.rest, scope):
        stage.labels[name] = value
        stage.places[name] = instruction.line


def _env(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    stage.environment.update(_pairs(instruction.rest, scope))


def _user(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    stage.config["User"] = _expand(instruction.rest, scope)


def _workdir(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    stage.config["WorkingDir"] = _expand(instruction.rest, scope)


def _volume(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    names = _json_words(instruction.rest) or instruction.rest.split()
    stage.config["Volumes"] = {**stage.config.get("Volumes", {}), **{name: {} for name in names}}


def _healthcheck(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    stage.config["Healthcheck"] = {"Test": ["NONE" if instruction.rest.upper() == "NONE" else "CMD"]}


def _onbuild(stage: _Stage, instruction: Instruction, scope: Scope) -> None:
    stage.config["OnBuild"] = [*stage.config.get("OnBuild", []), instruction.rest]


#: Keyword to the part of the configuration that it changes, and how.
_EFFECTS: Mapping[str, tuple[str, Callable[[_Stage, Instruction, Scope], None]]] = {
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
    except ValueError:
        return None
    return [str(word) for word in words] if isinstance(words, list) else None


def _pairs(rest: str, scope: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    words = _split(rest)
    if words and "=" not in words[0]:  # the old form: NAME the rest of the line
        name, _, value = rest.partition(" ")
        yield name, _expand(value.strip(), scope)
        return
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            yield name, _expand(value, scope)


def _split(rest: str) -> list[str]:
    try:
        # In single quotes nothing is expanded: the dollar is kept from _expand by a backslash.
        protected = re.sub(r"'([^']*)'", lambda m: "'" + m.group(1).replace("$", r"\$") + "'", rest)
        return shlex.split(protected, posix=True)
    except ValueError:
        return rest.split()


def _expand(text: str, scope: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match.group() == r"\$":
            return "$"
        found = scope.get(match["braced"] or match["plain"], "")
        if match["way"] == "-":
            return found or match["word"]
        if match["way"] == "+":
            return match["word"] if found else ""
        return found

    return _VARIABLE.sub(value, text)
