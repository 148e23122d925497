"""Every command of ``docs/tutorial.md`` works, in its order, and shows what the page says of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import peers
from docs.loopback import blocks, loopback

pytestmark = [pytest.mark.images, pytest.mark.registry]

#: What each block must print, in the order of the page.
SHOWN = (
    ('"org.supercontainers.hardware.cpu.optimized.version": "zen3"', "not stated: org.opencontainers.image.base"),
    ("0 errors, 0 warnings, 0 notes", "accepted"),
    ("exit code 1", "changed/Dockerfile is not up to date"),
    ("Successfully tagged localhost/gromacs:zen3",),
    ("+org.supercontainers.mpi.implementation=openmpi", "+application/vnd.cyclonedx+json"),
    ("exit code 3", "was built from another recipe"),
    ("software.name = gromacs  [annotation]", "0 errors", "contradicts org.supercontainers.mpi.implementation"),
    ("host   here", "verdict: "),
    ("FAILS", "avx2", "exit code 20"),
    ("podman run", "apptainer exec"),
)


def test_the_page_works(tmp_path: Path) -> None:
    commands = blocks("tutorial.md")
    assert len(commands) == len(SHOWN)
    with loopback(tmp_path) as here:
        shutil.copytree(peers.REPOSITORY / "recipes", here.folder / "recipes")
        for block, shown in zip(commands, SHOWN):
            printed = here.run(block)
            assert [text for text in shown if text not in printed] == [], f"{block}\n{printed}"
