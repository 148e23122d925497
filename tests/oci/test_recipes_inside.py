"""Images that carry what they were built from: a lock is compared, or is where the annotations come from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from oci.oci_peers import ANNOTATIONS, NAME, Storage, hpc3, hpc3_ok, need, root_file_system, run
from unit.locks import make_lock, node

pytestmark = pytest.mark.images

RECIPE = "org.supercontainers.software.recipe.digest"
LOCK = make_lock(node("inside")).decode()


def build(storage: Storage, folder: Path, name: str, files: dict[str, str]) -> Path:
    """Build an image as Spack's own template lays it out, in a layout."""
    need("buildah", "skopeo")
    root_file_system(folder / "root", files)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY root /\nENTRYPOINT ["/entrypoint.sh"]\nCMD ["/bin/bash"]\n')
    storage.buildah("bud", "--isolation", "chroot", "-t", f"localhost/{name}:1", folder)
    run("skopeo", "copy", "-q", storage.ref(f"localhost/{name}:1"), f"oci:{folder / 'image'}")
    return folder / "image"


@pytest.fixture
def with_lock(storage: Storage, tmp_path: Path) -> Path:
    return build(storage, tmp_path, "withlock", {"opt/spack-environment/spack.lock": LOCK})


def applied(layout: Path, *options: str | Path) -> tuple[dict[str, str], str]:
    """Apply, and return the annotations and what was said."""
    said = hpc3_ok("apply", f"oci:{layout}", *options).err
    return json.loads(run("skopeo", "inspect", "--raw", f"oci:{layout}"))["annotations"], said


def test_the_lock_inside_gives_the_annotations(with_lock: Path) -> None:
    annotations, _ = applied(with_lock, "--from-image")
    assert annotations[NAME] == "inside"
    assert annotations[RECIPE] == "sha256:" + hashlib.sha256(LOCK.encode()).hexdigest()
    assert annotations["org.supercontainers.os.vendor"] == "testos"
    assert "org.supercontainers.userland.entrypoint" not in annotations  # a script: wrapper or application, unknown


def test_the_same_lock_outside_is_accepted_and_another_refused(with_lock: Path, tmp_path: Path) -> None:
    lock = tmp_path / "spack.lock"
    lock.write_text(LOCK)
    assert applied(with_lock, "--from", lock)[0][NAME] == "inside"
    lock.write_text(LOCK.replace("inside", "outside"))
    before = (with_lock / "index.json").read_bytes()
    refused = hpc3("apply", f"oci:{with_lock}", "--from", lock)
    assert (refused.code, "another recipe" in refused.err) == (3, True)
    assert (with_lock / "index.json").read_bytes() == before


def test_without_layers_nothing_is_compared_and_that_is_said(with_lock: Path, tmp_path: Path) -> None:
    lock = tmp_path / "spack.lock"
    lock.write_text(LOCK.replace("inside", "outside"))
    annotations, said = applied(with_lock, "--from", lock, "--no-layers")
    assert annotations[NAME] == "outside"
    assert "was not compared" in said


def test_an_image_without_a_recipe(layout: Path, tmp_path: Path) -> None:
    lock = tmp_path / "spack.lock"
    lock.write_text(LOCK)
    annotations, said = applied(layout, "--from", lock)
    assert annotations[NAME] == "inside"
    assert "neither a lock nor a record" in said
    assert "carries no recipe" in hpc3("apply", f"oci:{layout}", "--from-image").err


def test_annotations_inside_count_when_their_lock_is_the_one_inside(storage: Storage, tmp_path: Path) -> None:
    for name, digest, code in (
        ("good", "sha256:" + hashlib.sha256(LOCK.encode()).hexdigest(), 0),
        ("bad", "sha256:" + "0" * 64, 3),
    ):
        files = {
            "opt/spack-environment/spack.lock": LOCK,
            "usr/share/hpc3/annotations.json": json.dumps({**ANNOTATIONS, RECIPE: digest}),
        }
        (tmp_path / name).mkdir()
        image = build(storage, tmp_path / name, name, files)
        assert hpc3("apply", f"oci:{image}", "--from-image").code == code


def test_the_recipe_attached_must_be_the_one_stated(layout: Path, tmp_path: Path) -> None:
    lock, wanted = tmp_path / "spack.lock", tmp_path / "wanted.json"
    lock.write_text(LOCK)
    wanted.write_text(json.dumps({**ANNOTATIONS, RECIPE: "sha256:" + "0" * 64}))
    hpc3_ok("apply", f"oci:{layout}", "--from", wanted, "--tag", "v1")
    refused = hpc3("apply", f"oci:{layout}:v1", "--from", wanted, "--recipe", lock)
    assert refused.code == 3
    assert "no file of the recipe" in refused.err
    wanted.write_text(json.dumps(ANNOTATIONS))
    hpc3_ok("apply", f"oci:{layout}:v1", "--from", wanted, "--recipe", lock)
    shown = json.loads(hpc3_ok("inspect", f"oci:{layout}:v1").out)
    assert shown["annotations"][RECIPE] == "sha256:" + hashlib.sha256(LOCK.encode()).hexdigest()
