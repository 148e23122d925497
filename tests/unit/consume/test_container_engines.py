"""Engines that hang, flood or are not there: a shell stands in, since the real ones do so only with bad luck."""

from __future__ import annotations

import time

import pytest

from hpc3.consume.container_engines import Podman, Start
from hpc3.errors import StoreError


def test_of_a_flood_only_the_beginning_is_kept() -> None:
    flood = Podman(("sh", "-c", "head -c 64000000 /dev/zero; head -c 64000000 /dev/zero >&2"), "image")
    run = flood.start(Start(("true",)))
    assert (run.code, len(run.output), len(run.errors)) == (0, 1 << 20, 1 << 20)


def test_what_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpc3.consume.container_engines._SECONDS", 1)
    hanging = Podman(("sh", "-c", "sleep 4 & sleep 4"), "image")  # the first keeps the output open
    started = time.monotonic()
    with pytest.raises(StoreError, match="did not end within 1 seconds"):
        hanging.start(Start(("true",)))
    assert time.monotonic() - started < 3


def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(StoreError, match="no-such-engine does not start"):
        Podman(("no-such-engine",), "image").start(Start(("true",)))


def _failing(code: int, errors: str) -> Podman:
    return Podman(("sh", "-c", f"cat >&2 <<'END'\n{errors}\nEND\nexit {code}"), "image")


@pytest.mark.parametrize(
    ("code", "errors"),
    [
        (125, "Error: short-name resolution failed"),
        (126, "Error: crun: create keyring `1`: Disk quota exceeded: OCI runtime error"),
        (126, "Error: OCI runtime error: crun: mount `proc` to `proc`: Operation not permitted"),
        (126, "Error: runc: runc create failed: mkdir /sys/fs/cgroup/x: read-only file system: OCI permission denied"),
        (126, "Error: crun: chdir to newroot: Operation not permitted: OCI permission denied"),
        (127, "Error: crun: cannot open `/sys/fs/cgroup/x`: No such file or directory: OCI runtime error"),
    ],
)
def test_what_the_engine_cannot_do_is_not_the_images_fault(code: int, errors: str) -> None:
    with pytest.raises(StoreError, match="sh cannot start it: Error: "):
        _failing(code, errors).start(Start(("true",)))


@pytest.mark.parametrize(
    ("code", "errors"),
    [
        (127, "Error: crun: executable file `x` not found in $PATH: No such file or directory: OCI runtime attempted"),
        (126, "Error: crun: open executable: Permission denied: OCI permission denied"),
        (127, 'Error: runc: unable to start container process: exec: "x": executable file not found in $PATH'),
        (126, 'Error: runc: unable to start container process: exec: "/x": permission denied: OCI permission denied'),
        (126, "Error: crun: chdir: Permission denied: OCI permission denied"),
        (126, 'Error: runc: chdir to cwd ("/root") set in config.json failed: permission denied'),
        (127, "sh: 1: x: not found"),
        (1, "Error: crun: printed by the image"),
    ],
)
def test_what_the_image_lacks_is_not_the_engines_fault(code: int, errors: str) -> None:
    assert _failing(code, errors).start(Start(("true",))).code == code
