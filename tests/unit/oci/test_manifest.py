from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import InputError
from hpc3.oci.manifest import (
    DOCKER_MANIFEST,
    MANIFEST_LIMIT,
    OCI_INDEX,
    OCI_MANIFEST,
    check_digest,
    digest_of,
    parse_manifest,
)

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"c"), "size": 1}
IMAGE = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": []}


def raw(**changes: object) -> bytes:
    return json.dumps({**IMAGE, **changes}).encode()


def test_a_manifest_is_read() -> None:
    manifest = parse_manifest(raw(annotations={"a": "b"}))
    assert (manifest.media_type, manifest.annotations, manifest.is_index) == (OCI_MANIFEST, {"a": "b"}, False)
    assert manifest.descriptor.digest == digest_of(manifest.raw)


def test_the_media_type_comes_from_the_document_then_from_the_sender() -> None:
    untyped = json.dumps({k: v for k, v in IMAGE.items() if k != "mediaType"}).encode()
    assert parse_manifest(untyped).media_type == OCI_MANIFEST
    assert parse_manifest(untyped, DOCKER_MANIFEST).media_type == DOCKER_MANIFEST
    assert parse_manifest(raw(), "application/json; charset=utf-8").media_type == OCI_MANIFEST


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (raw(), DOCKER_MANIFEST),
        (raw(), OCI_INDEX),
        (raw(), "text/html"),
        (raw(manifests=[]), ""),
        (b'{"schemaVersion":2,"mediaType":"' + OCI_INDEX.encode() + b'"}', ""),
        (raw(schemaVersion=1), ""),
        (raw(mediaType=OCI_INDEX), ""),
        (raw(mediaType=["x"]), ""),
        (raw(annotations={"a": 1}), ""),
        (raw(annotations=[]), ""),
        (raw(layers={}), ""),
        (raw(layers=[{"mediaType": "x", "digest": "sha256:12", "size": 1}]), ""),
        (raw(layers=[{**CONFIG, "size": -1}]), ""),
        (raw(layers=[{**CONFIG, "size": True}]), ""),
        (raw(config=None), ""),
        (raw(subject=[]), ""),
        (b"[]", ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b'{"schemaVersion":2,"schemaVersion":2}', ""),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", ""),
        (raw(x=float("nan")), ""),
        (raw()[:-1] + b',"x":1e999}', ""),
        (raw()[:-1] + b',"x":"\\ud800"}', ""),
        (raw(x="y" * MANIFEST_LIMIT), ""),
    ],
)
def test_what_is_no_manifest_is_refused_in_one_line(data: bytes, declared: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_manifest(data, declared)
    assert len(str(caught.value)) < 2100
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_manifest(data)


def test_digests_are_checked_with_their_own_algorithm() -> None:
    import hashlib

    check_digest(b"x", digest_of(b"x"), "blob")
    check_digest(b"x", "sha512:" + hashlib.sha512(b"x").hexdigest(), "blob")
    for wrong in (digest_of(b"y"), "md5:" + "0" * 32, "sha256:"):
        with pytest.raises(InputError):
            check_digest(b"x", wrong, "blob")


def test_the_artifact_type_of_older_artifacts_is_their_config_media_type() -> None:
    assert parse_manifest(raw()).artifact_type == ""
    assert parse_manifest(raw(artifactType="application/x")).artifact_type == "application/x"
    assert parse_manifest(raw(config={**CONFIG, "mediaType": "application/x"})).artifact_type == "application/x"
