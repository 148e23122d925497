"""SPDX documents, read with spdx-tools' parser, held against its validator and against the lock itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from spdx_tools.spdx.model import Document
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from hpc3.facts import Component, Dependency, External, Facts, PackageMetadata
from hpc3.sbom.spdx import spdx_sbom
from unit.conftest import Refused
from unit.sbom.made_facts import facts, facts_of_components, facts_of_environment, lock_edges


def read_valid(text: str) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(text)
    parsed: Document = JsonLikeDictParser().parse(json.loads(text))
    messages = [message.validation_message for message in validate_full_spdx_document(parsed)]
    assert messages == []
    return raw


def relations(document: dict[str, Any], kind: str) -> set[tuple[str, str]]:
    found = [
        (relation["spdxElementId"], relation["relatedSpdxElement"])
        for relation in document["relationships"]
        if relation["relationshipType"] == kind
    ]
    assert len(set(found)) == len(found)
    return set(found)


def package_of(made: Facts, name: str) -> dict[str, Any]:
    [found] = [package for package in read_valid(spdx_sbom(made))["packages"] if package["name"] == name]
    return found


def test_every_environment_is_valid_and_says_what_its_lock_says(environment: Path) -> None:
    for found in facts_of_environment(environment):
        document = read_valid(spdx_sbom(found))
        image, *packages = document["packages"]
        ids = dict(zip((package["SPDXID"] for package in packages), found.components))
        assert len(ids) == len(packages) == len(found.components)
        for package, component in zip(packages, found.components.values()):
            assert (package["name"], package["versionInfo"]) == (component.name, component.version)
            assert package["SPDXID"].endswith(component.id)
        expected = lock_edges(environment, found.components)
        depends_on = relations(document, "DEPENDS_ON")
        roots = {(image["SPDXID"], spdx) for spdx, id_ in ids.items() if found.components[id_].root}
        assert roots <= depends_on
        assert {(ids[one], ids[other]) for one, other in depends_on - roots} == {
            pair for pair, types in expected.items() if types & {"link", "run"}
        }
        assert {(ids[other], ids[one]) for one, other in relations(document, "BUILD_DEPENDENCY_OF")} == {
            pair for pair, types in expected.items() if not types & {"link", "run"}
        }
        inside = {spdx for spdx, id_ in ids.items() if found.components[id_].runtime}
        assert relations(document, "CONTAINS") == {(image["SPDXID"], spdx) for spdx in inside}
        assert relations(document, "DESCRIBES") == {("SPDXRef-DOCUMENT", image["SPDXID"])}


@given(made=facts())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_facts_hold_the_document_is_valid(made: Facts) -> None:
    document = read_valid(spdx_sbom(made))
    ids = [package["SPDXID"] for package in document["packages"]]
    assert len(set(ids)) == len(ids) == len(made.components) + 1
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", id_) for id_ in ids)
    edges = sum(len(part.dependencies) + part.root + part.runtime for part in made.components.values())
    assert len(document["relationships"]) == 1 + edges


def test_a_test_dependency_is_none_of_the_run_time() -> None:
    made = facts_of_components(
        [Component("a", "a", "1", dependencies=(Dependency("b", ("test",)),)), Component("b", "b", "1")]
    )
    document = read_valid(spdx_sbom(made))
    assert relations(document, "TEST_DEPENDENCY_OF") == {("SPDXRef-Package-b-b", "SPDXRef-Package-a-a")}
    assert relations(document, "DEPENDS_ON") == set()


def test_identifiers_that_spdx_cannot_spell_stay_apart() -> None:
    made = facts_of_components([Component(id_, "x", "1") for id_ in ("GCC/12.2.0", "GCC-12.2.0", "GCC_12.2.0")])
    ids = {package["SPDXID"] for package in read_valid(spdx_sbom(made))["packages"]}
    assert len(ids) == 4


def test_what_is_known_stands_in_its_field() -> None:
    metadata = PackageMetadata(
        license="Apache-2.0 WITH LLVM-exception",
        homepage="https://example.org/",
        description="A thing",
        source_url="https://example.org/a.tgz",
        source_sha256="a" * 64,
    )
    component = Component(
        "a", "a", "1", compiler="gcc@12.2.0", external=External("/usr"), patches=("0" * 64,), metadata=metadata
    )
    package = package_of(facts_of_components([component]), "a")
    assert package["downloadLocation"] == "https://example.org/a.tgz"
    assert package["checksums"] == [{"algorithm": "SHA256", "checksumValue": "a" * 64}]
    assert package["homepage"] == "https://example.org/"
    assert package["summary"] == "A thing"
    assert package["licenseDeclared"] == "Apache-2.0 WITH LLVM-exception"
    assert package["comment"].splitlines() == [
        "spack:compiler: gcc@12.2.0",
        "spack:external: /usr",
        f"spack:patch: sha256:{'0' * 64}",
    ]
    assert package["externalRefs"][0]["referenceLocator"] == "pkg:spack/builtin/a@1?daghash=a"


def test_what_is_not_known_is_not_asserted() -> None:
    package = package_of(facts_of_components([Component("a", "a", "1")]), "a")
    assert package["licenseDeclared"] == package["downloadLocation"] == "NOASSERTION"
    assert {"homepage", "checksums", "comment", "summary"}.isdisjoint(package)


def test_a_licence_that_spdx_does_not_know_is_a_reference_with_its_name() -> None:
    stated = ["GPLv2", "MIT AND LicenseRef-Vendor-1"]
    made = facts_of_components(
        Component(str(place), f"p{place}", "1", metadata=PackageMetadata(license=text))
        for place, text in enumerate(stated)
    )
    document = read_valid(spdx_sbom(made))
    names = {entry["licenseId"]: entry["name"] for entry in document["hasExtractedLicensingInfos"]}
    named, expression = (package["licenseDeclared"] for package in document["packages"][1:])
    assert expression == stated[1]
    assert names == {named: "GPLv2", "LicenseRef-Vendor-1": "LicenseRef-Vendor-1"}


def test_the_namespace_follows_the_content_and_the_time_is_stated() -> None:
    made = facts_of_components([Component("a", "a", "1")])
    documents = [read_valid(spdx_sbom(made, created)) for created in (None, None, 1_700_000_000)]
    assert [document["creationInfo"]["created"] for document in documents] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2023-11-14T22:13:20Z",
    ]
    namespaces = [document["documentNamespace"] for document in documents]
    assert namespaces[0] == namespaces[1] != namespaces[2]
    assert all(name.startswith("https://spdx.org/spdxdocs/hpc3-") for name in namespaces)


def test_an_edge_to_nothing_is_refused(refused: Refused) -> None:
    made = facts_of_components([Component("a", "a", "1", dependencies=(Dependency("gone", ("run",)),))])
    with refused("components: a", "gone"):
        spdx_sbom(made)
