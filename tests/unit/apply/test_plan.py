"""Plans over indexes of every shape, in a real layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpc3.apply.attach import Attachment
from hpc3.apply.plan import Plan, plan_apply
from hpc3.apply.wanted import Wish
from hpc3.errors import InputError, UsageError
from hpc3.oci.inspection import inspect_image
from hpc3.oci.layout import LayoutStore
from hpc3.oci.manifest import (
    ATTESTATION_SUBJECT,
    ATTESTATION_TYPE,
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    digest_of,
    parse_manifest,
)
from hpc3.oci.reference import parse_reference
from hpc3.vocabulary import key

NAME, MODE, TARGET = key("software.name"), key("hardware.cpu.optimized.mode"), key("hardware.cpu.optimized.version")
WANTED = {NAME: "app", key("schema.version"): "1.0", key("mpi.version"): "5.0.3"}


class Layout:
    """A layout that tests fill by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs/sha256"
        self.blobs.mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def put(self, document: dict[str, Any]) -> Manifest:
        raw = json.dumps(document).encode()
        self.blob(raw)
        return parse_manifest(raw)

    def blob(self, raw: bytes) -> str:
        digest = digest_of(raw)
        (self.blobs / digest[7:]).write_bytes(raw)
        return digest

    def image(self, architecture: str = "amd64", kind: str = OCI_MANIFEST, **more: Any) -> Manifest:
        labels = {"Labels": {key("mpi.version"): "4.1"}}
        config = json.dumps({"architecture": architecture, "os": "linux", "config": labels}).encode()
        config_kind = DOCKER_CONFIG if kind == DOCKER_MANIFEST else OCI_CONFIG
        descriptor = {"mediaType": config_kind, "digest": self.blob(config), "size": len(config)}
        return self.put({"schemaVersion": 2, "mediaType": kind, "config": descriptor, "layers": [], **more})

    def index(self, *entries: dict[str, Any], kind: str = OCI_INDEX) -> Manifest:
        return self.put({"schemaVersion": 2, "mediaType": kind, "manifests": list(entries)})

    def name(self, manifest: Manifest, name: str = "1") -> None:
        named = {**manifest.descriptor.as_document(), "annotations": {"org.opencontainers.image.ref.name": name}}
        index = {"schemaVersion": 2, "manifests": [named]}
        (self.folder / "index.json").write_text(json.dumps(index))

    def apply(self, wish: Wish) -> tuple[Plan, Manifest]:
        store, reference = LayoutStore(self.folder), parse_reference(f"oci:{self.folder}:1")
        plan = plan_apply(store, reference, wish)
        if plan.publication is not None:
            store.publish(plan.publication)
        return plan, store.resolve(reference)

    def read(self, digest: str) -> Manifest:
        return parse_manifest((self.blobs / digest[7:]).read_bytes())


def entry(manifest: Manifest, architecture: str = "", **more: Any) -> dict[str, Any]:
    platform = {"platform": {"os": "linux", "architecture": architecture}} if architecture else {}
    return {**manifest.descriptor.as_document(), **platform, **more}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_every_image_of_nested_indexes_is_annotated(layout: Layout) -> None:
    amd, arm = layout.image("amd64"), layout.image("arm64")
    inner = layout.index(entry(arm, "arm64"))
    layout.name(layout.index(entry(amd, "amd64"), entry(inner)))
    plan, top = layout.apply(Wish(WANTED))
    assert plan.after == top.digest != plan.before
    first, second = top.children
    assert first.annotations == {NAME: "app"}
    assert layout.read(first.digest).annotations.items() >= WANTED.items()
    (nested,) = layout.read(second.digest).children
    assert layout.read(nested.digest).annotations[NAME] == "app"
    again, _ = layout.apply(Wish(WANTED))
    assert again.publication is None


def test_an_attestation_follows_its_image(layout: Layout) -> None:
    amd = layout.image()
    attestation = layout.image("unknown", annotations={"in": "toto"})
    annotations = {ATTESTATION_TYPE: "attestation-manifest", ATTESTATION_SUBJECT: amd.digest}
    layout.name(layout.index(entry(amd, "amd64"), entry(attestation, "unknown", annotations=annotations)))
    plan, top = layout.apply(Wish(WANTED))
    image, attested = top.children
    assert attested.digest == attestation.digest
    assert attested.annotations == {**annotations, ATTESTATION_SUBJECT: image.digest}
    assert any("attestation" in warning for warning in plan.warnings)


def test_a_platform_is_picked_and_the_rest_left_alone(layout: Layout) -> None:
    amd, arm = layout.image("amd64"), layout.image("arm64")
    layout.name(layout.index(entry(amd, "amd64"), entry(arm, "arm64")))
    wanted = {**WANTED, MODE: "microarch", TARGET: "neoverse_v1"}
    with pytest.raises(InputError, match="neoverse_v1"):
        layout.apply(Wish(wanted))
    with pytest.raises(InputError, match="neoverse_v1"):
        layout.apply(Wish(wanted, labels=False))
    _, top = layout.apply(Wish(wanted, platform="linux/arm64"))
    first, second = top.children
    assert (first.digest, first.annotations) == (amd.digest, {})
    assert second.annotations[TARGET] == "neoverse_v1"
    assert top.annotations == {}
    with pytest.raises(UsageError, match="no image"):
        layout.apply(Wish(WANTED, platform="linux/s390x"))


