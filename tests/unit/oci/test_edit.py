from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import InputError
from hpc3.oci.edit import (
    annotate_manifest,
    changes_between,
    edit_index,
    environment_of,
    label_config,
    labels_of,
    new_artifact,
    new_index,
    repoint_subject,
)
from hpc3.oci.manifest import (
    ATTESTATION_SUBJECT,
    ATTESTATION_TYPE,
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
    parse_manifest,
)

keys = st.sampled_from(["a", "b", "org.supercontainers.mpi.version", "ü"])
annotations = st.dictionaries(keys, st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
changes = st.dictionaries(keys, st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5))


def image(media_type: str = OCI_MANIFEST, indent: int | None = None, **more: Any) -> Manifest:
    docker = media_type == DOCKER_MANIFEST
    layer = "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else "application/vnd.oci.image.layer.v1.tar"
    document = {
        "schemaVersion": 2,
        "x-first": [1.5, {"deep": None}],
        "mediaType": media_type,
        "config": {"mediaType": DOCKER_CONFIG if docker else OCI_CONFIG, "digest": digest_of(b"c"), "size": 1, "x": 2},
        "layers": [{"mediaType": layer, "digest": digest_of(b"l"), "size": 1, "urls": ["https://x"]}],
        **more,
    }
    return parse_manifest(json.dumps(document, indent=indent).encode())


def index(*entries: dict[str, Any], media_type: str = OCI_INDEX) -> Manifest:
    document = {"schemaVersion": 2, "mediaType": media_type, "x": "kept", "manifests": list(entries)}
    return parse_manifest(json.dumps(document).encode())


def entry(of: Manifest, **more: Any) -> dict[str, Any]:
    return {**of.descriptor.as_document(), **more}


@given(annotations, changes)
def test_annotating_sets_removes_and_settles(before: dict[str, str], wanted: dict[str, str | None]) -> None:
    first = annotate_manifest(image(annotations=before), wanted)
    expected = {**before, **{k: v for k, v in wanted.items() if v is not None}}
    for key, value in wanted.items():
        if value is None:
            expected.pop(key, None)
    assert first.annotations == expected
    assert annotate_manifest(first, wanted) is first
    assert parse_manifest(first.raw) == first


@given(annotations, annotations)
def test_changes_lead_from_one_to_the_other(before: dict[str, str], after: dict[str, str]) -> None:
    wanted = changes_between(before, after)
    assert annotate_manifest(image(annotations=before), wanted).annotations == after
    assert bool(wanted) == (before != after)


@pytest.mark.parametrize("indent", [None, 3])
def test_everything_else_is_kept_in_place_and_indentation(indent: int | None) -> None:
    before = image(indent=indent, annotations={"z": "1"})
    after = annotate_manifest(before, {"a": "2"})
    old, new = json.loads(before.raw), json.loads(after.raw)
    assert list(new) == list(old)
    assert {k: v for k, v in new.items() if k != "annotations"} == {k: v for k, v in old.items() if k != "annotations"}
    assert (b"\n   " in after.raw) == (indent is not None)


def test_no_change_returns_the_very_bytes() -> None:
    before = image(indent=7)
    assert annotate_manifest(before, {}) is before
    assert annotate_manifest(before, {"absent": None}) is before


def test_docker_becomes_oci_only_when_something_changes() -> None:
    before = image(DOCKER_MANIFEST)
    assert annotate_manifest(before, {"absent": None}) is before
    after = annotate_manifest(before, {"a": "b"})
    assert after.media_type == OCI_MANIFEST == json.loads(after.raw)["mediaType"]
    assert after.config.media_type == OCI_CONFIG
    assert [layer.media_type for layer in after.layers] == ["application/vnd.oci.image.layer.v1.tar+gzip"]
    assert [layer.digest for layer in after.layers] == [layer.digest for layer in before.layers]
    assert after.config.digest == before.config.digest


def test_docker_media_types_without_an_equal_are_refused() -> None:
    document = json.loads(image(DOCKER_MANIFEST).raw)
    document["config"]["mediaType"] = "application/vnd.docker.plugin.v1+json"
    with pytest.raises(InputError, match="no equal"):
        annotate_manifest(parse_manifest(json.dumps(document).encode()), {"a": "b"})


def test_a_new_config_replaces_digest_size_and_embedded_data() -> None:
    document = json.loads(image().raw)
    document["config"]["data"] = "Yw=="
    before = parse_manifest(json.dumps(document).encode())
    config = Descriptor(OCI_CONFIG, digest_of(b"new"), 3)
    after = annotate_manifest(before, {}, config)
    assert json.loads(after.raw)["config"] == {"mediaType": OCI_CONFIG, "digest": config.digest, "size": 3, "x": 2}


