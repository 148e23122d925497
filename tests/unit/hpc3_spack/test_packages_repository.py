"""The packages repository as others can clone it, on real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hpc3.request import GitSource
from hpc3_spack.packages_repository import public_url, repository_at


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q")
    (origin / "package.py").write_text("a")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "a")
    git(tmp_path, "clone", "-q", str(origin), "clone")
    git(tmp_path / "clone", "remote", "set-url", "origin", "https://me:secret@example.org/packages.git")
    return tmp_path / "clone"


def test_a_clean_clone_of_a_published_commit(clone: Path) -> None:
    found = repository_at(clone)
    assert found.source == GitSource("https://example.org/packages.git", git(clone, "rev-parse", "HEAD"))
    assert found.warning == ""


def test_a_detached_tag_in_a_shallow_clone(clone: Path, tmp_path: Path) -> None:
    git(tmp_path / "origin", "tag", "v1")
    url = (tmp_path / "origin").as_uri()
    git(tmp_path, "-c", "advice.detachedHead=false", "clone", "-q", "--depth", "1", "-b", "v1", url, "shallow")
    found = repository_at(tmp_path / "shallow")
    assert found.source == GitSource("", git(clone, "rev-parse", "HEAD"))


def test_local_changes_are_not_what_others_clone(clone: Path) -> None:
    (clone / "package.py").write_text("b")
    assert repository_at(clone).source == GitSource()
    assert "were changed" in repository_at(clone).warning


def test_a_commit_that_is_not_published(clone: Path) -> None:
    (clone / "package.py").write_text("b")
    git(clone, "commit", "-qam", "b")
    assert repository_at(clone).source == GitSource()
    assert "in no branch of its origin" in repository_at(clone).warning


def test_no_git_at_all(tmp_path: Path) -> None:
    assert "not in git" in repository_at(tmp_path).warning


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://github.com/spack/spack-packages.git", "https://github.com/spack/spack-packages.git"),
        ("https://user:token@github.com/o/r.git?x=1", "https://github.com/o/r.git"),
        ("https://git.example.org:8443/r.git", "https://git.example.org:8443/r.git"),
        ("git@github.com:spack/spack-packages.git", "https://github.com/spack/spack-packages.git"),
        ("ssh://git@github.com/spack/spack-packages.git", "https://github.com/spack/spack-packages.git"),
        ("/home/me/packages", ""),
        ("file:///home/me/packages", ""),
        ("", ""),
    ],
)
def test_public_url(url: str, public: str) -> None:
    assert public_url(url) == public
