"""A plan as a Dockerfile that BuildKit, buildah (1.28 and up) and podman build alike.

All quoting for the Dockerfile's own grammar is here. Left out on purpose, because buildah 1.28 does not have them:
here-documents, ``COPY --chmod`` with stages, ``RUN --mount`` options beyond ``cache`` and ``secret``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from hpc3.errors import InputError
from hpc3.request import EnvironmentChange

from .contract import DEFAULT_PATH, LOGIN_SHELL
from .plan import Argument, Copy, Mount, Plan, Run, Stage, Step, Write
from .shell import CONTINUED, LINE_LIMIT, run_lines, write_steps

#: hadolint wants ``set -o pipefail`` before a pipe; bzip2 -d, the last of the pipe, fails on what is cut off.
_PIPE = ("DL4006",)

#: RUN gives its text to ``sh -c`` as one argument; Linux takes none over 131,072 bytes (MAX_ARG_STRLEN, execve(2)).
_SHELL_LIMIT = 120_000


def render_dockerfile(plan: Plan) -> str:
    """Return a plan as the text of a Dockerfile, the same for the same plan.

    Raises:
        InputError: a value holds what no line of a Dockerfile can hold.
    """
    images = {stage.image_argument for stage in plan.stages}
    blocks = ["\n".join(f"# {line}" if line else "#" for line in plan.header)]
    blocks.append("\n".join(_argument(a) for a in plan.arguments if a.name in images))
    for stage in plan.stages:
        blocks.extend(_stage(stage, plan))
    blocks.append(_tail(plan.environment, plan.labels))
    return "\n\n".join(blocks) + "\n"


def render_last_steps(
    steps: Iterable[Step], environment: Iterable[EnvironmentChange], labels: Mapping[str, str]
) -> str:
    """Return what goes after the Dockerfile of somebody else, so that its image keeps the contract.

    Raises:
        InputError: a value holds what no line of a Dockerfile can hold.
    """
    return "\n\n".join([*map(_step, steps), _tail(environment, labels)]) + "\n"


def label_instruction(labels: Mapping[str, str]) -> str:
    """Return one ``LABEL`` instruction, sorted by key, that every parser reads back unchanged; empty for no labels.

    Raises:
        InputError: a key or value holds a line break or NUL, or is too long for a line.
    """
    if not labels:
        return ""
    for name in labels:
        if "=" in name:  # quotes do not help: BuildKit splits at the first one
            raise InputError(f"the label {name} cannot be written in a Dockerfile: it holds '='", where="labels")
    pairs = [f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(labels.items())]
    return "LABEL " + (CONTINUED + "      ").join(pairs) + "\n"


def _quoted(value: str) -> str:
    """Quote a value for LABEL and ENV: in double quotes, where backslash, quote and dollar are escaped.

    That is how BuildKit's shell lexer and buildah's read it (``processDoubleQuote``); neither knows another escape,
    so a line break cannot be written at all.
    """
    if any(c in value for c in "\n\r\x00") or len(value.encode("utf-8", "surrogatepass")) > LINE_LIMIT:
        raise InputError(
            f"{value[:80]!r} cannot be written in a Dockerfile: it holds a line break or is too long", where="labels"
        )
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def _argument(argument: Argument) -> str:
    value = _quoted(argument.default) if argument.default else ""
    return f"# {argument.meaning}\nARG {argument.name}={value}"


def _stage(stage: Stage, plan: Plan) -> Iterable[str]:
    is_last = stage is plan.stages[-1]
    yield f"FROM ${{{stage.image_argument}}}" + ("" if is_last else f" AS {stage.name}")
    needed = {name for step in stage.steps if isinstance(step, Run) for name in step.arguments}
    arguments = [_argument(argument) for argument in plan.arguments if argument.name in needed]
    if arguments:
        yield "\n".join(arguments)
    for step in stage.steps:
        yield _step(step)


def _step(step: Step) -> str:
    if isinstance(step, Copy):
        return f"# {step.comment}\n{_copy(step)}"
    if isinstance(step, Write):
        steps = write_steps(step, _SHELL_LIMIT)
        lint = (*step.lint, *(_PIPE if step.packed or len(steps) > 1 else ()))
        return "\n".join([f"# {step.comment}", *(_run(lines, (), lint) for lines in steps)])
    return f"# {step.comment}\n{_run(run_lines(step), step.mounts, step.lint)}"


def _copy(step: Copy) -> str:
    stage = f"--from={step.stage} " if step.stage else ""
    words = [*step.sources, step.destination]
    for word in words:
        if any(c in word for c in "\n\r\x00"):
            raise InputError(f"{word[:80]!r} cannot be written in a Dockerfile: the name holds a line break")
    for source in step.sources:
        # Escapes do not help: buildah finds the file, and then takes its name for a pattern again.
        if any(c in source for c in "*?[\\"):
            raise InputError(
                f"{source[:80]!r} cannot be copied: builders take its name for a pattern", remedy="give it another name"
            )
    # The JSON form takes blanks; but quotes and variables are read in it too.
    return f"COPY {stage}{json.dumps([_word(word) for word in words], ensure_ascii=False)}"


def _word(text: str) -> str:
    """Escape what the shell lexer of BuildKit and buildah reads in a name of COPY, also in its JSON form."""
    return "".join(f"\\{c}" if c in "\\'\"$" else c for c in text)


def _run(lines: list[str], mounts: tuple[Mount, ...], lint: tuple[str, ...]) -> str:
    head = f"# hadolint ignore={','.join(lint)}\n" if lint else ""
    options = [f"--mount=type={mount.kind},id={mount.id},target={mount.target}" for mount in mounts]
    # Assignments and statements alike end with &&: the first that fails ends the step.
    first = "RUN " + (CONTINUED + "    ").join([*options, ""]) if options else "RUN "
    return head + first + f"{CONTINUED} && ".join(lines)


def _tail(changes: Iterable[EnvironmentChange], labels: Mapping[str, str]) -> str:
    environment = _environment(changes)
    lines = ["# No entrypoint: what is asked for is what runs; a login shell where nothing is asked for", "WORKDIR /"]
    lines.extend(["ENTRYPOINT []", f"CMD {json.dumps(list(LOGIN_SHELL))}"])
    return "\n\n".join(part for part in (environment, "\n".join(lines), label_instruction(labels).rstrip()) if part)


def _environment(changes: Iterable[EnvironmentChange]) -> str:
    pairs = [f"{change.name}={_environment_value(change)}" for change in changes]
    if not pairs:
        return ""
    comment = "# For every start that passes by login files and entrypoints"
    return f"{comment}\nENV " + (CONTINUED + "    ").join(pairs)


def _environment_value(change: EnvironmentChange) -> str:
    quoted = _quoted(change.value)
    if change.action == "set":
        return quoted
    if change.name == "PATH":
        return f'{quoted[:-1]}:${{PATH:-{DEFAULT_PATH}}}"'
    separator = _quoted(change.separator)[1:-1]
    return f'{quoted[:-1]}${{{change.name}:+{separator}${change.name}}}"'
