"""CycloneDX 1.6 in JSON (ECMA-424; https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from hpc3 import __version__
from hpc3.facts import Component, Facts, Known

from .purl import purl_of

# cyclonedx-python-lib was passed over: the SBOM is also written inside Spack's own Python, and the library takes a
# second to import. The tests validate every document with its strict schema validator.

_ROOT = "image"


def cyclonedx_sbom(facts: Facts) -> str:
    """Return the SBOM as text: each component once, sorted, edges by reference; no clock, the same for the same facts.

    Components of the runtime closure have scope ``required``; build-only ones ``excluded`` (they are not in the
    image). What Spack or EasyBuild call a thing stands in properties with their prefix.
    """
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, 'hpc3:' + (facts.digest or _names(facts)))}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "hpc3", "version": __version__}]},
            "component": _image(facts),
        },
        "components": [_component(component, facts.manager.name) for component in facts.components.values()],
        "dependencies": list(_dependencies(facts)),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _names(facts: Facts) -> str:
    return ",".join(component.id for component in facts.components.values())


def _image(facts: Facts) -> dict[str, Any]:
    software = facts.software
    if isinstance(software, Known):
        return {"type": "container", "bom-ref": _ROOT, "name": software.value.name, "version": software.value.version}
    return {"type": "container", "bom-ref": _ROOT, "name": "-".join(root.name for root in facts.roots)}


def _component(component: Component, manager: str) -> dict[str, Any]:
    metadata = component.metadata
    entry: dict[str, Any] = {
        "type": "library",
        "bom-ref": component.id,
        "name": component.name,
        "version": component.version,
        "scope": "required" if component.runtime else "excluded",
        "purl": purl_of(component, manager),
    }
    if metadata.description:
        entry["description"] = metadata.description
    if metadata.license:
        entry["licenses"] = [{"expression": metadata.license}]
    references = _references(component)
    if references:
        entry["externalReferences"] = references
    if component.patches:
        entry["pedigree"] = {"patches": [{"type": "unofficial"} for _ in component.patches]}
    entry["properties"] = [{"name": name, "value": value} for name, value in _properties(component, manager)]
    return entry


def _references(component: Component) -> list[dict[str, Any]]:
    metadata = component.metadata
    references: list[dict[str, Any]] = []
    if metadata.source_url:
        source: dict[str, Any] = {"type": "source-distribution", "url": metadata.source_url}
        if metadata.source_sha256:
            source["hashes"] = [{"alg": "SHA-256", "content": metadata.source_sha256}]
        references.append(source)
    if metadata.homepage:
        references.append({"type": "website", "url": metadata.homepage})
    return references


def _properties(component: Component, manager: str) -> Iterable[tuple[str, str]]:
    """Return what CycloneDX has no field for, sorted by name (a property may repeat)."""
    found = [
        ("compiler", component.compiler),
        ("external", component.external.path if component.external else ""),
        ("hash", component.id),
        ("namespace", component.namespace),
        ("os", component.os),
        *(("patch", f"sha256:{patch}") for patch in component.patches),
        ("root", "true" if component.root else ""),
        ("target", component.target),
        *(
            (f"variant:{name}", _variant_text(value))
            for name, value in sorted(component.variants.items())
            if value is not None
        ),
    ]
    return ((f"{manager}:{name}", value) for name, value in found if value)


def _variant_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _dependencies(facts: Facts) -> Iterable[dict[str, Any]]:
    yield {"ref": _ROOT, "dependsOn": sorted(c.id for c in facts.components.values() if c.root)}
    for component in facts.components.values():
        yield {"ref": component.id, "dependsOn": sorted({edge.id for edge in component.dependencies})}
