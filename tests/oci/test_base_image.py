"""What the base image left over, told from real images that buildah built on an annotated base."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oci.oci_peers import Registry, Storage, hpc3, root_file_system, run, serve_registry

pytestmark = [pytest.mark.images, pytest.mark.registry]

BASE = {
    "org.opencontainers.image.title": "base",
    "org.opencontainers.image.version": "1.0",
    "org.opencontainers.image.licenses": "MIT",
    "org.supercontainers.schema.version": "1.0",
    "org.supercontainers.sbom.digest": "sha256:" + "a" * 64,
    "org.supercontainers.software.name": "base",
    "org.supercontainers.software.version": "1.0",
}
LEFT_OVER = {
    "org.opencontainers.image.title",
    "org.opencontainers.image.version",
    "org.supercontainers.sbom.digest",
    "org.supercontainers.software.name",
}
CHILD = "COPY app /opt/app\n"
OWN = """LABEL org.opencontainers.image.title=child "org.opencontainers.image.version"="1.0"
COPY app /opt/app
LABEL org.supercontainers.software.name=base org.supercontainers.software.version=2.0
"""


class Images:
    """Builds images on a base that states things about itself, in one storage and one registry."""

    def __init__(self, storage: Storage, registry: Registry, folder: Path) -> None:
        self._storage = storage
        self._registry = registry
        self._folder = folder
        self.base = f"{registry.host}/{folder.name}/base:1"
        root_file_system(folder / "root", {})
        (folder / "app").mkdir()
        (folder / "app/hello").write_text("hello")
        self.build("FROM scratch\nCOPY root /\nLABEL org.opencontainers.image.title=base", self.base, BASE)

    def build(self, text: str, name: str, annotations: dict[str, str] | None = None, *options: str) -> str:
        (self._folder / "Dockerfile").write_text(text)
        stated = [word for key, value in (annotations or {}).items() for word in ("--annotation", f"{key}={value}")]
        fixed = ("--isolation", "chroot", "--pull-never")
        self._storage.buildah("bud", *fixed, *options, *stated, "-t", name, self._folder)
        return self._storage.ref(name)

    def child(self, steps: str, *options: str) -> str:
        return self.build(f"FROM {self.base}\n{steps}", f"{self.base.rpartition('/')[0]}/child:1", None, *options)

    def pulled_base(self) -> str:
        """Return the base as a user has it: from the registry, with the digest that it has there."""
        base = self._storage.ref(self.base)
        run("skopeo", "copy", "-q", "--src-tls-verify=false", self.push(base), base)
        return base

    def push(self, reference: str) -> str:
        target = "docker://" + reference.rpartition("]")[2]
        run("skopeo", "copy", "-q", "--dest-tls-verify=false", reference, target)
        return target


@pytest.fixture
def images(storage: Storage, registry: Registry, tmp_path: Path) -> Images:
    return Images(storage, registry, tmp_path)


def found(reference: str, *options: str) -> dict[str, list[str]]:
    """What was left over, and why it cannot be told."""
    done = hpc3("validate", reference, "--format", "json", *options)
    assert done.code == 1, done.err
    findings = json.loads(done.out)["findings"]
    left = [f["where"].partition(": ")[2] for f in findings if f["code"] == "HPC405"]
    return {"left": left, "untold": [f["message"] for f in findings if f["code"] == "HPC413"]}


def left_over(reference: str, *options: str) -> set[str]:
    result = found(reference, *options)
    assert result["untold"] == []
    return set(result["left"])


@pytest.mark.parametrize("options", [(), ("--layers",)], ids=["one layer", "layers"])
def test_what_a_child_does_not_state_is_left_over_in_every_store(
    images: Images, options: tuple[str, ...], tmp_path: Path
) -> None:
    child = images.child(CHILD, *options)
    assert left_over(child) == LEFT_OVER
    base = child.replace("/child:1", "/base:1")
    images.push(base)
    assert left_over(images.push(child)) == LEFT_OVER
    for kind in ("oci", "oci-archive"):
        place = f"{kind}:{tmp_path / kind}"
        for reference in (base, child) if kind == "oci" else (child,):
            run("skopeo", "copy", "-q", reference, f"{place}:{reference.rpartition(']')[2]}")
        name = child.rpartition("]")[2]
        if kind == "oci":
            assert left_over(f"{place}:{name}") == LEFT_OVER
        else:
            assert "names no image" in found(f"{place}:{name}")["untold"][0]
            assert left_over(f"{place}:{name}", "--base", base) == LEFT_OVER


@pytest.mark.parametrize("options", [(), ("--layers",)], ids=["one layer", "layers"])
def test_what_the_build_states_is_its_own_even_if_it_is_the_same(images: Images, options: tuple[str, ...]) -> None:
    child = images.child(OWN, *options)
    # buildah carries the base's annotations along, whatever the labels say: HPC401 tells those apart.
    assert left_over(child) == {"org.supercontainers.sbom.digest"}


def test_a_tag_that_moved_is_not_the_base_and_the_digest_still_is(images: Images) -> None:
    base = images.pulled_base()
    child = images.child(CHILD)
    pushed = images.push(child)
    images.build("FROM scratch\nCOPY app /\n", images.base, BASE)
    images.push(base)
    assert left_over(pushed) == LEFT_OVER  # a registry still has the digest
    assert "does not begin with the layers and steps of" in found(child)["untold"][0]  # the storage knows names alone


def test_an_image_that_has_its_own_name_as_its_base_is_not_its_base(images: Images) -> None:
    again = images.build(f"FROM {images.base}\n{CHILD}", images.base, None, "--layers")
    assert "does not begin with the layers and steps of" in found(again)["untold"][0]


def test_another_registry_is_not_asked(images: Images, tmp_path: Path) -> None:
    child = images.child(CHILD)
    images.push(child.replace("/child:1", "/base:1"))
    (tmp_path / "other").mkdir()
    with serve_registry(tmp_path / "other") as other:
        target = other.ref("child:1")
        run("skopeo", "copy", "-q", "--dest-tls-verify=false", child, target)
        assert "in another registry, which is not asked" in found(target)["untold"][0]
        assert left_over(target, "--base", f"docker://{images.base}") == LEFT_OVER


def test_nothing_is_left_over_from_scratch(images: Images) -> None:
    image = images.build("FROM scratch\nCOPY app /\n", "localhost/scratch:1", BASE)
    assert left_over(image) == set()


def test_a_name_that_is_none_is_told(images: Images) -> None:
    name = {"org.opencontainers.image.base.name": "no name\x1b[2J"}
    image = images.build("FROM scratch\nCOPY app /\n", "localhost/named:1", {**BASE, **name})
    assert found(image)["left"] == []
