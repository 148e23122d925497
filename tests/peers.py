"""The real peers of the tests: where they are kept, which ran, and what is said at the end of a run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
#: Material beside the checkout that is not part of the project; tests that use it skip where it is not there.
SHARED = REPOSITORY.parent / "shared"

_ran: set[str] = set()


def cache_folder() -> Path:
    """Return the folder in which peers are kept between runs, as any user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "hpc3-peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ran(peer: str) -> None:
    """Note that a real peer took part; the last line of the run names it."""
    _ran.add(peer)


def need_program(name: str, *version: str) -> str:
    """Return a program's version line, or skip the test with the reason."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    result = subprocess.run([name, *(version or ("--version",))], capture_output=True, text=True, check=False)
    line = (result.stdout or result.stderr).strip().splitlines()[0]
    ran(line)
    return line


def git_clone(url: str, ref: str, name: str) -> Path:
    """Return a shallow clone of a public repository in the cache, or skip the test with git's own words."""
    folder = cache_folder() / name
    if not folder.exists():
        partial = folder.with_name(f".{name}.{os.getpid()}")
        command = [
            "git",
            "-c",
            "advice.detachedHead=false",
            "clone",
            "-q",
            "--depth",
            "1",
            "-b",
            ref,
            url,
            str(partial),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            shutil.rmtree(partial, ignore_errors=True)
            pytest.skip(f"cannot clone {url}: {result.stderr.strip()}")
        partial.rename(folder)
    return folder


def tracked_files(*folders: str) -> list[str]:
    """Return what git tracks below the folders, or skip the test: a source archive is no checkout."""
    command = ["git", "ls-files", "-z", "--", *folders]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"not a git checkout: {result.stderr.strip()}")
    return [name for name in result.stdout.split("\0") if name]


def summary() -> str:
    """Return the line that says which real peers ran."""
    return f"real peers that ran: {', '.join(sorted(_ran)) or 'none'}"
