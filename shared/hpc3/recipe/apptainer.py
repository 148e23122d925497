"""A plan as an Apptainer definition file, for Apptainer 1.2 and up.

Grammar, as Apptainer reads it (github.com/apptainer/apptainer, 1.2.0 to 1.5.3): ``pkg/build/types/parser/deffile.go``
splits stages where a line begins with ``bootstrap:`` and sections where a line's first word begins with ``%``, and
adds up sections of the same name; ``internal/pkg/build/args`` replaces every ``{{ NAME }}``, wherever it stands;
``internal/pkg/build/stage.go`` copies files, then runs ``%post`` by ``/bin/sh -ex``, in no environment of the builder.
All quoting for that grammar is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from hpc3.errors import InputError
from hpc3.request import EnvironmentChange

from .contract import DEFAULT_PATH, LOGIN_SHELL
from .plan import Argument, Copy, Plan, Run, Stage, Write
from .shell import quote, run_lines, write_steps

#: Apptainer reads sections into a buffer of 65,536 bytes (``bufio.MaxScanTokenSize``); what is longer is continued in
#: another section of the same name.
SECTION_LIMIT = 60_000

#: Sections that a person can write (``container:singularity`` of ``spack.yaml``).
_PERSONS = ("help", "runscript", "startscript", "test")

_NOTHING = "''"

_UNTRACED = "    # Apptainer starts this with a trace, which would print whole files\n    set +x -eu"

_TEMPLATE = re.compile(r"\{\{\s*\w+\s*\}\}")
#: Names that %files takes as they are: it expands patterns and variables, and knows no escape for quotes.
_PLAIN_PATH = re.compile(r"[\w./+@:,=%-][\w./+@:,=%~ -]*")


def render_definition(plan: Plan) -> str:
    """Return a plan as the text of a definition file, the same for the same plan.

    Raises:
        InputError: a value holds what no definition file can hold.
    """
    header = "\n".join(f"# {line}" if line else "#" for line in plan.header)
    blocks = [header]
    for stage in plan.stages:
        blocks.extend(_stage(stage, plan))
    return "\n\n".join(blocks) + "\n"


def render_last_sections(
    steps: Sequence[Copy | Write], environment: Iterable[EnvironmentChange], labels: Mapping[str, str]
) -> str:
    """Return what goes after the definition file of somebody else, so that its image keeps the contract.

    Raises:
        InputError: a value holds what no definition file can hold.
    """
    writes = [block for step in steps if isinstance(step, Write) for block in _write(step)]
    blocks = [
        *_section("files", [_files(step) for step in steps if isinstance(step, Copy)]),
        *_section("post", [_UNTRACED, _labels_of_base(), *writes]),
        *_last_sections(environment, {}, labels),
    ]
    return "\n\n".join(blocks) + "\n"


def _stage(stage: Stage, plan: Plan) -> Iterable[str]:
    is_last = stage is plan.stages[-1]
    yield f"Bootstrap: docker\nFrom: {{{{ {stage.image_argument} }}}}\nStage: {stage.name}"
    needed = {stage.image_argument, *(name for step in stage.steps if isinstance(step, Run) for name in step.arguments)}
    yield from _section("arguments", [_argument(a) for a in plan.arguments if a.name in needed])
    copies = [step for step in stage.steps if isinstance(step, Copy)]
    for name in dict.fromkeys(copy.stage for copy in copies):
        title = f"files from {name}" if name else "files"
        yield from _section(title, [_files(copy) for copy in copies if copy.stage == name])
    yield from _section("post", list(_post(stage, needed - {stage.image_argument}, is_last=is_last)))
    if is_last:
        yield from _last_sections(plan.environment, plan.sections, plan.labels)


def _last_sections(
    environment: Iterable[EnvironmentChange], sections: Mapping[str, str], labels: Mapping[str, str]
) -> Iterable[str]:
    yield from _section("environment", [_environment(change) for change in environment])
    yield from _persons_sections(sections)
    yield from _section("labels", [_label(key, value) for key, value in sorted(labels.items())])


def _section(title: str, blocks: Iterable[str]) -> Iterable[str]:
    """Return a section, or as many as its blocks need; none where there are none."""
    body: list[str] = []
    size = 0
    for block in blocks:
        length = len(block.encode("utf-8", "surrogatepass")) + 1
        if length > SECTION_LIMIT:
            raise InputError(f"a definition file cannot hold {length:,} bytes in one piece: {block.strip()[:60]!r}")
        if size + length > SECTION_LIMIT:
            yield "\n".join([f"%{title}", *body])
            body, size = [], 0
        body.append(block)
        size += length
    if body:
        yield "\n".join([f"%{title}", *body])


def _argument(argument: Argument) -> str:
    """Return an argument with its default.

    An empty one is two quotes: Apptainer 1.2.0 takes no empty one, and between the quotes of `_post` two add nothing.
    """
    default = argument.default
    if "'" in default or default != default.strip() or "{{" in default or not _is_line(default):
        raise InputError(f"{argument.name}={default[:80]!r} cannot be the default of a definition file's argument")
    return f"    # {argument.meaning}\n    {argument.name}={default or _NOTHING}"


def _files(copy: Copy) -> str:
    """Return the lines that copy: a folder into its parent, where it joins what is there."""
    destination = copy.destination.rstrip("/")
    parent, _, name = destination.rpartition("/")
    if copy.folder and copy.sources[0].rpartition("/")[2] != name:
        raise InputError(f"{copy.sources[0]!r} cannot be copied under another name in a definition file")
    into = f"{parent if copy.folder else destination}/"
    lines = [f"    {_path(source)} {_path(into)}" for source in copy.sources]
    return "\n".join([f"    # {copy.comment}", *lines])


def _path(path: str) -> str:
    if not _PLAIN_PATH.fullmatch(path):
        raise InputError(f"{path[:80]!r} cannot be written in a definition file: its name has special characters")
    return f'"{path}"' if " " in path or path.startswith("%") else path


def _post(stage: Stage, arguments: set[str], *, is_last: bool) -> Iterable[str]:
    yield _UNTRACED
    yield from (f"    {name}='{{{{ {name} }}}}'" for name in sorted(arguments))
    if is_last:
        yield _labels_of_base()
    for step in stage.steps:
        if isinstance(step, Run):
            yield _step(run_lines(step), step.comment, _secrets(step))
        elif isinstance(step, Write):
            yield from _write(step)


def _labels_of_base() -> str:
    return _step(["rm -f /.singularity.d/labels.json"], "Labels of the base image would win over those below")


def _write(write: Write) -> Iterable[str]:
    first, *more = write_steps(write, SECTION_LIMIT // 2)
    yield _step(first, write.comment)
    yield from (_step(lines) for lines in more)


def _secrets(step: Run) -> str:
    names = [f"APPTAINERENV_{mount.id}" for mount in step.mounts if mount.kind == "secret"]
    return f"Secrets, from the environment of 'apptainer build': {', '.join(names)}" if names else ""


def _step(statements: list[str], *comments: str) -> str:
    """Return a step as a shell of its own, as in a Dockerfile.

    Its statements are joined by ``&&``: within ``a && b``, which statements of ours are too, ``set -e`` does nothing.
    """
    lines = [f"    # {comment}" for comment in comments if comment]
    return "\n".join(["", *lines, "    (", *_statements(statements), "    )"])


def _statements(statements: list[str]) -> Iterable[str]:
    for place, statement in enumerate(statements):
        joined = " &&" if place < len(statements) - 1 else ""
        yield f"        {_untemplated(statement)}{joined}".replace("\n", "\n        ")


def _untemplated(text: str) -> str:
    """Return shell text in which Apptainer finds nothing to replace.

    Two braces only stand in foreign words, which are in single quotes: there, two more quotes change nothing.
    """
    return re.sub(r"\{(?=\{)", "{''", text) if "{{" in text else text


def _environment(change: EnvironmentChange) -> str:
    name, value = change.name, _untemplated(quote(change.value))
    if change.action == "set":
        text = f"{name}={value}"
    elif name == "PATH":
        text = f"{name}={value}:${{{name}:-{DEFAULT_PATH}}}"
    else:
        text = f"{name}={value}${{{name}:+{_untemplated(quote(change.separator))}${name}}}"
    return f"    {text}; export {name}"


def _persons_sections(sections: Mapping[str, str]) -> Iterable[str]:
    """Return what a person wrote, as it is, and the contract's runscript where the person wrote none."""
    for name in sections:
        if name not in _PERSONS:
            raise InputError(f"is none of {', '.join(_PERSONS)}", where=f"spack.yaml: container.singularity.{name}")
    if not sections.get("runscript"):
        start = " ".join(LOGIN_SHELL)
        yield f'%runscript\n    if [ "$#" -eq 0 ]; then\n        exec {start}\n    fi\n    exec "$@"'
    for name, text in sorted(sections.items()):
        if text:
            yield from _section(name, [_checked(text.rstrip("\n"), name)])


