from __future__ import annotations

import json
from typing import Any

import pytest

import peers
from hpc3.consume.attached_sbom import SbomEntry, sbom_entries
from hpc3.errors import InputError

RECIPES = sorted(path.name for path in (peers.REPOSITORY / "recipes").iterdir() if (path / "sbom.cdx.json").is_file())


def recipe(name: str, form: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((peers.REPOSITORY / f"recipes/{name}/sbom.{form}.json").read_text("utf-8"))
    return document


@pytest.mark.parametrize("name", RECIPES)
def test_both_formats_list_what_the_annotations_of_a_recipe_name(name: str) -> None:
    cyclonedx, spdx = (sbom_entries(recipe(name, form), form) for form in ("cdx", "spdx"))
    assert [(entry.name, entry.version) for entry in cyclonedx] == [(entry.name, entry.version) for entry in spdx]
    stated = json.loads((peers.REPOSITORY / f"recipes/{name}/annotations.json").read_text("utf-8"))
    named = set(stated["org.supercontainers.software.dependencies"].split(","))
    assert named <= {f"{entry.name.lower()}@{entry.version}" for entry in cyclonedx}
    assert not {"cmake", "m4"} & {entry.name for entry in cyclonedx}  # only needed to build it


def test_licenses_are_read_in_each_form() -> None:
    components = [
        {"name": "b", "version": "1", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
        {"name": "a", "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "Ours"}}]},
        {"name": "gone", "scope": "excluded"},
        {"version": "2"},
        "no object",
    ]
    document = {"bomFormat": "CycloneDX", "components": components}
    assert sbom_entries(document, "x") == (SbomEntry("a", "", "MIT AND Ours"), SbomEntry("b", "1", "MIT OR Apache-2.0"))


def test_an_spdx_without_relationships_lists_every_package() -> None:
    packages = [
        {"name": "zlib", "versionInfo": "1.3", "licenseDeclared": "NOASSERTION"},
        {"name": "image", "primaryPackagePurpose": "CONTAINER"},
    ]
    assert sbom_entries({"spdxVersion": "SPDX-2.3", "packages": packages}, "x") == (SbomEntry("zlib", "1.3"),)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"packages": []},
        {"bomFormat": "CycloneDX"},
        {"bomFormat": "CycloneDX", "components": {}},
        {"bomFormat": "other", "components": []},
        {"spdxVersion": "SPDX-2.3", "packages": "all"},
        {"bomFormat": "CycloneDX", "components": [{}] * 10_001},
    ],
)
def test_what_is_no_sbom(document: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        sbom_entries(document, "x")


def test_hostile_relationships_end() -> None:
    circle = [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "a"},
        {"spdxElementId": "a", "relationshipType": "CONTAINS", "relatedSpdxElement": "b"},
        {"spdxElementId": "b", "relationshipType": "CONTAINS", "relatedSpdxElement": "a"},
        {"spdxElementId": 1, "relationshipType": "CONTAINS", "relatedSpdxElement": None},
        "no object",
    ]
    packages = [{"name": "b", "SPDXID": "b"}, {"name": "c", "SPDXID": "c"}]
    document = {"spdxVersion": "SPDX-2.3", "packages": packages, "relationships": circle}
    assert sbom_entries(document, "x") == (SbomEntry("b"),)
