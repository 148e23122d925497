"""``verify`` says the same of one image wherever it is: registry, layout, archive, containers-storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oci.oci_peers import Registry, Storage, hpc3, need, run
from unit.consume.root_file_systems import build_root
from unit.consume.test_consume_verify import TRUE

pytestmark = [pytest.mark.images, pytest.mark.registry]

PREFIX = "org.supercontainers."
LIES = {
    "hardware.cpu.optimized.version": "neoverse_v1",
    "mpi.implementation": "mpich",
    "system.libc.version": "2.28",
    "userland.tools": "wget",
}


@pytest.fixture(scope="module")
def places(registry: Registry, storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The places of one image, of two layers with a whiteout, by the kind of store."""
    need("buildah", "podman", "skopeo")
    folder = tmp_path_factory.mktemp("verified")
    build_root(folder / "root")
    (folder / "Dockerfile").write_text(
        "FROM scratch\nCOPY root /\nCOPY root/etc/os-release /etc/lsb-release\nENV PATH=/opt/app/bin:/usr/bin\n"
    )
    stated = [word for key, value in TRUE.items() for word in ("--annotation", f"{PREFIX}{key}={value}")]
    image = storage.ref("localhost/verified:1")
    storage.buildah("bud", "--isolation", "chroot", "--layers", *stated, "-t", "localhost/verified:1", folder)
    found = {
        "layout": f"oci:{folder}/layout:1",
        "archive": f"oci-archive:{folder}/archive.tar:1",
        "registry": registry.ref("verified:1"),
    }
    for place in found.values():
        run("skopeo", "copy", "-q", "--dest-tls-verify=false", image, place)
    return {"storage": image, **found}


def verified(place: str, *options: str | Path) -> tuple[int, dict[str, Any]]:
    done = hpc3("verify", place, "--format", "json", *options)
    document = json.loads(done.out)
    assert document.pop("image") == place
    return done.code, document


def test_the_truth_is_the_same_everywhere(places: dict[str, str]) -> None:
    results = {kind: verified(place) for kind, place in places.items()}
    code, document = results["layout"]
    assert code == 0
    assert {each["verdict"] for each in document["comparisons"]} == {"agrees"}
    assert {each["key"] for each in document["comparisons"]} == {PREFIX + key for key in TRUE}
    assert document["files"] > 10
    for kind in ("archive", "registry", "storage"):
        assert results[kind] == results["layout"], kind


@pytest.mark.parametrize("name", LIES)
def test_a_mislabelled_image_is_caught_everywhere(name: str, places: dict[str, str], tmp_path: Path) -> None:
    stated = tmp_path / "stated.json"
    stated.write_text(json.dumps({PREFIX + key: value for key, value in {**TRUE, name: LIES[name]}.items()}))
    for kind, place in places.items():
        code, document = verified(place, "--from", stated, *([] if "cpu" in name else ["--no-isa"]))
        lies = {each["key"] for each in document["comparisons"] if each["verdict"] == "contradicts"}
        assert (code, PREFIX + name in lies) == (1, True), kind
