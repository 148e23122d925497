from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from jsonschema.validators import validator_for
from packageurl import PackageURL

import peers
from hpc3.cli import main
from hpc3.consume.export.compspec import (
    ARCHSPEC_URL,
    GRAPH_URL,
    attribute_names,
    compspec_artifact,
    compspec_graph,
)
from hpc3.consume.export.cyclonedx import cyclonedx_bom, image_purl
from hpc3.consume.export.in_toto import in_toto_statement
from hpc3.consume.export.nfd import nfd_specification
from hpc3.consume.image import Image
from hpc3.errors import InputError
from hpc3.tables import DATA, rows
from hpc3.targets import features, known_targets
from hpc3.vocabulary import key
from unit.consume.consumer_examples import CUDA, MPICH, ROCM, image

# What compspec's schema.json demands of an artifact: these properties, no others, every value a text.
ITEM = {"name", "version", "schema", "attributes"}


def artifact(stated: Image) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(compspec_artifact(stated))
    return document


def test_compspec_artifact_has_the_demanded_shape() -> None:
    document = artifact(image(MPICH, CUDA))
    assert set(document) == {"version", "kind", "metadata", "compatibilities"}
    assert document["kind"] == "CompatibilitySpec"
    for item in document["compatibilities"]:
        assert set(item) == ITEM
        assert document["metadata"]["schemas"][item["name"]] == item["schema"]
        assert all(isinstance(value, str) for value in item["attributes"].values())


@pytest.fixture(scope="session")
def schemas() -> Path:
    return peers.git_clone("https://github.com/compspec/schemas", "main", "compspec-schemas")


def test_compspec_artifact_follows_its_schema(schemas: Path) -> None:
    schema = json.loads((schemas / "schema.json").read_text("utf-8"))
    Draft7Validator(schema).validate(artifact(image(MPICH, CUDA)))
    Draft7Validator(schema).validate(artifact(image(without="hardware.cpu.optimized.version")))


def test_the_graph_follows_its_schema(schemas: Path) -> None:
    """compspec's own check of its graphs (.github/validate.py): JSON Graph Format, version 2."""
    schema = json.loads((schemas / "json-graph-schema_v2.json").read_text("utf-8"))
    validator_for(schema)(schema).validate(json.loads(compspec_graph()))


