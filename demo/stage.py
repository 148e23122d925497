"""The stage: a temporary folder in which images are stored, a registry serves, and what the steps see of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from story import Step

REPOSITORY = Path(__file__).resolve().parent.parent

#: What the steps see of the stage, as it is typed.
EXPORTS = """\
export REGISTRY={registry} REPOSITORY={repository} PATH=$PWD/bin:$PWD/venv/bin:$PATH HOME=$PWD TMPDIR=$PWD/tmp
export CONTAINERS_STORAGE_CONF=$PWD/storage.conf CONTAINERS_CONF=$PWD/containers.conf BUILDAH_ISOLATION=chroot
export EASYBUILD_PREFIX=$PWD/easybuild EASYBUILD_ALLOW_USE_AS_ROOT_AND_ACCEPT_CONSEQUENCES=1
export EASYBUILD_ROBOT_PATHS=$REPOSITORY/demo/heat:$REPOSITORY/tests/easybuild/easyconfigs
export EASYBUILD_SOURCEPATH=$PWD/sources:$REPOSITORY/demo/heat LMOD_CMD=/usr/share/lmod/lmod/libexec/lmod"""

STORAGE = '[storage]\ndriver = ""\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'

#: Podman also where it is itself in a container: no cgroups or network of its own, limits that may be lowered.
ENGINE = """\
[containers]
cgroups = "disabled"
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""

REGISTRY = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}
http: {{addr: "{registry}"}}
"""

#: crun refuses a cgroup file system of both versions: podman then gets a mount namespace with the second alone.
PODMAN_ON_HYBRID_CGROUPS = """\
#!/bin/sh
exec unshare -m sh -c 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' sh {podman} "$@"
"""

#: Variables of the caller that would steer the tools of the story.
_STEERING = ("BUILDAH_", "CONTAINERS_", "EASYBUILD_", "HPC3_", "LMOD", "MODULE", "PYTHON")


class StoryStopped(Exception):
    """A step ended otherwise than the story says."""


@dataclass(frozen=True)
class Stage:
    """Where the story takes place.

    Attributes:
        folder: everything that the steps write.
        registry: ``localhost:PORT``.
    """

    folder: Path
    registry: str

    @property
    def exports(self) -> str:
        """The lines by which a shell in the folder sees the stage."""
        return EXPORTS.format(registry=self.registry, repository=REPOSITORY)

    def run(self, step: Step) -> list[str]:
        """Run a step; return the lines of its output that matter.

        Raises:
            StoryStopped: its exit code is none that belongs to the story.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_STEERING)}
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", f"{self.exports}\n{step.command}"],
            cwd=self.folder,
            env={**environment, "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = shell.communicate()
        except KeyboardInterrupt:
            os.killpg(shell.pid, signal.SIGKILL)  # what the step has started would go on writing
            shell.wait()
            raise
        lines = [line.rstrip().replace(f"{self.folder}/", "") for line in said.splitlines()]
        if shell.returncode not in step.codes:
            raise StoryStopped("\n".join([*lines[-30:], f"this ended with exit code {shell.returncode}"]))
        return essential(lines, step.shows)


def essential(lines: Sequence[str], shows: str) -> list[str]:
    """Return the lines that match, with an ellipsis wherever others were left out between them; none for ``""``."""
    kept: list[str] = []
    skipped = False
    for line in lines:
        if shows and re.search(shows, line):
            kept += ["…", line] if skipped and kept else [line]
            skipped = False
        else:
            skipped = True
    return kept


@contextmanager
def open_stage(*, keep: bool) -> Iterator[Stage]:
    """Make the folder and start the registry; stop and remove both at the end, or with ``keep`` leave both."""
    folder = Path(tempfile.mkdtemp(prefix="hpc3-demo-"))
    stage = Stage(folder, f"localhost:{free_port()}")
    _write_configuration(stage)
    with (folder / "registry.log").open("wb") as log:
        command = ["docker-registry", "serve", str(folder / "registry.yml")]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(stage.registry)
        yield stage
    finally:
        if keep:
            (folder / "exports").write_text(f"{stage.exports}\n", "utf-8")
            print(f"Kept: cd {folder} && . ./exports. The registry is process {server.pid}.")
        else:
            server.terminate()
            server.wait()
            _remove(folder)


def _write_configuration(stage: Stage) -> None:
    folder = stage.folder
    (folder / "registry.yml").write_text(REGISTRY.format(folder=folder, registry=stage.registry), "utf-8")
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder), "utf-8")
    (folder / "containers.conf").write_text(ENGINE, "utf-8")
    (folder / "tmp").mkdir()
    (folder / "bin").mkdir()
    if Path("/sys/fs/cgroup/unified").exists():
        program = folder / "bin" / "podman"
        program.write_text(PODMAN_ON_HYBRID_CGROUPS.format(podman=shutil.which("podman")), "utf-8")
        program.chmod(0o755)


def free_port(first: int = 5000) -> int:
    """Return the first port of loopback, from the registry's usual one on, that nobody listens on."""
    for port in range(first, first + 1000):
        with socket.socket() as listener, suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
    raise StoryStopped(f"no port from {first} on is free")


def _wait_for(registry: str) -> None:
    host, _, port = registry.partition(":")
    for _ in range(200):
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.1)
    raise StoryStopped("the registry does not answer")


def _remove(folder: Path) -> None:
    """Give back what the engines keep mounted, and remove all: some gigabytes."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder)
