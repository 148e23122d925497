"""SPDX 2.3 in JSON (https://spdx.github.io/spdx-spec/v2.3/)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hpc3 import __version__
from hpc3.facts import Component, Facts, Known

from .closure import (
    component_properties,
    edges_of,
    image_name,
    image_properties,
    is_sha256,
    is_uri,
    shared_values,
)
from .document import sealed_text, timestamp
from .licenses import is_expression, license_references
from .purl import purl_of

# spdx-tools was passed over: the SBOM is also written inside Spack's own Python, and the library brings ten others.
# The tests read every document with its parser and hold it against its validator.

#: What ``created`` says where nobody states a time: SPDX requires one, and the clock would make every run another.
EPOCH = 0

_DOCUMENT, _IMAGE = "SPDXRef-DOCUMENT", "SPDXRef-Image"
_NOT_IN_IDENTIFIER = re.compile(r"[^A-Za-z0-9.]+")
_LICENSE_TEXT = "The package manager names this licence; it does not state its text."


def spdx_sbom(facts: Facts, created: int | None = None) -> str:
    """Return the SBOM as text: every component once, one a line, the same text for the same facts.

    The image ``CONTAINS`` the runtime closure. What is linked or run is ``DEPENDS_ON``; what was only needed to build
    or to test is ``BUILD_DEPENDENCY_OF`` or ``TEST_DEPENDENCY_OF``. What SPDX has no field for stands in the package's
    comment, a line each.

    Args:
        facts: what the source states.
        created: seconds since 1970; None: 1970-01-01T00:00:00Z, which says that nobody stated it.

    Raises:
        InputError: a component depends on one that the facts do not hold.
    """
    ids = {component.id: _identifier(component) for component in facts.components.values()}
    name, version = image_name(facts)
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        # The form that the specification gives to those who have no server of their own (6.5).
        "documentNamespace": "",
        "name": f"{name}-{version}" if version else name,
        "creationInfo": {
            "created": timestamp(EPOCH if created is None else created),
            "creators": [f"Tool: hpc3-{__version__}"],
        },
        "packages": _packages(facts, ids),
        "relationships": list(_relationships(facts, ids)),
        **_extracted_licenses(facts),
    }
    return sealed_text(document, "documentNamespace", "https://spdx.org/spdxdocs/hpc3-")


def _identifier(component: Component) -> str:
    """Return a package's identifier: letters, digits, ``.`` and ``-``; what others it held, a digest tells apart."""
    id_ = component.id
    if _NOT_IN_IDENTIFIER.search(id_):
        digest = hashlib.sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()
        id_ = f"{_NOT_IN_IDENTIFIER.sub('-', id_)[:64]}-{digest[:16]}"
    return f"SPDXRef-Package-{_NOT_IN_IDENTIFIER.sub('-', component.name)[:64]}-{id_}"


def _packages(facts: Facts, ids: Mapping[str, str]) -> list[dict[str, Any]]:
    shared = shared_values(facts)
    components = facts.components.values()
    return [
        _image(facts),
        *(_package(component, ids[component.id], facts.manager.name, shared) for component in components),
    ]


def _image(facts: Facts) -> dict[str, Any]:
    name, version = image_name(facts)
    return {
        "SPDXID": _IMAGE,
        "name": name,
        **({"versionInfo": version} if version else {}),
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseDeclared": _license(facts.license.value if isinstance(facts.license, Known) else ""),
        "comment": _lines(f"{name}: {value}" for name, value in image_properties(facts)),
    }


def _package(component: Component, identifier: str, manager: str, shared: Iterable[str]) -> dict[str, Any]:
    metadata = component.metadata
    checksum = is_uri(metadata.source_url) and is_sha256(metadata.source_sha256)
    properties = component_properties(component, shared)
    found = {
        "SPDXID": identifier,
        "name": component.name,
        "versionInfo": component.version,
        "downloadLocation": metadata.source_url if is_uri(metadata.source_url) else "NOASSERTION",
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": metadata.source_sha256}] if checksum else [],
        "homepage": metadata.homepage if is_uri(metadata.homepage) else "",
        "licenseDeclared": _license(metadata.license),
        "summary": metadata.description,
        "comment": _lines(f"{manager}:{name}: {value}" for name, value in properties),
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl_of(component, manager),
            }
        ],
    }
    return {name: value for name, value in found.items() if value not in ("", [])}


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _license(text: str) -> str:
    if not text:
        return "NOASSERTION"
    return text if is_expression(text) else _named_reference(text)


def _named_reference(name: str) -> str:
    """Return the reference of a licence that only has a name."""
    return "LicenseRef-hpc3-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _extracted_licenses(facts: Facts) -> dict[str, Any]:
    """Return what SPDX wants to be told of every licence that is not on its list."""
    stated = {component.metadata.license for component in facts.components.values()}
    if isinstance(facts.license, Known):
        stated.add(facts.license.value)
    found: dict[str, str] = {}
    for text in stated - {""}:
        if is_expression(text):
            found.update((reference, reference) for reference in license_references(text))
        else:
            found[_named_reference(text)] = text
    licenses = [
        {"licenseId": reference, "name": name, "extractedText": _LICENSE_TEXT}
        for reference, name in sorted(found.items())
    ]
    return {"hasExtractedLicensingInfos": licenses} if licenses else {}


def _relationships(facts: Facts, ids: Mapping[str, str]) -> Iterable[dict[str, str]]:
    yield _relationship(_DOCUMENT, "DESCRIBES", _IMAGE)
    for id_ in sorted(component.id for component in facts.components.values() if component.root):
        yield _relationship(_IMAGE, "DEPENDS_ON", ids[id_])
    for id_ in sorted(component.id for component in facts.components.values() if component.runtime):
        yield _relationship(_IMAGE, "CONTAINS", ids[id_])
    for component in facts.components.values():
        edges, own = edges_of(component, facts), ids[component.id]
        yield from (_relationship(own, "DEPENDS_ON", ids[id_]) for id_ in edges["runtime"])
        yield from (_relationship(ids[id_], "BUILD_DEPENDENCY_OF", own) for id_ in edges["build"])
        yield from (_relationship(ids[id_], "TEST_DEPENDENCY_OF", own) for id_ in edges["test"])


def _relationship(element: str, kind: str, related: str) -> dict[str, str]:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}
