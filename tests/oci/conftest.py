from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from oci.oci_peers import ANNOTATIONS, Registry, Storage, need, root_file_system, serve_registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serve_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    need("buildah", "skopeo")
    return Storage(tmp_path_factory.mktemp("storage"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, storage: Storage) -> Path:
    """A layout with one untagged image that runs: two layers, a label, one annotation of ours from its base."""
    context = tmp_path_factory.mktemp("context")
    root_file_system(context / "base", {"usr/share/hpc3/note": "base"})
    (context / "app").mkdir()
    (context / "app/hello").write_text("hello\n")
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY base /\nCOPY app /opt/app\nENV PATH=/bin\nENTRYPOINT []\nCMD ["/bin/sh", "-l"]\n'
        "LABEL foreign.label=kept org.supercontainers.mpi.implementation=mpich\n"
    )
    storage.buildah(
        "bud", "--isolation", "chroot", "--layers", "--annotation", "org.supercontainers.mpi.implementation=mpich",
        "--annotation", "foreign.annotation=kept", "-t", "localhost/tiny:1", context,
    )  # fmt: skip
    layout = tmp_path_factory.mktemp("layout") / "tiny"
    subprocess.run(["skopeo", "copy", "-q", storage.ref("localhost/tiny:1"), f"oci:{layout}"], check=True)
    return layout


@pytest.fixture
def layout(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the layout that a test may change."""
    return Path(shutil.copytree(tiny, tmp_path / "layout"))


@pytest.fixture
def archive(tiny: Path, tmp_path: Path) -> Path:
    """The image in an OCI archive, written by skopeo."""
    target = tmp_path / "tiny.tar"
    subprocess.run(["skopeo", "copy", "-q", f"oci:{tiny}", f"oci-archive:{target}:v1"], check=True)
    return target


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    """The annotations of the tests in a file, as ``hpc3 annotations --format json`` prints them."""
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(ANNOTATIONS))
    return path
