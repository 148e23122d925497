"""The real peers: registries on loopback, skopeo, buildah, podman, umoci, each in a place of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import peers

ANNOTATIONS = {
    "org.opencontainers.image.title": "tiny",
    "org.supercontainers.hardware.cpu.optimized.mode": "generic",
    "org.supercontainers.hardware.cpu.optimized.version": "x86_64_v3",
    "org.supercontainers.mpi.implementation": "none",
    "org.supercontainers.schema.version": "1.0",
    "org.supercontainers.software.name": "tiny",
    "org.supercontainers.software.version": "1.0",
}
MPI = "org.supercontainers.mpi.implementation"
NAME = "org.supercontainers.software.name"


def need(*programs: str) -> None:
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    for program in programs:
        peers.ran(program)


def run(*command: str | Path, env: Mapping[str, str] | None = None, text: str | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        input=text,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def digests(self) -> tuple[str, str]:
        """Old and new digest of the one image that ``hpc3 apply`` printed."""
        _, old, new = self.out.split()
        return old, new


def hpc3(*arguments: str | Path, env: Mapping[str, str] | None = None, text: str | None = None) -> Done:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "hpc3.cli", *[str(a) for a in arguments]],
        capture_output=True,
        text=True,
        check=False,
        input=text,
        env={**os.environ, **(env or {})},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def hpc3_ok(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Done:
    done = hpc3(*arguments, env=env)
    assert done.code == 0, done.err
    return done


@dataclass(frozen=True)
class Registry:
    host: str
    log: Path
    ca: str = ""
    env: tuple[tuple[str, str], ...] = ()

    def ref(self, name: str) -> str:
        return f"docker://{self.host}/{name}"

    def push(self, layout: Path, name: str, *options: str) -> str:
        """Push a layout's image with skopeo; return its digest."""
        tls = [f"--dest-cert-dir={Path(self.ca).parent}"] if self.ca else ["--dest-tls-verify=false"]
        run("skopeo", "copy", "-q", *tls, *options, f"oci:{layout}", self.ref(name), env=dict(self.env))
        return self.digest(name)

    def skopeo(self, *arguments: str) -> str:
        tls = [f"--cert-dir={Path(self.ca).parent}"] if self.ca else ["--tls-verify=false"]
        return run("skopeo", arguments[0], *tls, *arguments[1:], env=dict(self.env))

    def raw(self, name: str) -> dict[str, Any]:
        return json.loads(self.skopeo("inspect", "--raw", self.ref(name)))

    def config(self, name: str) -> dict[str, Any]:
        return json.loads(self.skopeo("inspect", "--config", "--raw", self.ref(name)))

    def digest(self, name: str) -> str:
        return self.skopeo("inspect", "--no-tags", "--format", "{{.Digest}}", self.ref(name)).strip()

    def requests(self) -> list[str]:
        """The requests so far, as ``METHOD path status``."""
        found = []
        for line in self.log.read_bytes().decode("utf-8", "replace").splitlines():
            quoted = line.split('"')
            if len(quoted) > 2 and " /v2/" in quoted[1]:
                found.append(f"{quoted[1].rsplit(' ', 1)[0]} {quoted[2].split()[0]}")
        return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def serve_registry(folder: Path, *, extra: Sequence[str] = (), ca: str = "") -> Iterator[Registry]:
    """Run Debian's docker-registry on a free port of loopback."""
    need("docker-registry", "skopeo")
    port = free_port()
    config = folder / "config.yml"
    config.write_text(
        "\n".join(
            [
                "version: 0.1",
                "log: {level: error, accesslog: {disabled: false}}",
                f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}",
                "http:",
                f"  addr: 127.0.0.1:{port}",
                *extra,
                "",
            ]
        )
    )
    log = folder / "log"
    with log.open("ab") as stream:
        server = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=stream, stderr=stream)
    try:
        _wait_for(port)
        yield Registry(f"127.0.0.1:{port}", log, ca)
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail("the registry did not start")


@dataclass(frozen=True)
class Storage:
    """A containers-storage of the tests' own."""

    folder: Path

    @property
    def options(self) -> list[str]:
        return ["--root", str(self.folder / "root"), "--runroot", str(self.folder / "run"), "--storage-driver", "vfs"]

    def ref(self, name: str) -> str:
        return f"containers-storage:[vfs@{self.folder / 'root'}+{self.folder / 'run'}]{name}"

    def buildah(self, *arguments: str | Path) -> str:
        return run("buildah", *self.options, *arguments)

    def podman(self, *arguments: str | Path) -> str:
        """Run podman where the kernel mounts cgroups in hybrid mode: in a mount namespace with cgroup2 alone."""
        script = 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup && exec podman "$@"'
        limits: list[str | Path] = []
        if arguments[0] == "run":
            limits = ["--cgroups=disabled", "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"]
        rest = [*self.options, arguments[0], *limits, *arguments[1:]]
        return run("unshare", "-m", "sh", "-c", script, "podman", *rest)


def root_file_system(folder: Path, files: Mapping[str, str]) -> Path:
    """Lay out the least that runs: this machine's sh and cat with their libraries, and os-release."""
    need("ldd")
    for program in ("/bin/sh", "/bin/cat"):
        libraries = [word for word in run("ldd", program).split() if word.startswith("/")]
        for source in (program, *libraries):
            target = folder / source.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(source), target)
    (folder / "usr/lib").mkdir(parents=True, exist_ok=True)
    (folder / "etc").mkdir(exist_ok=True)
    (folder / "usr/lib/os-release").write_text(
        "ID=testos\nVERSION_ID=\"3.1\"\nPRETTY_NAME=\"Test OS 3.1.4 ('quoted')\"\nVERSION='3.1.4'\n"
    )
    (folder / "etc/os-release").symlink_to("../usr/lib/os-release")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder
