"""Every command of ``docs/easybuild.md`` does what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import peers
from easybuild_peer import EasyBuild, path_with_entry_point

pytestmark = pytest.mark.easybuild

PAGE = (peers.REPOSITORY / "docs" / "easybuild.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]

#: Not run here: they install hpc3 from a package index, and build an image (tests/images does).
ELSEWHERE = ("pip install hpc3", "buildah build -t toy hpc3/toy-1.0")


@pytest.fixture
def command_folder(tmp_path: Path) -> Path:
    """Return a folder with the command ``hpc3`` of this checkout."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "hpc3"
    command.write_text(f'#!/bin/sh\nexec env PYTHONPATH= "{sys.executable}" -m hpc3.cli "$@"\n')
    command.chmod(0o755)
    return folder


def test_page_has_commands() -> None:
    assert len(COMMANDS) >= 10
    assert set(ELSEWHERE) <= set(COMMANDS)


def test_commands_work_one_after_the_other(easybuild: EasyBuild, command_folder: Path) -> None:
    environment = easybuild.environment()
    environment["PATH"] = f"{command_folder}:{environment['PATH']}"
    environment["PYTHONPATH"] = path_with_entry_point(easybuild.folder)
    commands = [command for command in COMMANDS if command not in ELSEWHERE]
    if easybuild.version.startswith("4."):
        commands = [command for command in commands if "--use-entrypoints" not in command]
    script = "set -e\n" + "\n".join(commands)
    result = subprocess.run(
        ["bash", "-c", script], cwd=easybuild.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert f"== hpc3: toy/1.0 (installed): {easybuild.output / 'toy-1.0'}" in result.stdout
    assert "WARNING: hpc3" not in result.stdout + result.stderr
