"""Every command of docs/spack.md, one after the other in one shell, on a fresh home, as a user runs them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import peers
import spack_peer

pytestmark = pytest.mark.spack

DOCUMENT = peers.REPOSITORY / "docs" / "spack.md"

#: Commands that need more than Spack, and the test that runs them.
RUN_ELSEWHERE = {"buildah bud -t gromacs .": "tests/images builds a smaller environment with it"}


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_every_command_of_the_document(tmp_path: Path) -> None:
    version = spack_peer.VERSIONS[-1] if spack_peer.VERSIONS[-1] != "0.21.3" else "1.1.0"
    spack = spack_peer.spack_in(tmp_path / "spack-home", version, Path(sys.executable))
    home = tmp_path / "home"
    shutil.copytree(peers.REPOSITORY / spack_peer.LARGEST[spack.has_packages_repository], home / "gromacs")
    (home / "spack").symlink_to(spack.folder)
    (home / "hpc3").symlink_to(peers.REPOSITORY)
    listed = commands()
    assert len(listed) >= 12
    script = ["set -e"]
    for command in listed:
        if command not in RUN_ELSEWHERE:
            # There is no released hpc3 to install yet: it is this one.
            runnable = (
                re.sub(r"\bhpc3$", shlex.quote(str(peers.REPOSITORY)), command) if "pip install" in command else command
            )
            script += [f"echo {shlex.quote('$ ' + command)} >&2", runnable]
    environ = {name: value for name, value in spack.environ().items() if name != "SPACK_DISABLE_LOCAL_CONFIG"}
    del environ["SPACK_PYTHON"]
    environ["PATH"] = f"{home}/spack-python/bin:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    result = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        env={**environ, "HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, f"{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
    assert "MISSING" not in result.stdout
    assert (home / "gromacs" / "Dockerfile").read_text("utf-8").startswith("# ")
    assert (home / "gromacs" / "gromacs.def").exists()
