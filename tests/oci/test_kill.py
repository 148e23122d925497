"""A process killed at any moment leaves a store whole: the old image or the new one, and the next run succeeds."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oci.oci_peers import ANNOTATIONS, Registry, hpc3_ok, need, run, serve_registry

pytestmark = pytest.mark.images

# Runs ``hpc3`` and kills itself at the N-th system call that changes a store: before the call, or in its middle.
KILLER = """
import os, signal, sys
from hpc3.cli import main

at, seen, halfway = int(sys.argv[1]), 0, sys.argv[2] == "halfway"

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Watched:  # no function: pathlib of Python 3.9 keeps what it finds here as methods
    def __init__(self, function, cut=None):
        self.function, self.cut = function, cut

    def __call__(self, *arguments, **options):
        global seen
        seen += 1
        if seen == at:
            if halfway and self.cut is not None:
                self.cut(self.function, *arguments)
            die()
        return self.function(*arguments, **options)

def cut_pwrite(function, handle, data, offset):
    # A write inside one page is not torn by a signal; a longer one may be.
    if offset // 4096 != (offset + len(data) - 1) // 4096:
        function(handle, bytes(data)[: 4096 - offset % 4096], offset)

os.pwrite = Watched(os.pwrite, cut_pwrite)
for name in ("replace", "rename", "fsync", "ftruncate", "unlink", "chmod", "mkdir"):
    setattr(os, name, Watched(getattr(os, name)))
os.fdopen = Watched(os.fdopen)  # before a temporary file is written
code = main(sys.argv[3:])
print(seen, file=sys.stderr)
sys.exit(code)
"""


def killed_at(at: int, manner: str, *arguments: str | Path) -> int:
    """Run with the killer; return the exit code, or minus the signal."""
    command = [sys.executable, "-c", KILLER, str(at), manner, *[str(a) for a in arguments]]
    return subprocess.run(command, capture_output=True, check=False).returncode


def wanted_as(path: Path, title: str) -> Path:
    path.write_text(json.dumps({**ANNOTATIONS, "org.opencontainers.image.title": title}))
    return path


@pytest.mark.parametrize("manner", ["before", "halfway"])
@pytest.mark.parametrize("kind", ["oci", "oci-archive", "oci-archive --compact"])
def test_a_killed_run_leaves_the_store_whole(
    layout: Path, archive: Path, tmp_path: Path, kind: str, manner: str
) -> None:
    need("skopeo")
    transport, *options = kind.split()
    place = layout if transport == "oci" else archive
    backup = tmp_path / "backup"
    wanted = wanted_as(tmp_path / "wanted.json", "new")

    def restore() -> None:
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        shutil.copytree(backup, place) if backup.is_dir() else shutil.copy(backup, place)

    shutil.copytree(place, backup) if place.is_dir() else shutil.copy(place, backup)
    reference = f"{transport}:{place}" + ("" if place.is_dir() else ":v1")
    old = run("skopeo", "inspect", "--raw", reference)
    new = ""
    for at in range(1, 60):
        restore()
        code = killed_at(at, manner, "apply", reference, "--from", wanted, *options)
        found = run("skopeo", "inspect", "--raw", reference)
        if code == 0:
            assert found not in ("", old)
            break
        assert code == -signal.SIGKILL
        hpc3_ok("apply", reference, "--from", wanted, *options)
        new = run("skopeo", "inspect", "--raw", reference)
        assert found in (old, new), f"killed at {at}"
        copied = tmp_path / f"copied{at}"
        run("skopeo", "copy", "-q", reference, f"oci:{copied}")  # every layer is still there
        folder = place if place.is_dir() else place.parent
        leftovers = [path.name for path in folder.iterdir() if path.name.startswith(".hpc3")]
        assert not leftovers or found == new  # the next run that writes removes them
    else:
        pytest.fail("the run never came to its end")
    assert at > 3, "nothing was killed"


@pytest.mark.parametrize("blocks", range(8))
def test_the_end_mark_may_lie_anywhere_in_a_page(archive: Path, tmp_path: Path, blocks: int) -> None:
    """Archives of every length modulo a page take new members, read by tar and skopeo."""
    from hpc3.oci.tar_members import append_members, read_members

    with archive.open("r+b") as stream:
        append_members(stream.fileno(), read_members(archive).end, [("padding", b"x" * 512 * blocks or b"x")])
    hpc3_ok("apply", f"oci-archive:{archive}:v1", "--from", wanted_as(tmp_path / "wanted.json", "new"))
    manifest = json.loads(run("skopeo", "inspect", "--raw", f"oci-archive:{archive}:v1"))
    assert manifest["annotations"]["org.opencontainers.image.title"] == "new"
    run("tar", "-tf", archive)


@pytest.mark.registry
def test_a_killed_run_leaves_a_registry_whole(tmp_path: Path, tiny: Path) -> None:
    with serve_registry(tmp_path) as registry:
        registry.push(tiny, "app:1")
        old = registry.raw("app:1")
        wanted = wanted_as(tmp_path / "wanted.json", "new")
        for delay in range(12):
            kill_after(registry, wanted, 0.05 + 0.02 * delay)
            found = registry.raw("app:1")
            assert found == old or found["annotations"]["org.opencontainers.image.title"] == "new"
            assert found["layers"] == old["layers"]
        hpc3_ok("apply", registry.ref("app:1"), "--from", wanted)
        assert registry.raw("app:1")["annotations"]["org.opencontainers.image.title"] == "new"


def kill_after(registry: Registry, wanted: Path, seconds: float) -> None:
    command = [sys.executable, "-m", "hpc3.cli", "apply", registry.ref("app:1"), "--from", str(wanted)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_two_writers_take_turns(layout: Path, archive: Path, tmp_path: Path) -> None:
    """Ten processes write ten names at once; none is lost, nothing is broken."""
    wanted = wanted_as(tmp_path / "wanted.json", "new")
    for reference in (f"oci:{layout}", f"oci-archive:{archive}"):
        named = reference if reference.startswith("oci:") else f"{reference}:v1"
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "hpc3.cli", "apply", named, "--from", str(wanted), "--tag", f"t{i}"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for i in range(6)
        ]
        errors = [process.communicate()[1].decode() for process in processes]
        done = [process.returncode for process in processes]
        if reference.startswith("oci:"):
            # The unnamed image is ambiguous once a name was added: those that came late say so and write nothing.
            assert set(done) <= {0, 2}
            assert 0 in done
        else:
            assert done == [0] * 6, errors
        for i, code in enumerate(done):
            if code == 0:
                assert json.loads(run("skopeo", "inspect", "--raw", f"{reference}:t{i}"))["annotations"]