def test_an_index_follows_its_children_and_their_attestations() -> None:
    old, other = image(), image(annotations={"other": "1"})
    new = annotate_manifest(old, {"a": "b"})
    attestation = {
        **entry(image(annotations={"att": "1"})),
        "annotations": {ATTESTATION_TYPE: "attestation-manifest", ATTESTATION_SUBJECT: old.digest, "keep": "me"},
        "platform": {"os": "unknown", "architecture": "unknown"},
    }
    platform = {"os": "linux", "architecture": "amd64", "os.version": "1"}
    before = index(entry(old, platform=platform, data="e30="), entry(other), attestation)
    after = edit_index(before, {old.digest: new}, {"i": "1"}, {old.digest: {"d": "1"}})
    document = json.loads(after.raw)
    assert document["x"] == "kept"
    assert document["annotations"] == {"i": "1"}
    first, second, third = document["manifests"]
    assert first == {**entry(new), "platform": platform, "annotations": {"d": "1"}}
    assert second == entry(other)
    assert third["annotations"] == {**attestation["annotations"], ATTESTATION_SUBJECT: new.digest}
    assert edit_index(after, {}, {"i": "1"}, {new.digest: {"d": "1"}}) is after


def test_a_docker_list_becomes_an_oci_index_and_children_keep_their_type() -> None:
    child = image(DOCKER_MANIFEST)
    before = index(entry(child), media_type=DOCKER_INDEX)
    after = edit_index(before, {}, {"a": "b"}, {})
    assert after.media_type == OCI_INDEX
    assert after.children[0].media_type == DOCKER_MANIFEST


@given(annotations, changes)
def test_labels_are_edited_in_place(before: dict[str, str], wanted: dict[str, str | None]) -> None:
    config = {"architecture": "amd64", "config": {"Env": ["A=1"], "Labels": before}, "rootfs": {"diff_ids": ["x"]}}
    raw = json.dumps(config).encode()
    after = label_config(raw, wanted)
    expected = {k: v for k, v in before.items() if wanted.get(k, v) is not None}
    expected.update({k: v for k, v in wanted.items() if v is not None})
    assert labels_of(json.loads(after)) == expected
    assert (after == raw) == (expected == before)
    assert label_config(after, wanted) == after
    rest = json.loads(after)
    rest["config"].pop("Labels", None)
    assert rest == {**config, "config": {"Env": ["A=1"]}}


@pytest.mark.parametrize("config", [{}, {"config": None}, {"config": {}}, {"config": {"Labels": None}}])
def test_labels_where_there_were_none(config: dict[str, Any]) -> None:
    raw = json.dumps(config).encode()
    assert label_config(raw, {"absent": None}) == raw
    assert json.loads(label_config(raw, {"a": "b"})) == {"config": {"Labels": {"a": "b"}}}


def test_what_is_no_config_is_refused() -> None:
    for bad in (b"[]", b'{"config":[1]}', b'{"config":{"Labels":[1]}}', b'{"config":{"Labels":{"a":1}}}', b"\x1f\x8b"):
        with pytest.raises(InputError):
            label_config(bad, {"a": "b"})


def test_artifacts_name_their_subject_and_can_be_repointed() -> None:
    layer = Descriptor("application/spdx+json", digest_of(b"s"), 1)
    artifact = new_artifact("application/spdx+json", [layer], image().descriptor, {"b": "1", "a": "2"})
    assert artifact.subject == image().descriptor
    assert artifact.artifact_type == "application/spdx+json"
    moved = repoint_subject(artifact, image(annotations={"n": "1"}).descriptor)
    assert moved.subject != artifact.subject
    assert moved.layers == artifact.layers
    assert repoint_subject(artifact, image().descriptor) is artifact


def test_a_new_index_keeps_the_order_it_is_given() -> None:
    one, two = image().descriptor, image(annotations={"a": "b"}).descriptor
    assert new_index([two, one], {}).children == (two, one)


def test_of_several_values_of_a_variable_the_last_counts() -> None:
    entries = ["PATH=/first", "A=b=c", "NOTHING", "PATH=/last"]
    assert environment_of({"config": {"Env": entries}}) == {"A": "b=c", "PATH": "/last"}
    assert environment_of({"config": None}) == {}


@pytest.mark.parametrize("config", [{"config": 5}, {"config": {"Env": 5}}, {"config": {"Env": [1]}}])
def test_an_environment_of_another_shape_is_an_error(config: dict[str, object]) -> None:
    with pytest.raises(InputError):
        environment_of(config)