def test_the_graphs_that_are_named_are_published(schemas: Path) -> None:
    """What the default addresses give, read from the repository they point into."""
    for url, namespace in ((ARCHSPEC_URL, "io.archspec"), (GRAPH_URL, "org.supercontainers")):
        commit, _, path = url.partition("/compspec/schemas/")[2].partition("/")
        done = subprocess.run(
            ["git", "-C", str(schemas), "show", f"{commit}:{path}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0 and (schemas / ".git/shallow").exists():
            pytest.skip("the clone is shallow: it holds no older commit")
        assert json.loads(done.stdout)["graph"]["id"] == namespace


def test_compspec_attributes_are_nodes_of_the_graph() -> None:
    graph = json.loads(compspec_graph())["graph"]
    (ours, archspec) = sorted(
        artifact(image(MPICH, CUDA))["compatibilities"], key=lambda item: -len(item["attributes"])
    )
    assert set(ours["attributes"]) <= set(graph["nodes"])
    assert ours["attributes"]["hardware.gpu.available"] == "yes"
    assert archspec["attributes"] == {"cpu.family": "x86_64", "cpu.target": "zen3", "cpu.vendor": "AuthenticAMD"}


def test_graph_is_whole() -> None:
    graph = json.loads(compspec_graph())["graph"]
    for edge in graph["edges"]:
        assert {edge["source"], edge["target"]} <= set(graph["nodes"])
    reached = {edge["target"] for edge in graph["edges"]}
    roots = {node for node in graph["nodes"] if "." not in node}
    assert reached | roots == set(graph["nodes"])
    assert set(attribute_names()) <= set(graph["nodes"])


def test_published_graph_is_the_generated_one() -> None:
    assert (DATA / "compspec_graph.json").read_text("utf-8") == compspec_graph()


def test_no_attribute_is_a_prefix_of_another() -> None:
    """A leaf that is also a branch could not be told apart by compspec's node names."""
    names = attribute_names()
    assert not [(a, b) for a in names for b in names if b.startswith(f"{a}.")]


# API types of NFD at 76e6cc8, api/nfd/v1alpha1 and api/image-compatibility/v1alpha1.
OPERATORS = {"In", "NotIn", "InRegexp", "Exists", "DoesNotExist", "Gt", "Lt", "GtLt", "IsTrue", "IsFalse"}
FEATURES = {"cpu.cpuid", "kernel.version", "kernel.enabledmodule", "pci.device"}


def terms(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for rule in document["compatibilities"][0]["rules"]:
        assert set(rule) <= {"name", "vars", "varsTemplate", "matchFeatures", "matchAny"}
        groups = [rule.get("matchFeatures", []), *(group["matchFeatures"] for group in rule.get("matchAny", []))]
        found += [term for group in groups for term in group]
    return found


@settings(deadline=None)  # other work on the machine does not count
@given(
    st.sampled_from(sorted(known_targets())), st.sampled_from(["", "3.10", "6.1.2"]), st.sampled_from([{}, CUDA, ROCM])
)
def test_nfd_follows_its_api_types(target: str, kernel: str, gpu: dict[str, str]) -> None:
    stated = image(gpu, hardware__cpu__optimized__version=target, system__kernel__version__min=kernel)
    document = yaml.safe_load(nfd_specification(stated))
    assert set(document) == {"version", "compatibilities"}
    assert document["version"] == "v1alpha1"
    assert set(document["compatibilities"][0]) <= {"rules", "weight", "tag", "description"}
    for term in terms(document):
        assert term["feature"] in FEATURES
        for expression in term["matchExpressions"].values():
            assert expression["op"] in OPERATORS
            assert all(isinstance(value, str) for value in expression.get("value", []))


def test_nfd_names_the_flags_of_a_target() -> None:
    (cpu,) = [t for t in terms(yaml.safe_load(nfd_specification(image()))) if t["feature"] == "cpu.cpuid"]
    assert {"AVX2", "FMA3", "SSE42", "BMI2", "LZCNT"} <= set(cpu["matchExpressions"])
    assert "CLZERO" not in cpu["matchExpressions"]  # only hand-written code uses it


def test_nfd_kernel_is_at_least() -> None:
    document = yaml.safe_load(nfd_specification(image(system__kernel__version__min="3.10")))
    newer, same = [t["matchExpressions"] for t in terms(document) if t["feature"] == "kernel.version"]
    assert newer == {"major": {"op": "Gt", "value": ["3"]}}
    assert same == {"major": {"op": "In", "value": ["3"]}, "minor": {"op": "Gt", "value": ["9"]}}


def test_nfd_names_are_those_of_the_library_it_uses() -> None:
    source = Path("/usr/share/gocode/src/github.com/klauspost/cpuid/v2/cpuid.go")
    if not source.exists():
        pytest.skip("Debian's golang-github-klauspost-cpuid-dev is not installed")
    constants = set(re.findall(r"^\t([A-Z][A-Z0-9_]+)\b", source.read_text("utf-8"), re.MULTILINE))
    assert {row["cpuid"] for row in rows("nfd_cpuid") if row["family"] == "x86_64"} <= constants


@pytest.mark.parametrize("family", ["x86_64", "aarch64"])
def test_every_flag_of_every_target_has_a_name_or_is_hand_written_only(family: str) -> None:
    named = {row["flag"] for row in rows("nfd_cpuid") if row["family"] == family}
    by_hand = {row["flag"] for row in rows("cpu_intrinsics") if row["family"] == family}
    # Newer than the library's release that Debian has, or than NFD's list: no rule is made of them.
    newer = {"avx_vnni_int16", "sha512", "sm3", "sm4", "sme2", "fpmr", "faminmax", "lut"}
    flags = {flag for name, t in known_targets().items() if t.family.name == family for flag in features(name)}
    missing = {flag for flag in flags - named - by_hand - newer if not flag.startswith("f8")}
    assert not missing


NAMED = replace(
    image(software__dependencies="fftw@3.3.10,gcc-runtime@13.2.0"), reference="docker://ghcr.io/site/gromacs:1"
)


def test_in_toto_statement() -> None:
    """Statement v1 (in-toto/attestation, spec/v1/statement.md, field_types.md)."""
    document = json.loads(in_toto_statement(NAMED))
    assert list(document) == ["_type", "subject", "predicateType", "predicate"]
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["subject"] == [{"name": "docker://ghcr.io/site/gromacs:1", "digest": {"sha256": "0" * 64}}]
    assert re.fullmatch(r"urn:[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]:[A-Za-z0-9:]+", document["predicateType"])
    assert document["predicate"]["provenance"][key("software.name")] == "annotation"
    with pytest.raises(InputError, match="no digest"):
        in_toto_statement(replace(NAMED, digest=""))


def test_cyclonedx_is_valid() -> None:
    for stated in (NAMED, replace(NAMED, reference=""), image()):
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx_bom(stated))
        assert error is None, error
    assert cyclonedx_bom(NAMED) == cyclonedx_bom(NAMED)
    assert json.loads(cyclonedx_bom(NAMED))["serialNumber"] != json.loads(cyclonedx_bom(image()))["serialNumber"]
    with pytest.raises(InputError, match="no digest"):
        cyclonedx_bom(replace(NAMED, digest=""))


def test_cyclonedx_says_what_guac_reads() -> None:
    """GUAC wants metadata.component, its bom-ref, and purls of types that it knows (guacsec/guac, parser_cyclonedx.go
    and helpers/purl.go); others make it refuse the document."""
    document = json.loads(cyclonedx_bom(NAMED))
    container = document["metadata"]["component"]
    purl = PackageURL.from_string(container["purl"])
    assert (purl.type, purl.name, purl.version) == ("oci", "gromacs", NAMED.digest)
    assert purl.qualifiers == {"repository_url": "ghcr.io/site/gromacs", "tag": "1"}
    assert container["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    stated = {entry["name"]: entry["value"] for entry in container["properties"]}
    assert stated[key("hardware.cpu.optimized.version")] == "zen3"
    found = [PackageURL.from_string(component["purl"]) for component in document["components"]]
    assert [(one.type, one.name, one.version) for one in found] == [
        ("generic", "fftw", "3.3.10"),
        ("generic", "gcc-runtime", "13.2.0"),
    ]
    (edges,) = document["dependencies"]
    assert edges["ref"] == container["bom-ref"]
    assert edges["dependsOn"] == [component["bom-ref"] for component in document["components"]]


@pytest.mark.parametrize(
    ("reference", "purl"),
    [
        ("registry:5000/a/B:1.0", "pkg:oci/b@sha256%3A" + "0" * 64 + "?repository_url=registry%3A5000%2Fa%2Fb&tag=1.0"),
        ("gromacs:1", "pkg:oci/gromacs@sha256%3A" + "0" * 64 + "?tag=1"),
        ("oci:/home/someone/layout:1", "pkg:oci/gromacs@sha256%3A" + "0" * 64),
        ("", "pkg:oci/gromacs@sha256%3A" + "0" * 64),
    ],
)
def test_package_url_of_an_image(reference: str, purl: str) -> None:
    assert image_purl(replace(image(), reference=reference)) == purl


@pytest.mark.parametrize("form", ["compspec", "nfd", "compspec-graph"])
def test_verb(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    values = {name: statement.value for name, statement in image().statements.items()}
    (tmp_path / "image.json").write_text(json.dumps(values))
    assert main(["export", str(tmp_path / "image.json"), "--format", form]) == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("form", ["cyclonedx", "in-toto"])
def test_verb_wants_a_digest_where_the_format_does(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = {name: statement.value for name, statement in image().statements.items()}
    (tmp_path / "image.json").write_text(json.dumps({"annotations": stated, "digest": image().digest}))
    assert main(["export", str(tmp_path / "image.json"), "--format", form]) == 0
    assert json.loads(capsys.readouterr().out)
    (tmp_path / "image.json").write_text(json.dumps(stated))
    assert main(["export", str(tmp_path / "image.json"), "--format", form]) == 3
    assert "no digest" in capsys.readouterr().err


def test_verb_without_an_image() -> None:
    assert main(["export", "--format", "nfd"]) == 2


@pytest.mark.parametrize("form", ["cyclonedx", "in-toto", "compspec-graph"])
def test_verb_attaches_only_what_readers_look_for(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "docker://127.0.0.1:1/x:1", "--format", form, "--attach"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
