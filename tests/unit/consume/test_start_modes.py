"""What starts of an image are held against, with an engine that runs this system's shell."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pytest

from hpc3.consume.container_engines import Run, Start
from hpc3.consume.start_modes import check_start_modes
from hpc3.consume.subject import Subject

PATH = "/opt/app/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Shell:
    """An engine of an image whose entrypoint is a shell script, and whose folder of programs is this system's."""

    entrypoint: str
    profile: str = ""
    image: str = "image"

    def start(self, start: Start) -> Run:
        argv = list(start.arguments) or ["sh"]
        if argv[:2] == ["sh", "-lc"]:
            argv[1:] = ["-c", f"{self.profile}\n{argv[2]}"]
        if not start.bypass:
            argv = ["sh", "-c", self.entrypoint, "entrypoint", *argv]
        done = subprocess.run(argv, input=start.stdin, capture_output=True, text=True, env={"PATH": PATH}, check=False)
        return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("entrypoint", "profile", "expected"),
    [
        ('exec "$@"', "", set()),
        ('echo "Welcome: a/b:c"; exec "$@"', "", set()),
        ('echo "Welcome"; "$@"; echo "Goodbye:/x"', "echo 'profile:/y'", {"HPC602"}),
        ('echo "$@"; exec "$@"', "", set()),
        ('PATH=/opt/more/bin:$PATH; echo hello; exec "$@"', "", {"HPC604"}),
        ('exec "$@"', "PATH=/usr/bin; echo hello", {"HPC603"}),
        ("echo nothing else", "", {"HPC602", "HPC606"}),
    ],
)
def test_what_an_entrypoint_prints_is_no_path(entrypoint: str, profile: str, expected: set[str]) -> None:
    subject = Subject("image", config={"Env": [f"PATH={PATH}"]})
    assert {f.code for f in check_start_modes(Shell(entrypoint, profile), subject)} == expected
