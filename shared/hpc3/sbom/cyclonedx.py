"""CycloneDX 1.6 in JSON (ECMA-424; https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from hpc3 import __version__
from hpc3.facts import Component, Facts, Known

from .closure import (
    Property,
    component_properties,
    edges_of,
    image_name,
    image_properties,
    is_sha256,
    is_uri,
    shared_values,
)
from .document import sealed_text, timestamp
from .licenses import is_expression
from .purl import purl_of

# cyclonedx-python-lib was passed over: the SBOM is also written inside Spack's own Python, and the library takes a
# second to import. The tests validate every document with its strict schema validator.

#: Addresses of repositories: as SPDX and pip spell them (``git+https``), and those that end as git's own do.
_VERSION_CONTROL = re.compile(r"(?:git|hg|svn|bzr)[+:]|[^?#]*\.git$")


def cyclonedx_sbom(facts: Facts, created: int | None = None) -> str:
    """Return the SBOM as text: every component once, one a line, the same text for the same facts.

    Components of the runtime closure have scope ``required``; the others ``excluded``: they are not in the image.
    ``dependsOn`` holds what is linked or run. CycloneDX has no other edges: what was only needed to build or to test
    stands in properties, as does everything else that only the manager has words for (``spack:build-dependency``).

    Args:
        facts: what the source states.
        created: seconds since 1970; None: the document states no time.

    Raises:
        InputError: a component depends on one that the facts do not hold.
    """
    image, manager, shared = _image(facts), facts.manager.name, shared_values(facts)
    components, dependencies = [], [_edges(image["bom-ref"], sorted(c.id for c in facts.components.values() if c.root))]
    for component in facts.components.values():
        edges = edges_of(component, facts)
        properties = component_properties(component, shared)
        properties.extend((f"{kind}-dependency", id_) for kind in ("build", "test") for id_ in edges[kind])
        components.append(_component(component, manager, [(f"{manager}:{name}", value) for name, value in properties]))
        dependencies.append(_edges(component.id, edges["runtime"]))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            **({} if created is None else {"timestamp": timestamp(created)}),
            "tools": {"components": [{"type": "application", "name": "hpc3", "version": __version__}]},
            "component": image,
        },
        "components": components,
        "dependencies": dependencies,
    }
    return sealed_text(document, "serialNumber", "urn:uuid:")


def _image(facts: Facts) -> dict[str, Any]:
    ref = "image"
    while ref in facts.components:
        ref += "-"
    name, version = image_name(facts)
    license_ = facts.license.value if isinstance(facts.license, Known) else ""
    return {
        "type": "container",
        "bom-ref": ref,
        "name": name,
        **({"version": version} if version else {}),
        **_licenses(license_),
        "properties": _properties(image_properties(facts)),
    }


def _component(component: Component, manager: str, properties: list[Property]) -> dict[str, Any]:
    description = component.metadata.description
    return {
        "bom-ref": component.id,
        "type": "library",
        "name": component.name,
        **({"version": component.version} if component.version else {}),
        **({"description": description} if description else {}),
        "scope": "required" if component.runtime else "excluded",
        **_licenses(component.metadata.license),
        "purl": purl_of(component, manager),
        **_references(component),
        **({"properties": _properties(properties)} if properties else {}),
    }


def _licenses(text: str) -> dict[str, Any]:
    """Return what was declared, where it is known: an SPDX expression, or the name of a licence."""
    if not text:
        return {}
    if is_expression(text):
        return {"licenses": [{"expression": text, "acknowledgement": "declared"}]}
    return {"licenses": [{"license": {"name": text, "acknowledgement": "declared"}}]}


def _references(component: Component) -> dict[str, Any]:
    metadata = component.metadata
    references: list[dict[str, Any]] = []
    if is_uri(metadata.source_url):
        kind = "vcs" if _VERSION_CONTROL.match(metadata.source_url) else "source-distribution"
        source: dict[str, Any] = {"type": kind, "url": metadata.source_url}
        if is_sha256(metadata.source_sha256):
            source["hashes"] = [{"alg": "SHA-256", "content": metadata.source_sha256}]
        references.append(source)
    if is_uri(metadata.homepage):
        references.append({"type": "website", "url": metadata.homepage})
    return {"externalReferences": references} if references else {}


def _properties(properties: Iterable[Property]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in properties]


def _edges(ref: str, ids: list[str]) -> dict[str, Any]:
    return {"ref": ref, "dependsOn": ids} if ids else {"ref": ref}
