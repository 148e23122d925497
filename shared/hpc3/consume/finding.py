"""A finding: what is wrong, where, and how to mend it. The table ``data/findings.json`` holds every kind there is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from hpc3.errors import UsageError, printable
from hpc3.tables import Row, rows

ERROR, WARNING, NOTE = "error", "warning", "note"

_PLACE = re.compile(r"\{([a-z]+)\}")
#: Values that may be empty: they go on with a sentence, which does without them.
_OPTIONAL = ("hint",)


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        code: of the table, such as ``HPC101``.
        level: ``error``, ``warning``, ``note``.
        message: one line for a person.
        where: file and line, or image and key.
        remedy: what to do about it.
    """

    code: str
    level: str
    message: str
    where: str
    remedy: str


@cache
def kinds() -> Mapping[str, Row]:
    """Return every kind of finding by its code, in the order of the table."""
    return {row["code"]: row for row in rows("findings")}


def finding(code: str, where: str, **details: str) -> Finding:
    """Return the finding of a kind, with ``details`` (from the image, hence hostile) put into its texts."""
    kind = kinds()[code]
    safe = {name: printable(value, 200) for name, value in details.items()}
    return Finding(
        code=code,
        level=kind["level"],
        message=kind["message"].format(**safe),
        where=where,
        remedy=kind["remedy"].format(**safe),
    )


def explain(wanted: str) -> str:
    """Return what codes mean, why they matter and how to mend what they tell, as text for a terminal.

    Args:
        wanted: codes with commas between; lower case, and the number alone, will do.

    Raises:
        UsageError: there is no such code.
    """
    return "\n".join(_explained(code.strip()) for code in wanted.split(","))


def _explained(code: str) -> str:
    number = code.upper().removeprefix("HPC")
    kind = kinds().get(f"HPC{number}")
    if kind is None:
        remedy = f"codes go from {min(kinds())} to {max(kinds())}; all tells of every one"
        raise UsageError(f"there is no finding {printable(code, 40)!r}", remedy=remedy)
    lines = (
        f"{kind['code']} ({kind['level']}): {plain(kind['message'])}",
        "",
        kind["explanation"],
        "",
        f"Remedy: {plain(kind['remedy'])}.",
        f"Source: {kind['source']}.",
    )
    return "\n".join(lines) + "\n"


def plain(template: str) -> str:
    """Return a text of the table without its places for values: each is a word in capitals, as in a usage line."""
    return _PLACE.sub(lambda place: "" if place[1] in _OPTIONAL else place[1].upper(), template)


def explain_all() -> str:
    """Return a page in Markdown about every finding; ``docs/findings.md`` is this text."""
    groups = {
        "1": "The behaviour contract, as the configuration shows it",
        "2": "Keys and values",
        "3": "Values that demand or forbid others",
        "4": "Places that say different things",
        "5": "Hazards",
        "6": "What happens when the image is started (`--run`)",
    }
    lines = [
        "# Findings of `hpc3 validate`",
        "",
        "<!-- Generated: hpc3 validate --explain all -o docs/findings.md -->",
        "",
        "An *error* rejects the image; a *warning* does with `--strict`; a *note* never does.",
        "`hpc3 validate --explain CODE` prints one of these in a terminal.",
    ]
    for digit, title in groups.items():
        lines += ["", f"## {title}"]
        for code, kind in kinds().items():
            if code[3] == digit:
                message = _emphasised(kind["message"])
                lines += ["", f"### {code}", "", f"**{kind['level']}**: {message}.", "", kind["explanation"], ""]
                lines += [f"*Remedy:* {_emphasised(kind['remedy'])}.", "", f"*Source:* {kind['source']}."]
    return "\n".join(lines) + "\n"


def _emphasised(template: str) -> str:
    """Return a text of the table in Markdown, the places for values in italics."""
    return _PLACE.sub(lambda place: "" if place[1] in _OPTIONAL else f"*{place[1]}*", template)
