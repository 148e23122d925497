"""Images that ``spack buildcache push`` wrote: annotated afterwards, and still what Spack installs from."""

from __future__ import annotations

import hashlib
import platform
import shutil
from pathlib import Path

import pytest

import spack_peer
from oci.oci_peers import NAME, Registry, hpc3, hpc3_ok
from spack_peer import Spack

pytestmark = [pytest.mark.registry, pytest.mark.spack]

ROOT_TAG = "md:mpi-hello-1.0-5ang2iw2353lk7dcra37dbsp264ibfer.spack"
ENVIRONMENT_TAG = "md:hello"


@pytest.fixture(scope="module")
def spack(tmp_path_factory: pytest.TempPathFactory) -> Spack:
    debian = Path("/etc/os-release").read_text("utf-8").count("bookworm")
    if not debian or platform.machine() != "x86_64" or not Path("/usr/bin/mpicc").exists():
        pytest.skip("the lock's externals are those of Debian 12 on x86_64 with libopenmpi-dev")
    return spack_peer.spack_in(tmp_path_factory.mktemp("spack"), "1.1.0", spack_peer.python_with_hpc3())


@pytest.fixture(scope="module")
def environment(spack: Spack, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install an environment on this host, push it, and return its folder."""
    folder = spack_peer.environment_copy(spack, "mpi-hello", tmp_path_factory.mktemp("environment"))
    source = folder / "mpi-hello-1.0.tar.gz"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    kept = spack.home / "sources/_source-cache/archive" / digest[:2] / f"{digest}.tar.gz"
    kept.parent.mkdir(parents=True)
    shutil.copy(source, kept)  # its package names a path that is inside an image
    ok(spack, folder, "-e", ".", "install", "--no-check-signature")
    ok(spack, folder, "mirror", "add", "--scope", "user", "--unsigned", "pushed", f"oci+http://{registry.host}/md")
    ok(spack, folder, "-e", ".", "buildcache", "push", "--unsigned", "--tag", "hello", "pushed")
    return folder


def ok(spack: Spack, folder: Path, *command: str) -> None:
    done = spack.run(*command, cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tag", [ENVIRONMENT_TAG, ROOT_TAG])
def test_annotations_come_from_the_lock_and_layers_stay(tag: str, environment: Path, registry: Registry) -> None:
    before, config = registry.raw(tag), registry.config(tag)
    applied = hpc3_ok("apply", registry.ref(tag), "--from", environment)
    after, labelled = registry.raw(tag), registry.config(tag)
    assert "carries neither a lock nor a record" in applied.err
    assert after["layers"] == before["layers"]
    assert after["annotations"].items() >= before.get("annotations", {}).items()
    assert after["annotations"][NAME] == "mpi-hello"
    assert after["annotations"]["org.supercontainers.userland.entrypoint"] == "none"
    assert labelled["config"].pop("Labels")[NAME] == "mpi-hello"
    assert labelled == config
    assert hpc3("verify", registry.ref(tag)).code == 0


def test_spack_installs_from_what_was_annotated(environment: Path, registry: Registry, spack: Spack) -> None:
    hpc3_ok("apply", registry.ref(ROOT_TAG), "--from", environment, "--annotations-only")
    ok(spack, environment, "-e", ".", "uninstall", "-a", "-y")
    ok(spack, environment, "-e", ".", "install", "--cache-only", "--no-check-signature")
    assert list((spack.home / "store").glob("*/mpi-hello-*/bin/mpi-hello"))
