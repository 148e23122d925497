"""Pages that work on a registry and a base image of this machine: their commands, and the place they run in."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import peers
from oci.oci_peers import Registry, Storage, need, root_file_system, serve_registry


def blocks(page: str) -> list[str]:
    """Return the blocks of commands of a page of ``docs/``."""
    text = (peers.REPOSITORY / "docs" / page).read_text("utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Loopback:
    """A registry, a storage with ``localhost/base``, and a folder to work in."""

    registry: Registry
    storage: Path
    folder: Path

    def run(self, block: str) -> str:
        """Run one block as a person would who stops at the first error; return what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self.folder,
            env={
                **os.environ,
                "BUILDAH_ISOLATION": "chroot",
                "CONTAINERS_STORAGE_CONF": str(self.storage),
                "REGISTRY": self.registry.host,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr


@contextlib.contextmanager
def loopback(tmp_path: Path) -> Iterator[Loopback]:
    """Serve a registry and build the base image, or skip the test with what is missing."""
    need("buildah", "skopeo", "podman", "docker-registry", "bash")
    storage = tmp_path / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/root"\nrunroot = "{tmp_path}/run"\n')
    base = tmp_path / "base"
    root_file_system(base / "root", {})
    (base / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    Storage(tmp_path).buildah("bud", "--isolation", "chroot", "-t", "localhost/base", base)
    for name in ("registry", "work"):
        (tmp_path / name).mkdir()
    with serve_registry(tmp_path / "registry") as registry:
        yield Loopback(registry, storage, tmp_path / "work")
