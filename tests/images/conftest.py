"""Real images: a Debian base, buildah to build, podman to run, each in a storage of the test run's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from images.engines import DEBIAN, Engines


@pytest.fixture(scope="session")
def debian_rootfs() -> Path:
    """Return a Debian 12 root file system as a tar file, made once with debootstrap."""
    rootfs = peers.cache_folder() / "debian-12-rootfs.tar"
    if not rootfs.exists():
        peers.need_program("debootstrap", "--version")
        partial = rootfs.with_suffix(".partial")
        command = ["debootstrap", "--variant=minbase", "bookworm", str(partial), "http://deb.debian.org/debian"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"debootstrap cannot make a Debian base: {result.stdout.strip().splitlines()[-1:]}")
        subprocess.run(["tar", "-C", str(partial), "--exclude=./var/cache/apt/archives/*.deb", "-cf",
                        str(rootfs.with_suffix(".tmp")), "."], check=True)  # fmt: skip
        subprocess.run(["rm", "-rf", str(partial)], check=True)
        rootfs.with_suffix(".tmp").rename(rootfs)
    return rootfs


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory, debian_rootfs: Path) -> Iterator[Engines]:
    """Return buildah and podman on a new storage that holds the Debian base under its public name."""
    peers.need_program("buildah")
    peers.need_program("podman")
    found = Engines(tmp_path_factory.mktemp("storage"))
    container = found.buildah("from", "scratch").stdout.strip()
    found.buildah("add", container, str(debian_rootfs), "/")
    found.buildah("config", "--cmd", "/bin/bash", container)
    found.buildah("commit", "-q", container, DEBIAN)
    found.buildah("rm", container)
    yield found
    # podman left mounts in its own namespace only; files of root that no temporary folder can remove stay otherwise
    found.buildah("rmi", "--all", "--force", check=False)