def _checked(text: str, name: str) -> str:
    where = f"spack.yaml: container.singularity.{name}"
    if not all(_is_line(line) for line in text.split("\n")):
        raise InputError("holds a control character", where=where)
    for line in text.split("\n"):
        if line.lstrip().startswith("%") or line.lower().startswith("bootstrap:"):
            raise InputError(f"Apptainer would read {line.strip()[:60]!r} as the begin of a section", where=where)
    replaced = _TEMPLATE.search(text)
    if replaced:
        raise InputError(f"Apptainer would replace {replaced.group()[:60]!r}", where=where)
    return text


def _label(key: str, value: str) -> str:
    """Return a label's line: the key up to the first blank, the value without blanks around it (``GetLabels``)."""
    if not key or key.startswith(("#", "%")) or key.split() != [key] or "{{" in key:
        raise InputError(f"{key[:80]!r} cannot be the name of a label in a definition file", where="labels")
    if value != value.strip() or not _is_line(value) or "{{" in value:
        raise InputError(
            f"{value[:80]!r} cannot be the value of {key[:80]} in a definition file: it holds a line break, blanks "
            "around it or '{{', which Apptainer replaces",
            where="labels",
        )
    return f"    {key} {value}".rstrip()


def _is_line(text: str) -> bool:
    return not any(c in text for c in "\n\r\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
