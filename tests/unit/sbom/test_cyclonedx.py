"""CycloneDX documents, held against cyclonedx-python-lib's strict validator and against the lock itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import HealthCheck, given, settings
from packageurl import PackageURL

from hpc3.facts import Component, Dependency, External, Facts, PackageMetadata
from hpc3.sbom.cyclonedx import cyclonedx_sbom
from unit.conftest import Refused
from unit.sbom.made_facts import facts, facts_of_components, facts_of_environment, lock_edges

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def read_valid(text: str) -> dict[str, Any]:
    error = VALIDATOR.validate_str(text)
    assert error is None, error
    document: dict[str, Any] = json.loads(text)
    return document


def component_of(facts: Facts, id_: str) -> dict[str, Any]:
    found = [c for c in read_valid(cyclonedx_sbom(facts))["components"] if c["bom-ref"] == id_]
    assert len(found) == 1
    return found[0]


def properties(entry: dict[str, Any], name: str) -> list[str]:
    return [found["value"] for found in entry.get("properties", ()) if found["name"] == name]


def test_every_environment_is_valid_and_says_what_its_lock_says(environment: Path) -> None:
    for found in facts_of_environment(environment):
        document = read_valid(cyclonedx_sbom(found))
        components = {entry["bom-ref"]: entry for entry in document["components"]}
        assert list(components) == list(found.components)
        assert len(components) == len(document["components"])
        expected = lock_edges(environment, components)
        depends_on = {entry["ref"]: set(entry.get("dependsOn", ())) for entry in document["dependencies"]}
        image = document["metadata"]["component"]["bom-ref"]
        assert depends_on.pop(image) == {c.id for c in found.components.values() if c.root}
        assert {(ref, to) for ref, refs in depends_on.items() for to in refs} == {
            pair for pair, types in expected.items() if types & {"link", "run"}
        }
        assert {
            (ref, to) for ref, entry in components.items() for to in properties(entry, "spack:build-dependency")
        } == {pair for pair, types in expected.items() if not types & {"link", "run"}}


def test_scope_tells_what_the_roots_reach(environment: Path) -> None:
    for found in facts_of_environment(environment):
        document = read_valid(cyclonedx_sbom(found))
        edges = {entry["ref"]: entry.get("dependsOn", []) for entry in document["dependencies"]}
        reached: set[str] = set()
        stack = list(edges[document["metadata"]["component"]["bom-ref"]])
        while stack:
            ref = stack.pop()
            if ref not in reached:
                reached.add(ref)
                stack.extend(edges[ref])
        assert {c["bom-ref"] for c in document["components"] if c["scope"] == "required"} == reached
        assert {c["scope"] for c in document["components"]} <= {"required", "excluded"}


def test_every_purl_is_read_back(environment: Path) -> None:
    for found in facts_of_environment(environment):
        for entry in read_valid(cyclonedx_sbom(found))["components"]:
            purl = PackageURL.from_string(entry["purl"])
            assert (purl.type, purl.name, purl.version) == ("spack", entry["name"], entry["version"])
            assert purl.qualifiers == {"daghash": entry["bom-ref"]}
            assert purl.namespace == found.components[entry["bom-ref"]].namespace


@given(made=facts())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_facts_hold_the_document_is_valid(made: Facts) -> None:
    document = read_valid(cyclonedx_sbom(made))
    refs = [document["metadata"]["component"]["bom-ref"], *(c["bom-ref"] for c in document["components"])]
    assert len(set(refs)) == len(refs)
    assert refs[1:] == list(made.components)
    assert [entry["ref"] for entry in document["dependencies"]] == refs
    for entry, component in zip(document["components"], made.components.values()):
        assert entry["name"] == component.name
        assert entry.get("version", "") == component.version
        edges = {
            "link": document["dependencies"][refs.index(component.id)].get("dependsOn", []),
            "build": properties(entry, f"{made.manager.name}:build-dependency"),
            "test": properties(entry, f"{made.manager.name}:test-dependency"),
        }
        assert sorted(id_ for ids in edges.values() for id_ in ids) == [edge.id for edge in component.dependencies]
        for edge in component.dependencies:
            kind = "link" if {"link", "run"} & set(edge.types) else "build" if "build" in edge.types else "test"
            assert edge.id in edges[kind]


@given(made=facts())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_one_component_is_one_line_of_ascii(made: Facts) -> None:
    text = cyclonedx_sbom(made)
    assert text.isascii()
    assert all(line.isprintable() for line in text.splitlines())
    lines = [line for line in text.splitlines() if line.startswith('  {"bom-ref"')]
    assert [json.loads(line.rstrip(","))["bom-ref"] for line in lines] == list(made.components)


def test_half_a_surrogate_pair_becomes_a_character() -> None:
    made = facts_of_components([Component("a", "n\ud800", "1", variants={"v\udfff": "😀\udc00"})])
    text = cyclonedx_sbom(made)
    assert json.loads(text)["components"][0]["name"] == "n\ufffd"
    text.encode("utf-8")
    assert json.loads(text)["components"][0]["properties"][-1]["value"] == "v\ufffd=😀\ufffd"


def test_what_only_the_manager_has_words_for_stands_in_properties() -> None:
    component = Component(
        "a",
        "openmpi",
        "4.1.4",
        target="zen3",
        external=External("/usr", ("openmpi/4.1.4",)),
        compiler="gcc@12.2.0",
        variants={"cuda": False, "fabrics": ("ofi", "ucx"), "shared": True, "none": None, "empty": ""},
        patches=("0" * 64, "fix.patch"),
    )
    other = Component("b", "zlib", "1.3.1", target="x86_64")
    entry = component_of(facts_of_components([component, other]), "a")
    assert [(found["name"], found["value"]) for found in entry["properties"]] == [
        ("spack:compiler", "gcc@12.2.0"),
        ("spack:external", "/usr"),
        ("spack:external:module", "openmpi/4.1.4"),
        ("spack:patch", "sha256:" + "0" * 64),
        ("spack:patch", "fix.patch"),
        ("spack:target", "zen3"),
        ("spack:variants", "~cuda+shared fabrics=ofi,ucx"),
    ]


def test_what_all_components_share_is_said_once() -> None:
    made = facts_of_components([Component(id_, id_, "1", target="zen3", os="debian12") for id_ in ("a", "b")])
    document = read_valid(cyclonedx_sbom(made))
    image = document["metadata"]["component"]
    assert properties(image, "spack:target") == ["zen3"]
    assert properties(image, "spack:os") == ["debian12"]
    assert all("properties" not in entry for entry in document["components"])


@pytest.mark.parametrize(
    ("stated", "written"),
    [
        ("MIT", {"expression": "MIT", "acknowledgement": "declared"}),
        ("MIT OR LicenseRef-a", {"expression": "MIT OR LicenseRef-a", "acknowledgement": "declared"}),
        ("GPLv2", {"license": {"name": "GPLv2", "acknowledgement": "declared"}}),
    ],
)
def test_a_licence_is_an_expression_only_where_spdx_knows_it(stated: str, written: object) -> None:
    component = Component("a", "a", "1", metadata=PackageMetadata(license=stated))
    assert component_of(facts_of_components([component]), "a")["licenses"] == [written]


def test_addresses_and_checksums_are_external_references() -> None:
    metadata = PackageMetadata(
        homepage="https://example.org/", source_url="https://example.org/a.tgz", source_sha256="a" * 64
    )
    entry = component_of(facts_of_components([Component("a", "a", "1", metadata=metadata)]), "a")
    assert entry["externalReferences"] == [
        {
            "type": "source-distribution",
            "url": "https://example.org/a.tgz",
            "hashes": [{"alg": "SHA-256", "content": "a" * 64}],
        },
        {"type": "website", "url": "https://example.org/"},
    ]


@pytest.mark.parametrize("url", ["https://github.com/spack/spack.git", "git+https://example.org/a", "git://a.org/b"])
def test_a_repository_is_not_a_source_archive(url: str) -> None:
    component = Component("a", "a", "1", metadata=PackageMetadata(source_url=url))
    [reference] = component_of(facts_of_components([component]), "a")["externalReferences"]
    assert reference == {"type": "vcs", "url": url}


def test_what_is_no_address_is_a_property() -> None:
    metadata = PackageMetadata(homepage="see the manual", source_url="/home/me/a b.tgz")
    entry = component_of(facts_of_components([Component("a", "a", "1", metadata=metadata)]), "a")
    assert "externalReferences" not in entry
    assert properties(entry, "spack:homepage") == ["see the manual"]
    assert properties(entry, "spack:source") == ["/home/me/a b.tgz"]


def test_the_image_keeps_a_name_of_its_own() -> None:
    document = read_valid(
        cyclonedx_sbom(facts_of_components([Component("image", "a", "1"), Component("image-", "b", "")]))
    )
    assert document["metadata"]["component"]["bom-ref"] == "image--"


def test_the_serial_number_follows_the_content() -> None:
    one, two = (facts_of_components([Component("a", "a", version)]) for version in ("1", "2"))
    serials = [json.loads(cyclonedx_sbom(made))["serialNumber"] for made in (one, one, two)]
    assert serials[0] == serials[1] != serials[2]


def test_a_time_is_there_only_where_it_is_stated() -> None:
    made = facts_of_components([])
    assert "timestamp" not in json.loads(cyclonedx_sbom(made))["metadata"]
    document = read_valid(cyclonedx_sbom(made, 1_700_000_000))
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"


def test_an_edge_to_nothing_is_refused(refused: Refused) -> None:
    made = facts_of_components([Component("a", "a", "1", dependencies=(Dependency("gone", ("run",)),))])
    with refused("components: a", "gone"):
        cyclonedx_sbom(made)
