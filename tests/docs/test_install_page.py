"""Every command of ``docs/install.md`` works, in its order, in a copy of the repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import peers
from docs.loopback import blocks
from hpc3 import __version__


def test_the_page_works(tmp_path: Path) -> None:
    peers.need_program("man")
    for name in peers.tracked_files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(peers.REPOSITORY / name, tmp_path / name)
    printed = ""
    for block in blocks("install.md"):
        done = subprocess.run(["bash", "-euc", block], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        printed += done.stdout
    assert printed == f"hpc3 {__version__}\n"
    assert "containerize" in (tmp_path / "manual.txt").read_text("utf-8")
    assert (tmp_path / "here.json").is_file()
