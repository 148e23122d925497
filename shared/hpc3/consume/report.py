"""Findings as text, JSON, SARIF 2.1.0 (code scanning) and JUnit XML (CI); pure, deterministic."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict
from urllib.parse import quote
from xml.etree import ElementTree

from hpc3 import __version__
from hpc3.errors import printable

from .finding import Finding, kinds, plain
from .validate import is_rejected

FORMATS = ("text", "json", "sarif", "junit")
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def report(
    findings: Sequence[Finding], name: str, style: str, *, strict: bool = False, unchecked: Collection[str] = ()
) -> str:
    """Return the findings about ``name`` in one of `FORMATS`.

    Args:
        findings: what was found.
        name: what was judged.
        style: one of `FORMATS`.
        strict: whether warnings reject; JUnit knows only what passes and what fails.
        unchecked: codes that nothing was held against; JUnit lists them as skipped.
    """
    if style == "json":
        return json.dumps({"subject": name, "findings": [asdict(f) for f in findings]}, indent=2) + "\n"
    if style == "sarif":
        return json.dumps(_sarif(findings, name), indent=2) + "\n"
    if style == "junit":
        return _junit(findings, name, strict, unchecked)
    return _text(findings)


def _text(findings: Sequence[Finding]) -> str:
    lines = []
    for each in findings:
        lines.append(printable(f"{each.code} {each.level:7} {each.where}: {each.message}"))
        lines.append(printable(f"{'':14} remedy: {each.remedy}"))
    counts = [(level, sum(each.level == level for each in findings)) for level in ("error", "warning", "note")]
    lines.append(", ".join(f"{number} {level}{'' if number == 1 else 's'}" for level, number in counts))
    return "\n".join(lines) + "\n"


def _sarif(findings: Sequence[Finding], name: str) -> object:
    rules = [
        {
            "id": code,
            "shortDescription": {"text": plain(kinds()[code]["message"])},
            "fullDescription": {"text": kinds()[code]["explanation"]},
            "help": {"text": plain(kinds()[code]["remedy"])},
            "defaultConfiguration": {"level": kinds()[code]["level"]},
        }
        for code in sorted({f.code for f in findings})
    ]
    results = [
        {
            "ruleId": f.code,
            "level": f.level,
            "message": {"text": printable(f"{f.message} ({f.remedy})")},
            "locations": [_location(f, name)],
        }
        for f in findings
    ]
    driver = {"name": "hpc3", "version": __version__, "rules": rules}
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _location(each: Finding, name: str) -> object:
    line = re.fullmatch(re.escape(name) + r":([0-9]+)", each.where)
    if line:
        place = {"artifactLocation": {"uri": _uri_reference(name)}, "region": {"startLine": int(line.group(1))}}
        return {"physicalLocation": place}
    return {"logicalLocations": [{"fullyQualifiedName": printable(each.where)}]}


def _uri_reference(path: str) -> str:
    """Return a path as a URI reference (RFC 3986, 4.1): no blank, and nothing that reads as a scheme or a host."""
    return quote(re.sub(r"^/+", "/", path).encode("utf-8", "surrogateescape"))


def _junit(findings: Sequence[Finding], name: str, strict: bool, unchecked: Collection[str]) -> str:
    """Return one test case per kind of finding, so that CI shows what was checked, not only what failed."""
    found: dict[str, list[Finding]] = {}
    for each in findings:
        found.setdefault(each.code, []).append(each)
    skipped = set(unchecked) & kinds().keys() - found.keys()
    failures = sum(is_rejected(of_kind, strict=strict) for of_kind in found.values())
    counts = {"tests": str(len(kinds())), "failures": str(failures), "errors": "0", "skipped": str(len(skipped))}
    suite = ElementTree.Element("testsuite", {"name": "hpc3 validate", **counts})
    for code in kinds():
        case = ElementTree.SubElement(suite, "testcase", classname=printable(name), name=code)
        if code in skipped:
            ElementTree.SubElement(case, "skipped", message="not checked on what was judged")
        _junit_outcome(case, found.get(code, ()), strict)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _junit_outcome(case: ElementTree.Element, findings: Sequence[Finding], strict: bool) -> None:
    """Add what was found to a test case: failures, or its output."""
    for each in findings:
        text = printable(f"{each.where}: {each.message} ({each.remedy})")
        if is_rejected([each], strict=strict):
            ElementTree.SubElement(case, "failure", type=each.level, message=printable(each.message)).text = text
        else:
            ElementTree.SubElement(case, "system-out").text = text
