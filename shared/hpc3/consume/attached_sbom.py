"""The SBOM that is attached to an image: its components, as a table for people.

Both formats that ``hpc3 apply --sbom`` attaches are read, whoever wrote them: of each component the name, the version
and the license, and only those that are in the image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpc3.errors import InputError
from hpc3.oci.manifest import CYCLONEDX, SPDX, parse_json
from hpc3.oci.store import ImageStore

_MOST_ENTRIES = 10_000
_MOST_CHARACTERS = 300


@dataclass(frozen=True)
class SbomEntry:
    """A component of an SBOM; what it does not state is empty."""

    name: str
    version: str = ""
    license: str = ""


def attached_sbom(store: ImageStore, digest: str) -> tuple[SbomEntry, ...]:
    """Return the components in the first SBOM that is attached to an image; ``()`` where there is none.

    Costs what it costs to list the referrers, and two requests for the SBOM.

    Raises:
        InputError: the SBOM is not what it says it is.
        StoreError: the store fails.
    """
    for artifact in store.list_referrers(digest):
        if artifact.artifact_type in (CYCLONEDX, SPDX):
            for layer in store.read_manifest(artifact).layers[:1]:
                return sbom_entries(parse_json(store.read_blob(layer), artifact.digest), artifact.digest)
    return ()


def sbom_entries(document: Mapping[str, Any], where: str) -> tuple[SbomEntry, ...]:
    """Return the components of a CycloneDX or SPDX 2 document that are in the image, sorted, each once.

    Raises:
        InputError: it is neither, or larger than a table for people can be.
    """
    is_cyclonedx = document.get("bomFormat") == "CycloneDX"
    listed = document.get("components" if is_cyclonedx else "packages")
    if not isinstance(listed, list) or not (is_cyclonedx or "spdxVersion" in document):
        raise InputError("is neither CycloneDX nor SPDX 2", where=where)
    if len(listed) > _MOST_ENTRIES:
        raise InputError(f"lists more than {_MOST_ENTRIES} components", where=where)
    items = [item for item in listed if isinstance(item, dict)]
    found = _cyclonedx(items) if is_cyclonedx else _spdx(items, _reached(document.get("relationships")))
    return tuple(sorted(set(found), key=lambda entry: (entry.name.lower(), entry.version, entry.license)))


def _cyclonedx(items: Iterable[Mapping[str, Any]]) -> Iterator[SbomEntry]:
    for item in items:
        if item.get("scope") != "excluded":  # CycloneDX 1.6, components.scope: no part of what is delivered
            licenses = item.get("licenses")
            stated = [_cyclonedx_license(entry) for entry in licenses] if isinstance(licenses, list) else []
            yield from _entry(item.get("name"), item.get("version"), " AND ".join(filter(None, stated)))


def _cyclonedx_license(entry: object) -> str:
    if not isinstance(entry, dict):
        return ""
    inner = entry.get("license")
    named = inner.get("id") or inner.get("name") if isinstance(inner, dict) else None
    return _text(entry.get("expression") or named)


def _spdx(items: Iterable[Mapping[str, Any]], reached: Collection[str]) -> Iterator[SbomEntry]:
    for item in items:
        is_image = item.get("primaryPackagePurpose") == "CONTAINER"
        if not is_image and (not reached or item.get("SPDXID") in reached):
            license_ = _text(item.get("licenseDeclared"))
            is_stated = license_ not in ("NOASSERTION", "NONE")  # SPDX 2.3, 7.15
            yield from _entry(item.get("name"), item.get("versionInfo"), license_ if is_stated else "")


def _reached(relationships: object) -> set[str]:
    """Return the elements that what is described contains or depends on (SPDX 2.3, 11.1); none where none is told."""
    edges: dict[str, set[str]] = {}
    for entry in relationships if isinstance(relationships, list) else ():
        if isinstance(entry, dict) and entry.get("relationshipType") in ("DESCRIBES", "CONTAINS", "DEPENDS_ON"):
            edges.setdefault(_text(entry.get("spdxElementId")), set()).add(_text(entry.get("relatedSpdxElement")))
    described = edges.get("SPDXRef-DOCUMENT", set())
    reached, found = set(described), set(described)
    while found:
        found = {to for element in found for to in edges.get(element, ())} - reached
        reached |= found
    return reached - described


def _entry(name: object, version: object, license_: str) -> Iterator[SbomEntry]:
    if _text(name):
        yield SbomEntry(_text(name), _text(version), license_)


def _text(value: object) -> str:
    return value[:_MOST_CHARACTERS] if isinstance(value, str) else ""
