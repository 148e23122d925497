"""Engines that really run what `hpc3 tweak` says: Podman fires the hook, Charliecloud sees the environment."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import peers
from hpc3.consume.image import Image, image_of
from hpc3.consume.tweak.charliecloud import configure_charliecloud
from hpc3.consume.tweak.oci_hooks import hook_files
from hpc3.consume.tweak.podman import configure_podman
from hpc3.consume.tweak.wiring import wiring_of
from hpc3.fingerprint import Fingerprint, HostMpi, Launcher
from hpc3.vocabulary import key

pytestmark = pytest.mark.images

BUSYBOX = shutil.which("busybox")
NAME = "localhost/hpc3-tweak:1"
STATED = {
    "software.name": "demo",
    "mpi.implementation": "mpich",
    "mpi.version": "4.2",
    "mpi.abi.family": "mpich",
    "mpi.abi.version": "12.3.1",
    "mpi.pmi": "pmi2",
    "mpi.portability.mode": "replace",
}
Podman = Callable[..., "subprocess.CompletedProcess[str]"]


def demo_image(**changed: str) -> Image:
    values = {**STATED, **{name.replace("__", "."): value for name, value in changed.items()}}
    return image_of({"annotation": {key(name): value for name, value in values.items()}}, reference=NAME)


def demo_host(library: Path) -> Fingerprint:
    mpi = HostMpi("mpich", "4.2", "mpich", "libmpi.so.12", "12.3.1", str(library), "2.17")
    return Fingerprint(mpis=(mpi,), launcher=Launcher("slurm", pmi=("pmi2",)), fabrics=(), gpus=())


def static_busybox() -> str:
    if BUSYBOX is None:
        pytest.skip("busybox is not installed")
    if "statically linked" not in subprocess.run(["file", BUSYBOX], capture_output=True, text=True, check=False).stdout:
        linked = subprocess.run(["ldd", BUSYBOX], capture_output=True, text=True, check=False)
        if linked.returncode == 0 and "=>" in linked.stdout:
            pytest.skip("busybox is not linked statically: Debian has it as busybox-static")
    return BUSYBOX


def unpacked(folder: Path) -> Path:
    """A root file system of busybox alone."""
    program = static_busybox()
    for name in ("bin", "dev", "etc", "home", "mnt/0", "proc", "root", "sys", "tmp", "ch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(program, folder / "bin/busybox")
    (folder / "bin/sh").symlink_to("busybox")
    for name in ("passwd", "group", "hosts", "resolv.conf"):
        (folder / "etc" / name).touch()
    (folder / "ch/environment").write_text("FROM_IMAGE=yes\n")
    return folder


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[Podman]:
    """Podman with storage of its own, in a mount namespace where cgroup2 alone is mounted."""
    if shutil.which("podman") is None or os.geteuid() != 0:
        pytest.skip("podman is not installed, or this is not root")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(unpacked(tmp_path / "rootfs"), ".")
    prepare = 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    short = tempfile.mkdtemp(prefix="hpc3-")  # podman takes at most 50 characters
    storage = ["--root", f"{short}/root", "--runroot", f"{short}/run", "--storage-driver", "vfs"]

    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        command = ["unshare", "-m", "sh", "-c", prepare, "sh", "podman", *storage, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=120)
        decoded = (done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
        return subprocess.CompletedProcess(command, done.returncode, *decoded)

    imported = run("import", "-", NAME, stdin=archive.getvalue())
    if imported.returncode:
        pytest.skip(f"podman does not work here: {imported.stderr.strip()[-200:]}")
    peers.need_program("podman")
    yield run
    run("rmi", "--all", "--force")
    shutil.rmtree(short, ignore_errors=True)


def recording_hook(folder: Path) -> Path:
    """A hook program that writes down its environment and what the runtime tells it."""
    program = folder / "mpi_hook"
    program.write_text(f"#!/bin/sh\nenv > {folder}/environment\ncat > {folder}/state\n")
    program.chmod(0o755)
    return folder


def run_with_hooks(podman: Podman, tmp_path: Path, image: Image) -> subprocess.CompletedProcess[str]:
    programs = tmp_path / "programs"
    programs.mkdir(exist_ok=True)
    library = tmp_path / "libmpi.so.12"
    library.touch()
    host = demo_host(library)
    (hook,) = hook_files("hooks.d", wiring_of(demo_image(), host), str(recording_hook(programs)))
    (tmp_path / "hooks.d").mkdir(exist_ok=True)
    (tmp_path / hook.path).write_text(hook.text)
    command = list(configure_podman(wiring_of(image, host)).command)
    annotations = [word for n, word in enumerate(command) if "--annotation" in (word, command[n - 1])]
    limits = ["--cgroups=disabled", "--network=host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]
    hooks = ["--hooks-dir", str(tmp_path / "hooks.d")]
    return podman(*hooks, "run", "--rm", *limits, *annotations, NAME, "/bin/sh", "-c", "echo inside")


def test_podman_fires_the_hook(podman: Podman, tmp_path: Path) -> None:
    done = run_with_hooks(podman, tmp_path, demo_image())
    assert done.returncode == 0, done.stderr
    assert done.stdout == "inside\n"
    environment = (tmp_path / "programs/environment").read_text("utf-8")
    assert f"MPI_LIBS={tmp_path}/libmpi.so.12" in environment
    assert key("mpi.abi.family") in (tmp_path / "programs/state").read_text("utf-8")


@pytest.mark.parametrize("changed", [{"mpi__abi__family": "openmpi"}, {"mpi__portability__mode": "hybrid"}])
def test_podman_leaves_other_images_alone(podman: Podman, tmp_path: Path, changed: dict[str, str]) -> None:
    done = run_with_hooks(podman, tmp_path, demo_image(**changed))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "programs/environment").exists()


def test_charliecloud_sees_the_environment(tmp_path: Path) -> None:
    if shutil.which("ch-run") is None:
        pytest.skip("charliecloud is not installed")
    peers.ran("charliecloud")
    root = unpacked(tmp_path / "image")
    library = tmp_path / "lib/libmpi.so.12"
    library.parent.mkdir()
    library.write_text("the host's library")
    command = list(configure_charliecloud(wiring_of(demo_image(), demo_host(library))).command)
    inside = "echo $FROM_IMAGE $LD_LIBRARY_PATH; busybox cat $LD_LIBRARY_PATH/libmpi.so.12"
    start = command.index("ch-run")
    words = [str(root) if word == "$IMAGE" else word for word in command[start:-1]]
    environment = {**os.environ, "USER": os.environ.get("USER", "root")}
    done = subprocess.run(
        [*words, "/bin/busybox", "sh", "-c", inside], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "yes /mnt/0\nthe host's library"


def test_podman_reads_the_module(podman: Podman, tmp_path: Path) -> None:
    """Podman before 4.7 has no ``--module``: the same text is read as containers.conf."""
    module = [file for file in configure_podman(wiring_of(demo_image(), Fingerprint())).files if "modules" in file.path]
    (tmp_path / "containers.conf").write_text(module[0].text)
    os.environ["CONTAINERS_CONF"] = str(tmp_path / "containers.conf")
    try:
        created = podman("create", "--network", "host", "--name", "probe", NAME, "/bin/sh")
        shown = podman("inspect", "probe", "--format", "{{.HostConfig.PidMode}} {{.HostConfig.UTSMode}}")
    finally:
        del os.environ["CONTAINERS_CONF"]
    assert created.returncode == 0, created.stderr
    assert shown.stdout.strip() == "host host"
    podman("rm", "probe")


def test_an_unusual_path_of_the_host_is_not_written(tmp_path: Path) -> None:
    odd = replace(demo_host(tmp_path / "libmpi.so.12"), mpis=(HostMpi("mpich", "4", "mpich", path="/a b'/lib.so"),))
    assert hook_files("hooks.d", wiring_of(demo_image(), odd)) == ()