def test_a_docker_list_becomes_an_oci_index_of_oci_images(layout: Layout) -> None:
    docker = layout.image(kind=DOCKER_MANIFEST)
    layout.name(layout.index(entry(docker, "amd64"), kind=DOCKER_INDEX))
    _, top = layout.apply(Wish(WANTED, labels=False))
    assert (top.media_type, top.children[0].media_type) == (OCI_INDEX, OCI_MANIFEST)
    assert layout.read(top.children[0].digest).config.digest == docker.config.digest


def test_one_image_listed_twice_is_edited_once(layout: Layout) -> None:
    amd = layout.image()
    layout.name(layout.index(entry(amd, "amd64"), entry(amd, "amd64", annotations={"second": "1"})))
    plan, top = layout.apply(Wish(WANTED))
    first, second = top.children
    assert first.digest == second.digest != amd.digest
    assert len(plan.edits) == 1
    assert second.annotations == {"second": "1", NAME: "app"}


def test_artifacts_are_attached_to_the_index_and_each_image(layout: Layout) -> None:
    layout.name(layout.index(entry(layout.image("amd64"), "amd64"), entry(layout.image("arm64"), "arm64")))
    sbom = Attachment("application/spdx+json", (("application/spdx+json", "s.json", b"{}"),))
    plan, top = layout.apply(Wish(WANTED, attachments=(sbom,)))
    store = LayoutStore(layout.folder)
    for digest in (top.digest, *(child.digest for child in top.children)):
        assert [r.artifact_type for r in store.list_referrers(digest)] == ["application/spdx+json"]
    assert layout.read(top.children[0].digest).annotations[key("sbom.digest")] == digest_of(b"{}")
    again, _ = layout.apply(Wish(WANTED, attachments=(sbom,)))
    assert again.publication is None
    assert len(plan.edits) == 2


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_an_image_of_spack_buildcache_push_keeps_its_spec(layout: Layout, kind: str) -> None:
    """As Spack's binary_distribution.py writes it: the spec in the config, no labels, Docker types after the base."""
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/opt/bin"]}, "spec": {"nodes": [{}]}}
    raw = json.dumps(config).encode()
    config_kind = DOCKER_CONFIG if kind == DOCKER_MANIFEST else OCI_CONFIG
    descriptor = {"mediaType": config_kind, "digest": layout.blob(raw), "size": len(raw)}
    layout.name(layout.put({"schemaVersion": 2, "mediaType": kind, "config": descriptor, "layers": []}))
    _, after = layout.apply(Wish(WANTED))
    assert after.annotations.items() >= WANTED.items()
    labelled = json.loads((layout.blobs / after.config.digest[7:]).read_bytes())
    assert labelled["config"].pop("Labels")[NAME] == "app"
    assert labelled == config


def test_what_is_no_image_is_refused(layout: Layout) -> None:
    layout.name(layout.image(artifactType="application/spdx+json"))
    with pytest.raises(UsageError, match="artifact"):
        layout.apply(Wish(WANTED))
    deep = layout.image()
    for _ in range(12):
        deep = layout.index(entry(deep))
    layout.name(deep)
    with pytest.raises(InputError, match="too deeply"):
        layout.apply(Wish(WANTED))


def test_labels_that_disagree_are_shown_and_then_put_right(layout: Layout) -> None:
    layout.name(layout.image(annotations={key("mpi.version"): "5.0.3", "run.oci.hooks.stdout": "/x"}))
    store, reference = LayoutStore(layout.folder), parse_reference(f"oci:{layout.folder}:1")
    shown = inspect_image(store, reference)
    assert shown.contradictions == {key("mpi.version"): {"annotation": "5.0.3", "label": "4.1"}}
    assert shown.provenance[key("mpi.version")] == "annotation"
    plan, _ = layout.apply(Wish(WANTED))
    assert plan.warnings == ("run.oci.hooks.stdout steers container runtimes",)
    assert not inspect_image(store, reference).contradictions


def test_inspecting_an_index_takes_the_first_image_or_the_platform(layout: Layout) -> None:
    amd, arm = layout.image("amd64", annotations={"a": "1"}), layout.image("arm64", annotations={"a": "2"})
    layout.name(layout.index(entry(amd, "amd64", annotations={"d": "1"}), entry(arm, "arm64")))
    store, reference = LayoutStore(layout.folder), parse_reference(f"oci:{layout.folder}:1")
    first = inspect_image(store, reference, manifests_only=True)
    assert (first.image, first.annotations) == (amd.digest, {"a": "1", "d": "1"})
    assert (first.labels, first.config, first.referrers) == (None, None, None)
    assert inspect_image(store, reference, platform="linux/arm64").image == arm.digest
    with pytest.raises(UsageError):
        inspect_image(store, reference, platform="linux/s390x")
