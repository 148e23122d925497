"""Apptainer's reader of definition files, as far as our files use it.

Written after pkg/build/types/parser/deffile.go (``All``, ``scanDefinitionFile``, ``parseTokenSection``, ``doHeader``,
``GetLabels``) and internal/pkg/build/args (``ReadDefaults``, ``NewReader``) of github.com/apptainer/apptainer, 1.5.3.
There is no package of Apptainer in Debian 12 or on PyPI that could be asked instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: bufio.MaxScanTokenSize: a section and the line that ends it must fit.
BUFFER = 65536

SECTIONS = {
    "help", "setup", "files", "labels", "environment", "pre", "post", "runscript", "test", "startscript", "arguments",
}  # fmt: skip
HEADERS = {"bootstrap", "from", "stage"}

_TEMPLATE = re.compile(r"{{\s*(\w+)\s*}}", re.ASCII)
_FILES = re.compile(r"""([^\s"']*{{\s*\w+\s*}}*[^\s{}"']*)+|([^\s"']+|"([^"]*)"|'([^']*))""")


class DefinitionError(Exception):
    """Apptainer would refuse the file."""


@dataclass
class ParsedStage:
    header: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)


def parse_definition(text: str, build_arguments: Mapping[str, str] | None = None) -> list[ParsedStage]:
    """Return the stages of a definition file, its templates replaced."""
    starts = [match.start() for match in re.finditer(r"(?mi)^bootstrap:", text)]
    ends = [*starts[1:], len(text)]
    if any(line.strip() and not line.lstrip().startswith("#") for line in text[: starts[0]].splitlines()):
        raise DefinitionError("something stands before the first stage")
    stages = []
    for start, end in zip(starts, ends):
        raw = text[start:end]
        replaced = _replace(raw, build_arguments or {}, _parse_stage(raw).arguments)
        stages.append(_parse_stage(replaced))
    return stages


def _replace(raw: str, given: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        line = raw[raw.rfind("\n", 0, match.start()) + 1 : match.start()]
        if re.search(r"\s*[#][^!]\s*.*", line):
            return match.group()
        name = match.group(1)
        if name not in given and name not in defaults:
            raise DefinitionError(f"build var {name} is not defined")
        return given.get(name, defaults.get(name, ""))

    return _TEMPLATE.sub(value, raw)


def _parse_stage(raw: str) -> ParsedStage:
    stage = ParsedStage()
    tokens: list[list[str]] = [[]]
    for line in raw[:-1].split("\n") if raw.endswith("\n") else raw.split("\n"):
        line = line[:-1] if line.endswith("\r") else line
        if line.split()[:1] and line.split()[0].startswith("%"):
            tokens.append([])
        tokens[-1].append(line)
    for token, following in zip(tokens, [*tokens[1:], [""]]):
        if len("\n".join([*token, following[0]]).encode()) + 1 >= BUFFER:
            raise DefinitionError("bufio.Scanner: token too long")
    _read_header(tokens[0], stage)
    for first, *body in tokens[1:]:
        _read_section(first.strip().lstrip("%"), body, stage)
    stage.labels = _labels(stage.scripts.get("labels", ""))
    stage.arguments = _arguments(stage.scripts.get("arguments", ""))
    return stage


def _read_header(lines: list[str], stage: ParsedStage) -> None:
    for line in map(str.strip, lines):
        if line and not line.startswith("#"):
            key, colon, value = line.split("#")[0].partition(":")
            if not colon or key.strip().lower() not in HEADERS:
                raise DefinitionError(f"invalid header keyword found: {key}")
            stage.header[key.strip().lower()] = value.strip()


def _read_section(title: str, body: list[str], stage: ParsedStage) -> None:
    name, _, arguments = title.partition(" ")
    if name.lower() not in SECTIONS:
        raise DefinitionError(f"invalid section(s) specified: {name}")
    if name.lower() != "files":
        stage.scripts[name.lower()] = stage.scripts.get(name.lower(), "") + "\n".join([*body, ""])
        return
    for line in map(str.strip, body):
        if line and not line.startswith("#"):
            words = [match.group() for match in _FILES.finditer(line)]
            source, destination = (words[0], words[1]) if len(words) > 1 else (words[0], "")
            stage.files.setdefault(arguments, []).append((source.strip().strip('"'), destination.strip().strip('"')))


def _labels(script: str) -> dict[str, str]:
    found = {}
    for line in map(str.strip, script.strip().split("\n")):
        if line and not line.startswith("#"):
            key, _, value = line.partition(" ")
            found[key.strip()] = value.strip()
    return found


def _arguments(script: str) -> dict[str, str]:
    found = {}
    for line in map(str.strip, script.splitlines()):
        if line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            # 1.2.0 refuses an empty value, and with it every file that has one.
            if not equals or not key.strip() or not value.strip():
                raise DefinitionError(f"{line!r} is not a key=value pair")
            found[key.strip()] = value.strip()
    return found
