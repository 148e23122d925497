"""Reports for people, programs and CI: text, JSON, JUnit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from hpc3.errors import printable
from hpc3.fingerprint import host_line

from .check import FACETS, Report
from .verdict import Judgement, Side, Verdict, worst

SCHEMA = "hpc3.check/1"
_NARROW = 10


def report_text(report: Report, *, evidence: bool = False) -> str:
    """Return a report for a person: host, image, one line per judgement, the verdict last.

    Args:
        report: what was found.
        evidence: also print what both sides said.
    """
    lines = [f"host   {host_line(report.host)}", f"image  {image_line(report)}"]
    for facet in FACETS:
        for position, judgement in enumerate(report.facet(facet)):
            name = facet if position == 0 else ""
            lines.append(f"  {name:<{_NARROW}}{judgement.verdict.value.upper():<{_NARROW}}{judgement.reason}")
            if evidence:
                lines += [f"{'':{2 * _NARROW + 2}}{line}" for line in _evidence_lines(judgement)]
            if judgement.remedy and judgement.verdict is not Verdict.OK:
                lines.append(f"{'':{2 * _NARROW + 2}}→ {judgement.remedy}")
    lines.append(f"verdict: {report.verdict.value.upper()} - {report.sentence}")
    return "".join(f"{printable(line)}\n" for line in lines)


def image_line(report: Report) -> str:
    """Return an image in one line: digest, software, target, MPI, GPU runtime."""
    image = report.image
    mpi, cuda = image.value("mpi.implementation"), image.value("hardware.gpu.cuda.version")
    parts = [image.digest[:19], image.title, image.value("hardware.cpu.optimized.version")]
    parts.append(f"{mpi} {image.value('mpi.version')}".strip() if mpi not in ("", "none") else "")
    parts.append(f"cuda {cuda}" if cuda else image.value("hardware.gpu.rocm.version") and "rocm")
    return " · ".join(part for part in parts if part) or "an image that says nothing"


def report_document(report: Report) -> dict[str, Any]:
    """Return a report as plain data: schema ``hpc3.check/1``."""
    return {
        "schema": SCHEMA,
        "image": {"reference": report.image.reference, "digest": report.image.digest, "size": report.image.size},
        "host": {"name": report.host.name, "cpu": report.host.cpu.target if report.host.cpu else None},
        "verdict": report.verdict.value,
        "sentence": report.sentence,
        "exit": report.verdict.exit_code,
        "facets": [_facet_document(name, report.facet(name)) for name in FACETS],
    }


def reports_json(reports: Sequence[Report]) -> str:
    """Return one report as an object, several as a list."""
    documents = [report_document(report) for report in reports]
    return json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, ensure_ascii=False) + "\n"


def reports_junit(reports: Iterable[Report]) -> str:
    """Return the reports as JUnit XML: a suite per image and host, a case per facet.

    ``fails`` is a failure, ``unknown`` an error, ``degraded`` passes with the reason in ``system-out``.
    """
    root = ElementTree.Element("testsuites", name="hpc3 check")
    for report in reports:
        name = f"{report.image.title} on {report.host.name or 'this host'}"
        suite = ElementTree.SubElement(root, "testsuite", name=_xml(name), tests=str(len(FACETS)))
        totals = {"failures": 0, "errors": 0}
        for facet in FACETS:
            case = ElementTree.SubElement(suite, "testcase", name=facet, classname=_xml(name))
            verdict = _add_outcome(case, report.facet(facet))
            totals["failures"] += verdict is Verdict.FAILS
            totals["errors"] += verdict is Verdict.UNKNOWN
        suite.attrib.update({kind: str(count) for kind, count in totals.items()})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_outcome(case: ElementTree.Element, judgements: tuple[Judgement, ...]) -> Verdict:
    verdict = worst(judgements)
    text = "\n".join(_xml(f"{judgement.code}: {judgement.reason}") for judgement in judgements)
    kind = {Verdict.FAILS: "failure", Verdict.UNKNOWN: "error"}.get(verdict)
    if kind:
        outcome = ElementTree.SubElement(case, kind, type=judgements[0].code, message=_xml(judgements[0].reason))
        outcome.text = text
    else:
        ElementTree.SubElement(case, "system-out").text = text
    return verdict


def _facet_document(name: str, judgements: tuple[Judgement, ...]) -> dict[str, Any]:
    return {
        "facet": name,
        "verdict": worst(judgements).value,
        "judgements": [
            {
                "verdict": judgement.verdict.value,
                "code": judgement.code,
                "reason": judgement.reason,
                "image": [_side_document(side) for side in judgement.image],
                "host": [_side_document(side) for side in judgement.host],
                "remedy": judgement.remedy or None,
            }
            for judgement in judgements
        ],
    }


def _side_document(side: Side) -> dict[str, str]:
    place = {"place": side.place} if side.place else {}
    return {"subject": side.subject, "value": side.value, **place}


def _evidence_lines(judgement: Judgement) -> list[str]:
    image = [f"image {side.subject} = {side.value or '(not stated)'}" + _from(side) for side in judgement.image]
    return image + [f"host  {side.subject} = {side.value or '(none)'}" for side in judgement.host]


def _from(side: Side) -> str:
    return f" [{side.place}]" if side.place else ""


def _xml(text: str) -> str:
    """Return text that XML can hold: control characters, which it cannot, are shown as escapes."""
    return printable(text)
