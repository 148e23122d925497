"""The reference pages of ``docs/`` in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby

from hpc3.tables import DATA
from hpc3.vocabulary import PREFIX, RESERVED_KEYS, RESERVED_NAMESPACES, Key, vocabulary

from .commands import Argument, Command
from .exit_codes import exit_codes, verdict_exit_codes

_GENERATED = "<!-- Written by pytest --rerecord from {}. -->"

#: Pages that tell a verb's story, by example.
_STORIES: Mapping[str, tuple[str, str]] = {
    "facts": ("spack.md", "hpc3 in Spack"),
    "annotations": ("spack.md", "hpc3 in Spack"),
    "containerize": ("spack.md", "hpc3 in Spack"),
    "sbom": ("spack.md", "hpc3 in Spack"),
    "easybuild-hooks": ("easybuild.md", "hpc3 in EasyBuild"),
    "apply": ("images.md", "Build, annotate and inspect an image"),
    "index": ("images.md", "Build, annotate and inspect an image"),
    "inspect": ("images.md", "Build, annotate and inspect an image"),
    "validate": ("findings.md", "Every finding"),
    "verify": ("verify.md", "What verify proves, and how"),
}
_STORY_OF_CONSUMERS = ("consumers.md", "Run images: which one, whether, and how")

_LEVELS = {"M": "mandatory", "C": "conditional", "O": "optional"}
_PLACES = {"A": "annotation", "L": "label", "D": "descriptor in an index"}
_MERGE_RULES = {
    "inherit": "the base image's value stays true, unless what is found in the new image says something else",
    "override": "it is stated anew for each image; a base image's value goes",
    "max": "the greater of the base image's value and what was added",
    "min": "the lesser of the base image's value and what was added",
    "union": "the words of both, sorted",
    "never": "it is about one image alone; a base image's value goes, and `validate` reports it where it stayed",
}
_GROUPS = {
    "meta": "The vocabulary itself",
    "oci": "What OCI has words for",
    "software": "Software, its manager and its compiler",
    "hardware": "Processor and GPU",
    "mpi": "MPI and communication",
    "system": "Operating system, C library and kernel",
    "userland": "How it behaves",
    "documentation": "Documentation and test",
    "sbom": "Bill of materials",
}


def reference_pages(command: Command) -> Mapping[str, str]:
    """Return the text of every reference page by its path below ``docs/``."""
    pages = {f"commands/{verb.name.split()[1]}.md": _page(_verb_page(verb)) for verb in command.commands}
    pages["vocabulary.md"] = _page(_vocabulary_page())
    pages["exit-codes.md"] = _page(_exit_code_page())
    pages["tables.md"] = _page(_table_page())
    return pages


def _page(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _verb_page(verb: Command) -> Iterator[str]:
    yield from (f"# {verb.name}", "", _GENERATED.format("the command line"), "")
    yield from _command(verb)
    for action in verb.commands:
        yield from ("", f"## {action.name}", "")
        yield from _command(action)
    page, title = _STORIES.get(verb.name.split()[1], _STORY_OF_CONSUMERS)
    yield from ("", f"By example: [{title}](../{page}).")


def _command(command: Command) -> Iterator[str]:
    yield from (_sentence(command.what), "", "```text", *_folded(command.name, command.synopsis), "```")
    positional = [argument for argument in command.arguments if not argument.flags]
    options = [argument for argument in command.arguments if argument.flags]
    for title, arguments in (("argument", positional), ("option", options)):
        if arguments:
            yield from ("", f"| {title} | |", "|---|---|", *map(_row, arguments))
    if command.epilogue:
        yield from ("", _sentence(command.epilogue))


def _row(argument: Argument) -> str:
    form = " ".join(filter(None, (", ".join(argument.flags), argument.value)))
    return f"| {_cell(form)} | {argument.what} |"


def _folded(name: str, synopsis: tuple[str, ...], width: int = 80) -> Iterator[str]:
    """Yield a synopsis in lines of at most ``width`` characters, broken between its arguments only."""
    line = name
    for part in synopsis:
        if len(line) + 1 + len(part) > width:
            yield line
            line = " " * len(name)
        line = f"{line} {part}"
    yield line


def _vocabulary_page() -> Iterator[str]:
    yield from ("# Vocabulary", "", _GENERATED.format("shared/hpc3/data/vocabulary_v1.json"), "")
    keys = list(vocabulary().values())
    yield f"Version 1.0 has {len(keys)} keys. A key that is absent means *not known*; `none` means known not to be"
    yield "there. A value matches its grammar in full, holds no control character, and is no longer than its limit."
    yield f"Lists are sorted, with commas and without blanks. Headings leave out `{PREFIX}`."
    yield from ("", "| where | what reads it |", "|---|---|")
    yield "| annotation | of the image's manifest: registries, people, `hpc3`; the one place for every key |"
    yield "| label | of its configuration, with the same value: Sarus, Apptainer, Enroot |"
    yield "| descriptor | of an index, with the same value: choosing a variant without fetching it |"
    yield from ("", "| merge rule | of an image built on another |", "|---|---|")
    yield from (f"| {rule} | {what} |" for rule, what in _MERGE_RULES.items())
    reserved = ", ".join(f"`{name}`" for name in (*(f"{space}*" for space in RESERVED_NAMESPACES), *RESERVED_KEYS))
    yield from ("", f"Never written, and reported where found, as they steer runtimes: {reserved}.")
    for group, members in groupby(keys, key=lambda row: row.group):
        yield from ("", f"## {_GROUPS[group]}")
        for row in members:
            yield from _key(row)


def _key(row: Key) -> Iterator[str]:
    places = ", ".join(_PLACES[place] for place in row.place)
    short = row.name[len(PREFIX) :] if row.name.startswith(PREFIX) else row.name
    yield from ("", f"### {short}", "", _sentence(row.meaning), "")
    yield f"- key: {_code(row.name)}"
    yield f"- **{_LEVELS[row.level]}**; {places}; merge rule: {row.merge}; at most {row.limit} characters"
    yield f"- grammar: {_code(row.grammar)}"
    examples = [f"- example: {', '.join(map(_code, row.good))}"]
    refused = [value for value in row.bad if value]
    if refused:
        examples.append(f"not {', '.join(map(_code, refused))}")
    yield "; ".join(examples)


def _exit_code_page() -> Iterator[str]:
    yield from ("# Exit codes", "", _GENERATED.format("shared/hpc3/errors.py and consume/verdict.py"), "")
    yield from ("| code | meaning |", "|---|---|", *(f"| {code} | {what} |" for code, what in exit_codes()), "")
    yield from ("`hpc3 check` answers with the worst verdict:", "", "| code | verdict |", "|---|---|")
    yield from (f"| {code} | {verdict} |" for code, verdict in verdict_exit_codes())
    yield from ("", "An error is one line on stderr: what, where, what to do. A traceback is a bug.")
    yield "Of several images, the exit code is the worst."


def _table_page() -> Iterator[str]:
    yield from ("# Data tables", "", _GENERATED.format("shared/hpc3/data"), "")
    yield "What the project knows of packages, drivers and systems is data, not code: a row in a JSON file of"
    yield "`shared/hpc3/data/`, held to a schema beside it, with the source that says so. A row that is wrong or"
    yield "missing is a line to send."
    for path in sorted(DATA.glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        if "rows" in document and not path.stem.endswith(".schema"):
            columns = json.loads(path.with_suffix(".schema.json").read_text("utf-8"))["properties"]["rows"]["items"]
            yield from ("", f"## {path.stem}", "", document["about"], "")
            yield f"{len(document['rows'])} rows of {', '.join(f'`{column}`' for column in columns['properties'])}."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _code(text: str) -> str:
    """Return text as code, in a fence that it does not hold."""
    return f"``{text}``" if "`" in text else f"`{text}`"


def _cell(text: str) -> str:
    """Return text as code in a table, where readers do not agree on how a bar is escaped."""
    return f"<code>{text.replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"
