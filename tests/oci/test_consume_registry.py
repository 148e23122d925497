"""Consumers against a real registry: how many requests an answer costs, and which image is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oci.oci_peers import Registry, hpc3, hpc3_ok

pytestmark = pytest.mark.registry

PREFIX = "org.supercontainers."
STATED = {
    "hardware.cpu.optimized.mode": "microarch",
    "hardware.gpu.vendor": "none",
    "mpi.implementation": "none",
    "os.vendor": "debian",
    "schema.version": "1.0",
    "software.name": "tiny",
    "software.version": "1.0",
    "system.libc.name": "glibc",
    "system.libc.version": "2.36",
}
HOST = {
    "schema": "hpc3.fingerprint/1",
    "name": "node",
    "cpu": {"family": "x86_64", "target": "zen3"},
    "kernel": {"version": "5.14"},
    "libc": {"name": "glibc", "version": "2.31"},
    "launcher": {"name": "slurm", "pmi": ["pmi2"]},
    **{name: [] for name in ("gpus", "fabrics", "libraries", "mpis", "runtimes", "devices")},
}


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "node.json"
    path.write_text(json.dumps(HOST))
    return path


def push_annotated(registry: Registry, tiny: Path, name: str, folder: Path, target: str) -> None:
    registry.push(tiny, name)
    annotations = {PREFIX + key: value for key, value in STATED.items()}
    annotations[PREFIX + "hardware.cpu.optimized.version"] = target
    path = folder / f"{target}.json"
    path.write_text(json.dumps(annotations))
    hpc3_ok("apply", registry.ref(name), "--from", path)


def test_an_annotated_image_costs_two_requests(registry: Registry, tiny: Path, tmp_path: Path, node: Path) -> None:
    push_annotated(registry, tiny, "checked:zen3", tmp_path, "zen3")
    before = len(registry.requests())
    done = hpc3("check", registry.ref("checked:zen3"), "--host", node, node)
    made = registry.requests()[before:]
    assert done.code in (0, 10), done.out
    assert "Built for zen3, which zen3 runs" in done.out
    assert len([request for request in made if " /v2/checked/" in request]) == 2, made
    assert not any("/blobs/" in request and request.startswith("HEAD") for request in made)


def test_an_index_costs_one_request_and_the_nearest_is_taken(
    registry: Registry, tiny: Path, tmp_path: Path, node: Path
) -> None:
    targets = ("x86_64_v3", "zen2", "zen3", "zen4")
    for target in targets:
        push_annotated(registry, tiny, f"found:{target}", tmp_path, target)
    hpc3_ok("index", registry.ref("found:1"), *(registry.ref(f"found:{target}") for target in targets))
    before = len(registry.requests())
    done = hpc3("find", "tiny", registry.ref("found:1"), "--host", node)
    made = [request for request in registry.requests()[before:] if " /v2/found/" in request]
    assert done.code == 0, done.out + done.err
    assert f"take docker://{registry.host}/found@{registry.digest('found:zen3')}" in done.out
    assert len(made) == 1, made
    taken = hpc3("find", "tiny", registry.ref("found:1"), "--host", node, "--all", "--format", "json")
    ranked = json.loads(taken.out)
    assert ranked[0]["digest"] == registry.digest("found:zen3")
    assert "SIGILL" in next(entry["why"] for entry in ranked if entry["digest"] == registry.digest("found:zen4"))


def test_the_nearest_of_a_whole_repository_is_taken(registry: Registry, tiny: Path, tmp_path: Path, node: Path) -> None:
    for target in ("zen2", "zen3", "zen4"):
        push_annotated(registry, tiny, f"repository:{target}", tmp_path, target)
    done = hpc3("find", "tiny", registry.ref("repository"), "--all-tags", "--host", node, "--all", "--format", "json")
    assert done.code == 0, done.err
    ranked = json.loads(done.out)
    assert [entry["digest"] for entry in ranked] == [
        registry.digest(f"repository:{target}") for target in ("zen3", "zen2", "zen4")
    ]
    assert hpc3("find", "tiny", "--all-tags").code == 2


def test_an_image_that_nobody_annotated_is_asked_for_by_its_referrers(
    registry: Registry, tiny: Path, tmp_path: Path, node: Path
) -> None:
    digest = registry.push(tiny, "foreign:1")
    (tmp_path / "said.json").write_text(json.dumps({PREFIX + "hardware.cpu.optimized.version": "zen2"}))
    hpc3_ok("apply", registry.ref("foreign:1"), "--external", "--from", tmp_path / "said.json")
    assert registry.digest("foreign:1") == digest
    done = hpc3("check", registry.ref("foreign:1"), "--host", node, "--evidence")
    assert "hardware.cpu.optimized.version = zen2 [referrer]" in done.out


def test_a_registry_that_is_not_there() -> None:
    done = hpc3("check", "docker://127.0.0.1:1/x:1", "--timeout", "2")
    assert done.code == 4
    assert done.err.count("\n") == 1


def test_a_layout_is_read_like_a_registry(layout: Path, node: Path) -> None:
    done = hpc3("check", f"oci:{layout}", "--host", node)
    assert done.code in (20, 30)
    assert "does not say what CPU it was built for" in done.out


def test_a_catalog_is_built_shared_and_built_again_for_less(
    registry: Registry, tiny: Path, tmp_path: Path, node: Path
) -> None:
    for target in ("zen2", "zen3"):
        push_annotated(registry, tiny, f"shelf:{target}", tmp_path, target)
    mine, theirs = tmp_path / "mine.sqlite", tmp_path / "theirs.sqlite"
    first = hpc3_ok("catalog", "build", registry.ref("shelf"), "--all-tags", "--catalog", mine)
    before = len(registry.requests())
    assert "2 images read" in first.err
    again = hpc3_ok("catalog", "build", registry.ref("shelf"), "--all-tags", "--catalog", mine)
    made = [request for request in registry.requests()[before:] if "/manifests/" in request or "/blobs/" in request]
    assert "0 images read, 2 in the catalog" in again.err
    assert len(made) == 2, made
    first = hpc3_ok("catalog", "push", registry.ref("site/catalog:1"), "--catalog", mine)
    second = hpc3_ok("catalog", "push", registry.ref("site/catalog:2"), "--catalog", mine)
    assert first.err.split()[-1] == second.err.split()[-1]
    hpc3_ok("catalog", "pull", registry.ref("site/catalog:1"), "--catalog", theirs)
    done = hpc3("find", "tiny", "--catalog", theirs, "--host", node)
    assert f"shelf@{registry.digest('shelf:zen3')}" in done.out


def test_an_index_in_a_catalog_is_read_whole_and_once(
    registry: Registry, tiny: Path, tmp_path: Path, node: Path
) -> None:
    for target in ("zen2", "zen3"):
        push_annotated(registry, tiny, f"stack:{target}", tmp_path, target)
    variants = [registry.ref(f"stack:{target}") for target in ("zen2", "zen3")]
    hpc3_ok("index", registry.ref("stack:all"), *variants)
    catalog = tmp_path / "c.sqlite"
    hpc3_ok("catalog", "build", variants[0], "--catalog", catalog)
    before = len(registry.requests())
    done = hpc3_ok("catalog", "build", registry.ref("stack:all"), "--catalog", catalog)
    made = [request for request in registry.requests()[before:] if "/manifests/" in request or "/blobs/" in request]
    assert "1 images read, 2 in the catalog" in done.err
    assert len(made) == 3, made  # the index, the other manifest, its config
    found = hpc3("find", "tiny", "--catalog", catalog, "--host", node)
    assert found.code == 0
    assert "its index says no more" not in found.out


def test_a_scan_that_fails_half_way_keeps_what_it_had(registry: Registry, tiny: Path, tmp_path: Path) -> None:
    push_annotated(registry, tiny, "half:zen2", tmp_path, "zen2")
    catalog = tmp_path / "c.sqlite"
    done = hpc3("catalog", "build", registry.ref("half:zen2"), registry.ref("half:none"), "--catalog", catalog)
    assert done.code == 4
    assert "1 images read, 1 in the catalog" in done.err
    assert "error:" in done.err


def test_what_is_no_catalog_is_not_taken_in(registry: Registry, tiny: Path, tmp_path: Path) -> None:
    registry.push(tiny, "plain:1")
    done = hpc3("catalog", "pull", registry.ref("plain:1"), "--catalog", tmp_path / "c.sqlite")
    assert done.code == 3
    assert "is no catalog" in done.err


@pytest.mark.parametrize(
    ("form", "artifact_type"),
    [
        ("nfd", "application/vnd.nfd.image-compatibility.v1alpha1"),
        ("compspec", "application/org.supercontainers.compspec"),
    ],
)
def test_an_export_is_attached_on_request(
    registry: Registry, tiny: Path, tmp_path: Path, form: str, artifact_type: str
) -> None:
    name = f"exported-{form}:1"
    push_annotated(registry, tiny, name, tmp_path, "zen3")
    digest = registry.digest(name)
    done = hpc3_ok("export", registry.ref(name), "--format", form, "--attach", "-o", tmp_path / "document")
    assert registry.digest(name) == digest
    assert "attached as sha256:" in done.err
    referrers = json.loads(hpc3_ok("inspect", registry.ref(name)).out)["referrers"]
    assert artifact_type in {entry["artifactType"] for entry in referrers}


def test_an_index_and_its_images_get_the_export(registry: Registry, tiny: Path, tmp_path: Path) -> None:
    for target in ("zen2", "zen3"):
        push_annotated(registry, tiny, f"whole:{target}", tmp_path, target)
    hpc3_ok("index", registry.ref("whole:1"), registry.ref("whole:zen2"), registry.ref("whole:zen3"))
    hpc3_ok("export", registry.ref("whole:1"), "--format", "nfd", "--attach", "-o", tmp_path / "document")
    for name in ("whole:1", "whole:zen2", "whole:zen3"):
        referrers = json.loads(hpc3_ok("inspect", registry.ref(name)).out)["referrers"]
        assert any("nfd.image-compatibility" in entry["artifactType"] for entry in referrers), name
