"""A file that is too large for one argument of a shell is written by several RUN."""

from __future__ import annotations

import hashlib

from hpc3.recipe.dockerfile import render_dockerfile
from hpc3.recipe.plan import Argument, Plan, Stage, Write

#: MAX_ARG_STRLEN of Linux: RUN's text is one argument of "sh -c".
LIMIT = 131072


def runs_of(content: bytes) -> list[str]:
    plan = Plan(
        header=(),
        arguments=(Argument("FINAL_IMAGE", "debian:12", "Final"),),
        stages=(Stage("final", "FINAL_IMAGE", (Write("File", "/usr/share/file", content, packed=True),)),),
        environment=(),
        labels={},
    )
    return render_dockerfile(plan).partition("# File\n")[2].partition("\n\n")[0].split("RUN ")[1:]


def test_a_small_file_is_one_run() -> None:
    assert len(runs_of(b"small")) == 1


def test_no_run_is_longer_than_a_shell_takes() -> None:
    noise = b"".join(hashlib.sha256(str(place).encode()).digest() for place in range(10_000))
    runs = runs_of(noise)
    assert len(runs) > 4
    assert max(len(text.encode()) for text in runs) < LIMIT
    assert sum(len(text) for text in runs) > len(noise) * 4 / 3
