"""buildah and podman on a storage of the test run's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

DEBIAN = "docker.io/library/debian:12"


@dataclass(frozen=True)
class Engines:
    """buildah and podman on one storage."""

    storage: Path

    @property
    def options(self) -> list[str]:
        """The global options that reach the storage."""
        return ["--root", str(self.storage / "root"), "--runroot", str(self.storage / "run")]

    def close(self) -> None:
        """Give back what the engines keep mounted, and remove the storage: it has some gigabytes."""
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.storage}/")]):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.storage, ignore_errors=True)

    def buildah(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run buildah."""
        return _run(["buildah", *self.options, *arguments], check=check)

    def build(self, context: Path, name: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Build ``context/Dockerfile``: without a daemon, a network namespace or a pull."""
        fixed = ("--layers", "--isolation", "chroot", "--network", "host", "--pull-never")
        return self.buildah("bud", *fixed, *options, "-t", name, str(context), check=check)

    def podman(self, *arguments: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run podman in a mount namespace with cgroup2 alone: where cgroups are hybrid, crun refuses otherwise."""
        script = 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup && exec podman "$@"'
        command = ["unshare", "-m", "sh", "-c", script, "podman", *self.options, *arguments]
        return _run(command, check=check, stdin=stdin)

    def run(self, image: str, *command: str, options: Sequence[str] = (), stdin: str = "") -> str:
        """Run a command in a new container and return what it prints."""
        limits = ("--cgroups=disabled", "--network=host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
        return self.podman("run", "--rm", *limits, *options, image, *command, stdin=stdin).stdout


def _run(command: list[str], *, check: bool, stdin: str = "") -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if check and result.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}")
    return result
