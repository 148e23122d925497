"""Layouts, archives and containers-storage, read back by skopeo, umoci, podman and buildah."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from oci.oci_peers import ANNOTATIONS, MPI, NAME, Registry, Storage, hpc3, hpc3_ok, need, run

pytestmark = pytest.mark.images


def raw(reference: str) -> dict:
    need("skopeo")
    return json.loads(run("skopeo", "inspect", "--raw", reference))


def test_a_layout_is_annotated_and_umoci_reads_it(layout: Path, wanted: Path, tmp_path: Path) -> None:
    need("umoci")
    before = raw(f"oci:{layout}")
    _, digest = hpc3_ok("apply", f"oci:{layout}", "--from", wanted).digests
    after = raw(f"oci:{layout}")
    assert after["layers"] == before["layers"]
    assert after["annotations"].items() >= ANNOTATIONS.items()
    assert run("skopeo", "inspect", "--format", "{{.Digest}}", f"oci:{layout}").strip() == digest
    hpc3_ok("apply", f"oci:{layout}", "--from", wanted, "--tag", "v2")
    assert run("umoci", "list", "--layout", layout).split() == ["v2"]
    bundle = tmp_path / "bundle"
    run("umoci", "unpack", "--image", f"{layout}:v2", bundle)
    runtime = json.loads((bundle / "config.json").read_text())
    assert runtime["annotations"][NAME] == "tiny"
    assert not [path for path in layout.iterdir() if path.name.startswith(".hpc3")]


def test_a_layout_keeps_names_apart(layout: Path, wanted: Path) -> None:
    untouched = raw(f"oci:{layout}")
    hpc3_ok("apply", f"oci:{layout}", "--from", wanted, "--tag", "v2")
    assert hpc3("apply", f"oci:{layout}:v3", "--from", wanted).code == 4
    ambiguous = hpc3("apply", f"oci:{layout}", "--from", wanted)
    assert ambiguous.code == 2
    assert "v2" in ambiguous.err
    assert raw(f"oci:{layout}:v2") != untouched


def test_an_sbom_in_a_layout_is_found_again(layout: Path, wanted: Path, tmp_path: Path) -> None:
    sbom = tmp_path / "sbom.json"
    sbom.write_text('{"bomFormat": "CycloneDX"}')
    assert hpc3("apply", f"oci:{layout}", "--from", wanted, "--sbom", sbom).code == 2
    hpc3_ok("apply", f"oci:{layout}", "--from", wanted, "--tag", "v1")
    hpc3_ok("apply", f"oci:{layout}:v1", "--from", wanted, "--sbom", sbom)
    shown = json.loads(hpc3_ok("inspect", f"oci:{layout}:v1").out)
    assert [entry["artifactType"] for entry in shown["referrers"]] == ["application/vnd.cyclonedx+json"]
    assert raw(f"oci:{layout}:v1")["annotations"][NAME] == "tiny"


def test_a_child_of_an_index_is_read_by_digest(layout: Path, wanted: Path) -> None:
    hpc3_ok("apply", f"oci:{layout}", "--from", wanted, "--tag", "v1")
    done = hpc3_ok("index", f"oci:{layout}:all", f"oci:{layout}:v1")
    shown = json.loads(hpc3_ok("inspect", f"oci:{layout}:all").out)
    assert shown["digest"] == done.out.split()[2]
    assert json.loads(hpc3_ok("inspect", f"oci:{layout}@{shown['image']}").out)["annotations"][NAME] == "tiny"


@pytest.mark.parametrize("compact", [False, True])
def test_an_archive_is_annotated_and_everybody_reads_it(
    archive: Path, wanted: Path, storage: Storage, compact: bool, tmp_path: Path
) -> None:
    need("podman", "unshare")
    before = raw(f"oci-archive:{archive}:v1")
    size = archive.stat().st_size
    options = ["--compact"] if compact else []
    for title in ("one", "two", "three"):  # each run appends behind the one before
        stated = tmp_path / "stated.json"
        stated.write_text(json.dumps({**ANNOTATIONS, "org.opencontainers.image.title": title}))
        _, digest = hpc3_ok("apply", f"oci-archive:{archive}:v1", "--from", stated, *options).digests
    after = raw(f"oci-archive:{archive}:v1")
    assert after["layers"] == before["layers"]
    assert after["annotations"]["org.opencontainers.image.title"] == "three"
    assert run("skopeo", "inspect", "--format", "{{.Digest}}", f"oci-archive:{archive}:v1").strip() == digest
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert names.count("index.json") == (1 if compact else 4)
    assert archive.stat().st_size < size + 32768
    run("tar", "-tf", archive)
    storage.podman("load", "-q", "-i", archive)
    assert NAME in storage.podman("image", "inspect", "--format", "{{.Annotations}}", digest_of_config(after))


def digest_of_config(manifest: dict) -> str:
    return manifest["config"]["digest"].removeprefix("sha256:")


def test_storage_is_annotated_and_no_layer_moves(tiny: Path, wanted: Path, storage: Storage) -> None:
    need("podman", "unshare")
    run("skopeo", "copy", "-q", f"oci:{tiny}", storage.ref("localhost/store:1"))
    before = raw(storage.ref("localhost/store:1"))
    _, digest = hpc3_ok("apply", storage.ref("localhost/store:1"), "--from", wanted, "--complete").digests
    after = raw(storage.ref("localhost/store:1"))
    assert after["layers"] == before["layers"]
    assert after["annotations"]["org.supercontainers.os.vendor"] == "testos"
    assert after["annotations"][MPI] == "none"
    (shown,) = json.loads(storage.podman("inspect", "localhost/store:1"))
    assert shown["Digest"] == digest
    assert shown["Labels"][NAME] == "tiny"
    assert storage.podman("run", "--rm", "localhost/store:1", "/bin/cat", "/opt/app/hello") == "hello\n"
    assert digest in storage.buildah("images", "--digests")
    inspected = json.loads(hpc3_ok("inspect", storage.ref("localhost/store:1")).out)
    assert inspected["digest"] == digest


def test_storage_and_archives_hold_no_artifacts(
    wanted: Path, storage: Storage, tiny: Path, archive: Path, tmp_path: Path
) -> None:
    run("skopeo", "copy", "-q", f"oci:{tiny}", storage.ref("localhost/plain:1"))
    sbom = tmp_path / "sbom.json"
    sbom.write_text('{"bomFormat": "CycloneDX"}')
    done = hpc3("apply", storage.ref("localhost/plain:1"), "--from", wanted, "--sbom", sbom)
    assert done.code == 2
    assert hpc3("apply", f"oci-archive:{archive}:v1", "--from", wanted, "--sbom", sbom).code == 2
    assert hpc3("inspect", storage.ref("localhost/absent:1")).code == 4


def test_the_same_image_gets_the_same_digest_in_every_store(
    registry: Registry, tiny: Path, layout: Path, archive: Path, wanted: Path, storage: Storage
) -> None:
    registry.push(tiny, "same:1")
    run("skopeo", "copy", "-q", f"oci:{tiny}", storage.ref("localhost/same:1"))
    references = [f"oci:{layout}", f"oci-archive:{archive}:v1", registry.ref("same:1")]
    digests = {reference: hpc3_ok("apply", reference, "--from", wanted).digests[1] for reference in references}
    assert digests[f"oci:{layout}"] == digests[f"oci-archive:{archive}:v1"] == digests[registry.ref("same:1")]
