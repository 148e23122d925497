"""The pages of the website, as text; every value is escaped here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape

from hpc3.errors import printable
from hpc3.fingerprint import Fingerprint, host_line
from hpc3.vocabulary import PREFIX

from ..attached_sbom import SbomEntry
from ..check import Report
from ..image import Image
from ..tweak.engines import ENGINES
from ..tweak.wiring import wiring_of
from .markdown import decoded_text, safe_html

#: Forbids every request to elsewhere and every script but our own, should a value ever escape its quotes.
_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'"
_DOCUMENTS = {
    "documentation.readme": "About",
    "documentation.howto.run": "How to run",
    "documentation.howto.build": "How to build",
    "documentation.tweaks": "Tuning",
}
_DEPENDENCIES = "software.dependencies"
_COLUMNS = ("page", "title", "reference", "software", "target", "mpi", "gpu", "verdicts")


def page_name(image: Image) -> str:
    """Return the file name of an image's page, without its suffix: its digest in letters and digits."""
    name = "".join(c for c in image.digest if c.isascii() and c.isalnum())
    return name[:140] or "image"


def index_page(hosts: Sequence[Fingerprint]) -> str:
    """Return the page with the list of images; the list itself is in ``images.js``."""
    names = ("Software", "Target", "MPI", "GPU", *(host.name for host in hosts))
    heads = "".join(f'<th scope="col">{_text(name)}</th>' for name in names)
    selects = "".join(_select(name, label) for name, label in _FILTERS.items())
    if hosts:
        selects += _select("host", "Runs on", [host.name for host in hosts])
    caption = "Images, and what becomes of them on each host" if hosts else "Images"
    table = (
        f'<table id="images">\n<caption>{caption}</caption>\n<thead><tr>{heads}</tr></thead>\n'
        '<tbody id="rows"></tbody>\n</table>'
    )
    return _page(
        "Images",
        f"""\
<form id="filters" role="search" hidden>
<div><label for="search">Search</label><input id="search" type="search" autocomplete="off"></div>
{selects}
</form>
<p id="count" role="status" aria-live="polite"></p>
<noscript><p>Searching needs JavaScript; <a href="all.html">the plain list</a> does without.</p></noscript>
{_scrolling("Images", table)}
<p><button id="more" type="button" hidden>Show more</button></p>
<script src="images.js"></script>
<script src="app.js"></script>
""",
        "",
    )


def plain_list_page(images: Iterable[Image]) -> str:
    """Return the list of all images as links, for readers without JavaScript."""
    items = "".join(
        f'<li><a href="images/{page_name(i)}.html">{_text(i.title)}</a> {_text(i.reference)}</li>\n' for i in images
    )
    return _page("All images", f"<ul>\n{items}</ul>\n", "")


def list_data(images: Sequence[Image], verdicts: Sequence[Sequence[str]], hosts: Sequence[Fingerprint]) -> str:
    """Return ``images.js``: a script, because a page opened from a disk may load scripts but no other files."""
    rows = [
        [
            page_name(image),
            printable(image.title, 120),
            printable(image.reference, 300),
            image.value("software.name"),
            image.value("hardware.cpu.optimized.version"),
            image.value("mpi.implementation"),
            image.value("hardware.gpu.vendor"),
            list(of_image),
        ]
        for image, of_image in zip(images, verdicts)
    ]
    data = {"hosts": [printable(host.name, 60) for host in hosts], "columns": _COLUMNS, "rows": rows}
    # "<" never stands in the script as itself: no value can end it.
    return f"window.HPC3 = {json.dumps(data, separators=(',', ':')).replace('<', chr(92) + 'u003c')};\n"


def image_page(image: Image, reports: Sequence[Report], sbom: Sequence[SbomEntry] = ()) -> str:
    """Return the page of one image: verdicts, commands, documentation, components, statements.

    Args:
        image: what it states.
        reports: what becomes of it on each host.
        sbom: the components that its SBOM lists; without any, those that its annotations name are shown.
    """
    blocks = [
        _summary(image),
        _verdicts(reports),
        *_documents(image),
        _commands(image, _best_host(reports)),
        _components(image, sbom),
        _statements(image),
    ]
    return _page(image.title, "\n".join(block for block in blocks if block) + "\n", "../")


def _summary(image: Image) -> str:
    """Return what people ask first, as pairs; what is not stated is left out."""
    named = {
        "Pull": f"<code>{_text(image.pinned)}</code>",
        "CPU target": _text(image.value("hardware.cpu.optimized.version")),
        "MPI": _text(f"{image.value('mpi.implementation')} {image.value('mpi.version')}".strip()),
        "GPU": _text(" ".join(image.values("hardware.gpu.vendor") + image.values("hardware.gpu.architecture"))),
        "System": _text(f"{image.value('os.vendor')} {image.value('os.version')}".strip()),
        "Size": f"{image.size / 1e6:,.0f} MB" if image.size else "",
    }
    pairs = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>\n" for name, value in named.items() if value)
    return f'<dl class="summary">\n{pairs}</dl>'


