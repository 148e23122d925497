"""``hpc3 apply`` and ``inspect`` against a real registry, read back by skopeo, podman and oras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from oci.oci_peers import ANNOTATIONS, MPI, NAME, Registry, Storage, hpc3, hpc3_ok, need

pytestmark = pytest.mark.registry


def layers(manifest: dict) -> list[tuple[str, int]]:
    return [(layer["digest"], layer["size"]) for layer in manifest["layers"]]


def test_annotations_alone_take_three_requests_and_no_blob(registry: Registry, tiny: Path, wanted: Path) -> None:
    registry.push(tiny, "three:1")
    before, seen = registry.raw("three:1"), len(registry.requests())
    done = hpc3_ok("apply", registry.ref("three:1"), "--from", wanted, "--annotations-only")
    requests = registry.requests()[seen:]
    assert len(requests) <= 3
    assert not [request for request in requests if "/blobs/" in request]
    after = registry.raw("three:1")
    assert done.digests[1] == registry.digest("three:1")
    assert (after["config"], after["layers"]) == (before["config"], before["layers"])
    assert after["annotations"].items() >= ANNOTATIONS.items()
    assert after["annotations"]["foreign.annotation"] == "kept"


def test_labels_mirror_annotations_and_layers_stay(registry: Registry, tiny: Path, wanted: Path) -> None:
    registry.push(tiny, "labels:1")
    before, config = registry.raw("labels:1"), registry.config("labels:1")
    hpc3_ok("apply", registry.ref("labels:1"), "--from", wanted)
    after, labelled = registry.raw("labels:1"), registry.config("labels:1")
    assert layers(after) == layers(before)
    assert after["config"]["digest"] != before["config"]["digest"]
    labels = labelled["config"].pop("Labels")
    assert labels[NAME] == "tiny"
    assert labels["foreign.label"] == "kept"
    assert labels[MPI] == after["annotations"][MPI] == "none"
    config["config"].pop("Labels")
    assert labelled == config


def test_a_second_run_changes_nothing_and_writes_nothing(registry: Registry, tiny: Path, wanted: Path) -> None:
    registry.push(tiny, "twice:1")
    _, first = hpc3_ok("apply", registry.ref("twice:1"), "--from", wanted).digests
    seen = len(registry.requests())
    old, new = hpc3_ok("apply", registry.ref("twice:1"), "--from", wanted).digests
    assert old == new == first
    assert not [request for request in registry.requests()[seen:] if request.startswith(("PUT", "POST"))]


def test_inherited_keys_go_when_they_are_not_stated_again(registry: Registry, tiny: Path, tmp_path: Path) -> None:
    registry.push(tiny, "stale:1")
    wanted = tmp_path / "few.json"
    wanted.write_text(json.dumps({NAME: "tiny"}))
    hpc3_ok("apply", registry.ref("stale:1"), "--from", wanted)
    assert MPI not in registry.raw("stale:1")["annotations"]
    assert MPI not in registry.config("stale:1")["config"]["Labels"]


def test_dry_run_prints_the_change_and_writes_nothing(registry: Registry, tiny: Path, wanted: Path) -> None:
    digest = registry.push(tiny, "dry:1")
    seen = len(registry.requests())
    done = hpc3_ok("apply", registry.ref("dry:1"), "--from", wanted, "--dry-run")
    assert f"-{MPI}=mpich\n+{MPI}=none\n" in done.out
    assert not [request for request in registry.requests()[seen:] if request.startswith(("PUT", "POST"))]
    assert registry.digest("dry:1") == digest


def test_another_tag_leaves_the_first(registry: Registry, tiny: Path, wanted: Path) -> None:
    digest = registry.push(tiny, "tagged:1")
    done = hpc3_ok("apply", registry.ref("tagged:1"), "--from", wanted, "--tag", "2")
    assert done.out.startswith(registry.ref("tagged:2"))
    assert registry.digest("tagged:1") == digest
    assert registry.digest("tagged:2") == done.digests[1] != digest


def test_a_digest_needs_a_new_tag(registry: Registry, tiny: Path, wanted: Path) -> None:
    digest = registry.push(tiny, "bydigest:1")
    reference = registry.ref(f"bydigest@{digest}")
    assert hpc3("apply", reference, "--from", wanted).code == 2
    hpc3_ok("apply", reference, "--from", wanted, "--tag", "new")
    assert registry.raw("bydigest:new")["annotations"][NAME] == "tiny"


def test_a_tag_with_a_digest_moves_only_from_that_digest(registry: Registry, tiny: Path, wanted: Path) -> None:
    old = registry.push(tiny, "pinned:1")
    pinned = registry.ref(f"pinned:1@{old}")
    done = hpc3_ok("apply", pinned, "--from", wanted)
    assert done.out.split() == [registry.ref("pinned:1"), old, registry.digest("pinned:1")]
    again = hpc3("apply", pinned, "--from", wanted)
    assert again.code == 4
    assert "moved from" in again.err


def test_docker_schema_2_becomes_oci_with_the_same_blobs(registry: Registry, tiny: Path, wanted: Path) -> None:
    registry.push(tiny, "docker:1", "--format", "v2s2")
    before = registry.raw("docker:1")
    assert before["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    hpc3_ok("apply", registry.ref("docker:1"), "--from", wanted, "--annotations-only")
    after = registry.raw("docker:1")
    assert after["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert layers(after) == layers(before)
    assert after["config"]["digest"] == before["config"]["digest"]
    assert {layer["mediaType"] for layer in after["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}


def test_an_index_is_annotated_at_every_level(registry: Registry, tiny: Path, wanted: Path, storage: Storage) -> None:
    need("buildah")
    registry.push(tiny, "multi:amd64")
    name = f"{registry.host}/multi"
    storage.buildah("manifest", "create", "localhost/multi:1")
    storage.buildah("manifest", "add", "--tls-verify=false", "localhost/multi:1", f"docker://{name}:amd64")
    storage.buildah("manifest", "push", "--all", "--tls-verify=false", "localhost/multi:1", f"docker://{name}:1")
    before = registry.raw("multi:1")
    done = hpc3_ok("apply", registry.ref("multi:1"), "--from", wanted)
    after = registry.raw("multi:1")
    assert done.digests[1] == registry.digest("multi:1")
    assert after["annotations"]["org.supercontainers.schema.version"] == "1.0"
    (entry,) = after["manifests"]
    assert entry["digest"] != before["manifests"][0]["digest"]
    assert entry["annotations"][NAME] == "tiny"
    child = registry.raw(f"multi@{entry['digest']}")
    assert child["annotations"].items() >= ANNOTATIONS.items()
    assert layers(child) == layers(registry.raw("multi:amd64"))
    shown = json.loads(hpc3_ok("inspect", registry.ref("multi:1")).out)
    assert shown["image"] == entry["digest"]
    assert shown["annotations"][NAME] == "tiny"
    assert not shown["contradictions"]


def test_sbom_and_recipe_are_attached_listed_and_pulled_by_oras(
    registry: Registry, tiny: Path, wanted: Path, tmp_path: Path
) -> None:
    registry.push(tiny, "sbom:1")
    sbom = tmp_path / "sbom.cdx.json"
    sbom.write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    lock = tmp_path / "spack.lock"
    lock.write_text('{"_meta": {}}')
    arguments = ("apply", registry.ref("sbom:1"), "--from", wanted, "--sbom", sbom, "--recipe", lock)
    _, digest = hpc3_ok(*arguments).digests
    shown = json.loads(hpc3_ok("inspect", registry.ref("sbom:1")).out)
    kinds = {entry["artifactType"]: entry["digest"] for entry in shown["referrers"]}
    assert set(kinds) == {"application/vnd.cyclonedx+json", "application/vnd.hpc3.recipe.v1"}
    artifact = registry.raw(f"sbom@{kinds['application/vnd.cyclonedx+json']}")
    assert artifact["subject"]["digest"] == digest == shown["digest"]
    assert shown["annotations"]["org.supercontainers.sbom.digest"] == artifact["layers"][0]["digest"]
    assert registry.raw(f"sbom:{digest.replace(':', '-')}")["manifests"]
    seen = len(registry.requests())
    assert hpc3_ok(*arguments).digests == (digest, digest)
    assert not [request for request in registry.requests()[seen:] if request.startswith(("PUT", "POST"))]
    oras = pytest.importorskip("oras.client", reason="oras is not installed")
    client = oras.OrasClient(hostname=registry.host, insecure=True)
    target = f"{registry.host}/sbom@{kinds['application/vnd.cyclonedx+json']}"
    (pulled,) = client.pull(target=target, outdir=str(tmp_path / "pulled"))
    assert Path(pulled).read_bytes() == sbom.read_bytes()


def test_referrers_are_warned_about_or_carried(registry: Registry, tiny: Path, wanted: Path, tmp_path: Path) -> None:
    registry.push(tiny, "carry:1")
    sbom = tmp_path / "sbom.spdx.json"
    sbom.write_text('{"spdxVersion": "SPDX-2.3"}')
    hpc3_ok("apply", registry.ref("carry:1"), "--from", wanted, "--sbom", sbom)
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({**ANNOTATIONS, NAME: "other"}))
    left = hpc3_ok("apply", registry.ref("carry:1"), "--from", changed, "--dry-run")
    assert "application/spdx+json stays with" in left.err
    hpc3_ok("apply", registry.ref("carry:1"), "--from", changed, "--carry-referrers")
    shown = json.loads(hpc3_ok("inspect", registry.ref("carry:1")).out)
    assert [entry["artifactType"] for entry in shown["referrers"]] == ["application/spdx+json"]


def test_signatures_are_never_carried(registry: Registry, tiny: Path, wanted: Path) -> None:
    digest = registry.push(tiny, "signed:1")
    registry.push(tiny, f"signed:{digest.replace(':', '-')}.sig")
    done = hpc3_ok("apply", registry.ref("signed:1"), "--from", wanted, "--carry-referrers")
    assert f"stays with {digest}: sign again" in done.err
    shown = json.loads(hpc3_ok("inspect", registry.ref("signed:1")).out)
    assert shown["referrers"] == []


def test_annotations_can_be_kept_outside(registry: Registry, tiny: Path, wanted: Path) -> None:
    digest = registry.push(tiny, "outside:1")
    done = hpc3_ok("apply", registry.ref("outside:1"), "--from", wanted, "--external")
    assert done.digests == (digest, digest)
    shown = json.loads(hpc3_ok("inspect", registry.ref("outside:1")).out)
    assert [entry["artifactType"] for entry in shown["referrers"]] == ["application/vnd.hpc3.annotations.v1+json"]


def test_completion_reads_system_and_libc_from_the_layers(registry: Registry, tiny: Path, wanted: Path) -> None:
    registry.push(tiny, "complete:1")
    hpc3_ok("apply", registry.ref("complete:1"), "--from", wanted, "--complete")
    annotations = registry.raw("complete:1")["annotations"]
    prefix = "org.supercontainers."
    assert annotations[prefix + "os.vendor"] == "testos"
    assert annotations[prefix + "os.version"] == "3.1"
    assert annotations[prefix + "os.release"] == "3.1.4"
    assert annotations[prefix + "os.name"] == "Test OS 3.1.4 ('quoted')"
    assert annotations[prefix + "system.libc.name"] == "glibc"
    assert annotations[prefix + "userland.entrypoint"] == "none"
    assert annotations[prefix + "userland.shell"] == "/bin/sh"
    # What images inherit stays when a later run does not read layers.
    hpc3_ok("apply", registry.ref("complete:1"), "--from", wanted)
    assert registry.raw("complete:1")["annotations"] == annotations


def test_contradictions_with_the_image_are_refused(registry: Registry, tiny: Path, tmp_path: Path) -> None:
    digest = registry.push(tiny, "contradiction:1")
    wanted = tmp_path / "wrong.json"
    for key, value, flag in (
        ("org.supercontainers.os.vendor", "otheros", "--complete"),
        ("org.supercontainers.hardware.cpu.optimized.version", "neoverse_v1", "--quiet"),
        ("org.supercontainers.hardware.cpu.optimized.version", "no_such_cpu", "--quiet"),
        ("org.supercontainers.no.such.key", "x", "--quiet"),
        ("run.oci.hooks.stdout", "/etc/passwd", "--quiet"),
        ("org.supercontainers.mpi.implementation", "bogus", "--quiet"),
    ):
        wanted.write_text(json.dumps({**ANNOTATIONS, key: value}))
        done = hpc3("apply", registry.ref("contradiction:1"), "--from", wanted, flag)
        assert (done.code, done.out) == (3, ""), (key, done.err)
        assert key.rpartition(".")[2] in done.err or value in done.err
    assert registry.digest("contradiction:1") == digest


@pytest.mark.images
def test_podman_pulls_and_runs_the_annotated_image(
    registry: Registry, tiny: Path, wanted: Path, storage: Storage
) -> None:
    need("podman", "unshare")
    registry.push(tiny, "runs:1")
    _, digest = hpc3_ok("apply", registry.ref("runs:1"), "--from", wanted).digests
    name = f"{registry.host}/runs:1"
    storage.podman("pull", "-q", "--tls-verify=false", name)
    assert storage.podman("run", "--rm", name, "/bin/cat", "/opt/app/hello") == "hello\n"
    (shown,) = json.loads(storage.podman("inspect", name))
    assert shown["Digest"] == digest
    assert shown["Annotations"][NAME] == shown["Labels"][NAME] == "tiny"


def test_a_list_of_images_goes_on_past_a_bad_one(registry: Registry, tiny: Path, wanted: Path, tmp_path: Path) -> None:
    for tag in "abc":
        registry.push(tiny, f"many:{tag}")
    listed = tmp_path / "list"
    listed.write_text(f"# images\n{registry.ref('many:a')}\n{registry.ref('many:absent')}\n{registry.ref('many:b')}\n")
    done = hpc3("apply", "--list", listed, "--from", wanted)
    assert done.code == 4
    assert [line.split()[0] for line in done.out.splitlines()] == [registry.ref("many:a"), registry.ref("many:b")]
    assert "many:absent" in done.err
    assert "2 of 3 changed" in done.err
    every = hpc3_ok("apply", registry.ref("many"), "--all-tags", "--from", wanted)
    assert len(every.out.splitlines()) == 3
    shown = json.loads(hpc3_ok("inspect", registry.ref("many"), "--all-tags").out)
    assert [image["annotations"][NAME] for image in shown] == ["tiny"] * 3


def test_an_index_over_variants_puts_the_generic_first(registry: Registry, tiny: Path, tmp_path: Path) -> None:
    for target, mode in (("zen3", "microarch"), ("x86_64_v3", "generic")):
        registry.push(tiny, f"variants:{target}")
        wanted = tmp_path / f"{target}.json"
        prefix = "org.supercontainers.hardware.cpu.optimized."
        wanted.write_text(json.dumps({**ANNOTATIONS, prefix + "mode": mode, prefix + "version": target}))
        hpc3_ok("apply", registry.ref(f"variants:{target}"), "--from", wanted)
    arguments = ("index", registry.ref("variants:1"), registry.ref("variants:zen3"), registry.ref("variants:x86_64_v3"))
    done = hpc3_ok(*arguments)
    index = registry.raw("variants:1")
    first, second = index["manifests"]
    assert first["digest"] == registry.digest("variants:x86_64_v3")
    assert first["platform"] == {"architecture": "amd64", "os": "linux", "variant": "v3"}
    assert second["platform"] == {"architecture": "amd64", "os": "linux"}
    assert second["annotations"]["org.supercontainers.hardware.cpu.optimized.version"] == "zen3"
    assert index["annotations"]["org.supercontainers.schema.version"] == "1.0"
    assert done.out.split()[2] == registry.digest("variants:1")
    again = hpc3_ok(*arguments).out.split()
    assert again[1] == again[2]
    assert (
        hpc3("index", registry.ref("variants:2"), registry.ref("variants:zen3"), registry.ref("variants:zen3")).code
        == 3
    )
    assert hpc3("index", registry.ref("elsewhere:1"), registry.ref("variants:zen3")).code == 2


def test_two_runs_on_one_tag_at_once_leave_one_whole_image(registry: Registry, tiny: Path, tmp_path: Path) -> None:
    registry.push(tiny, "race:1")
    old = registry.digest("race:1")
    processes = []
    for title in ("one", "two", "three", "four"):
        wanted = tmp_path / f"{title}.json"
        wanted.write_text(json.dumps({**ANNOTATIONS, "org.opencontainers.image.title": title}))
        command = [sys.executable, "-m", "hpc3.cli", "apply", registry.ref("race:1"), "--from", str(wanted)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    results = [(*process.communicate(), process.returncode) for process in processes]
    assert {code for _, _, code in results} <= {0, 4}
    assert all("moved from" in err for _, err, code in results if code == 4)
    written = {out.split()[2] for out, _, code in results if code == 0}
    assert registry.digest("race:1") in written
    assert old not in written
    assert layers(registry.raw("race:1"))
