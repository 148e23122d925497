"""The demonstration: its story is told to the end and leaves nothing; its page tells the same story."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from demonstration import PEERS, missing_packages
from stage import essential
from story import BASE_FROM_DEBIAN, STEPS, Step

RUN = peers.REPOSITORY / "demo" / "run"
PAGE = peers.REPOSITORY / "docs" / "demonstration.md"


def demonstration(folder: Path, *arguments: str, path: str = "") -> subprocess.Popen[str]:
    """Start it with its temporary folder below this one."""
    environment = {**os.environ, "TMPDIR": str(folder), "PATH": path or os.environ["PATH"]}
    return subprocess.Popen(
        [str(RUN), *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def need_all_peers() -> None:
    if os.geteuid() != 0:
        pytest.skip("the demonstration needs root")
    if missing := missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    for program in ("buildah", "podman", "docker-registry"):
        peers.need_program(program)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: podman's run root has at most 50 characters."""
    path = Path("/tmp") / f"hpc3-{os.getpid()}"
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.mark.images
@pytest.mark.registry
@pytest.mark.easybuild
def test_the_story_is_told_to_the_end(folder: Path) -> None:
    need_all_peers()
    said, complaint = demonstration(folder).communicate()
    assert complaint == ""
    for step in STEPS:
        assert step.title in said
    assert "0 errors, 0 warnings" in told(said, "Ask the binaries")
    assert "contradicts" not in told(said, "Is it true?")
    assert "was built from another recipe" in told(said, "A wrong label")
    assert "avx512f in relax" in told(said, "The lie is caught")
    assert "verdict: FAILS" in told(said, "Does it run there?")
    assert re.search(r"1  degraded +heat 1\.0 +x86_64_v3", told(said, "Which one there?"))
    assert re.search(r"heat: 2 ranks, built for AVX(2|-512), the middle of the plate is at 0\.24", told(said, "Run it"))
    assert list(folder.iterdir()) == []


@pytest.mark.registry
def test_nothing_is_left_where_it_is_ended(folder: Path) -> None:
    need_all_peers()
    process = demonstration(folder)
    while not list(folder.glob("*/registry.log")):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 130
    assert list(folder.iterdir()) == []


def test_what_is_missing_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the demonstration needs root")
    (tmp_path / "bin").mkdir()
    programs = {"bash": shutil.which("bash"), "dirname": shutil.which("dirname"), "python3": sys.executable}
    for name, program in programs.items():
        (tmp_path / "bin" / name).symlink_to(str(program))
    _, said = demonstration(tmp_path, path=str(tmp_path / "bin")).communicate()
    assert "--install" in said
    install = said.splitlines()[-1]
    assert install.startswith("apt-get update && apt-get install --yes")
    assert {name for need, name in PEERS.items() if not need.startswith("/")} <= set(install.split())


def test_what_is_left_out_is_marked() -> None:
    lines = ["before", "agrees: a", "between", "between", "agrees: b", "agrees: c", "after"]
    assert essential(lines, "^agrees") == ["agrees: a", "…", "agrees: b", "agrees: c"]


def told(said: str, title: str) -> str:
    """Return what was printed below a title."""
    return said.split(f"{title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("step", [BASE_FROM_DEBIAN, *STEPS], ids=lambda step: step.title)
def test_the_page_tells_the_same_story(step: Step) -> None:
    assert f"{step.title}\n\n{step.says}\n\n```sh\n{step.command}\n```\n" in PAGE.read_text("utf-8")


def test_the_page_has_no_other_step() -> None:
    titles = re.findall(r"^## \d+\. (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert titles == [step.title for step in (BASE_FROM_DEBIAN, *STEPS)]


def test_commands_are_typed_in_lines_that_a_terminal_holds() -> None:
    for step in STEPS:
        assert all(len(line) <= 120 for line in step.command.splitlines()), step.title