def _verdicts(reports: Sequence[Report]) -> str:
    if not reports:
        return ""
    rows = [
        (
            f"{_text(report.host.name)} <small>{_text(host_line(replace(report.host, name='')))}</small>",
            f'<span class="verdict {report.verdict.value}">{report.verdict.value}</span>',
            _judgements(report),
        )
        for report in reports
    ]
    return _section("verdicts", "Where it runs", _table("Where it runs", ("Host", "Verdict", "Why"), rows))


def _judgements(report: Report) -> str:
    telling = [judgement for judgement in report.judgements if judgement.verdict.severity > 0]
    if not telling:
        return _text(report.sentence)
    items = "".join(f"<li><b>{_text(judgement.facet)}</b> {_text(judgement.reason)}</li>" for judgement in telling)
    return f"<ul>{items}</ul>"


def _documents(image: Image) -> Iterable[str]:
    for name, title in _DOCUMENTS.items():
        text = decoded_text(image.value(name))
        if text:
            yield _section(name.replace(".", "-"), title, safe_html(text))


def _commands(image: Image, host: Fingerprint) -> str:
    parts, wiring = [], wiring_of(image, host)
    for engine, configured in ENGINES.items():
        configuration = configured(wiring)
        lines = "\n".join(_text(line) for line in (configuration.pull_line, configuration.command_line) if line)
        parts.append(f"<h3>{_text(engine)}</h3>\n<pre><code>{lines}</code></pre>")
    on = f" on {_text(host.name)}" if host.name else ""
    return _section("run", f"How to pull and run it{on}", "\n".join(parts))


def _best_host(reports: Sequence[Report]) -> Fingerprint:
    """Return the host to show commands for: the first on which the image runs best."""
    best = min(reports, key=lambda report: report.verdict.severity, default=None)
    return best.host if best else Fingerprint()


def _components(image: Image, sbom: Sequence[SbomEntry]) -> str:
    heads, rows = ["Component", "Version"], [tuple(entry.split("@", 1)) for entry in image.values(_DEPENDENCIES)]
    said = "From the image's annotations; no SBOM was read."
    if sbom:
        heads, rows = [*heads, "License"], [(entry.name, entry.version, entry.license) for entry in sbom]
        said = "From the SBOM that is attached to the image."
    if not rows:
        return ""
    table = _table("What is in it", heads, ([_text(cell) for cell in row] for row in rows))
    return _section("components", "What is in it", f"<p>{said}</p>\n{table}")


def _statements(image: Image) -> str:
    rows = [
        (f"<code>{_text(name)}</code>", _text(s.value), _text(s.place))
        for name, s in image.statements.items()
        if not name.startswith(f"{PREFIX}documentation.") and name != PREFIX + _DEPENDENCIES
    ]
    return _section("statements", "What it states", _table("What it states", ("Key", "Value", "Read from"), rows))


_FILTERS = {"software": "Software", "mpi": "MPI", "gpu": "GPU", "target": "CPU target"}


def _select(name: str, label: str, values: Sequence[str] = ()) -> str:
    options = "".join(f"<option>{_text(value)}</option>" for value in values)
    any_value = '<option value="">any</option>'
    return f'<div><label for="{name}">{label}</label><select id="{name}">{any_value}{options}</select></div>'


def _table(name: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of HTML cells whose first column heads the rows; on a phone each row becomes a block."""
    head = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f'<td data-name="{head}">{cell}</td>' for head, cell in zip(heads[1:], cells))
        + "</tr>\n"
        for first, *cells in rows
    )
    return _scrolling(name, f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>")


def _scrolling(name: str, table: str) -> str:
    """Return a table that may be wider than its page, in a part that the keyboard can scroll."""
    return f'<div class="wide" role="region" aria-label="{name}" tabindex="0">{table}</div>'


def _section(name: str, title: str, body: str) -> str:
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{title}</h2>\n{body}\n</section>'


def _page(title: str, body: str, up: str) -> str:
    home = f'<nav aria-label="Site"><a href="{up}index.html">All images</a></nav>' if up else ""
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="referrer" content="no-referrer">
<title>{_text(title)}</title>
<link rel="stylesheet" href="{up}style.css">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>{home}<h1>{_text(title)}</h1></header>
<main id="content">
{body}</main>
</body>
</html>
"""


def _text(value: str) -> str:
    return escape(printable(value, 4000))
