"""What others copy into their repositories: the pre-commit hook, and the jobs for GitHub and GitLab."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import hpc3
import peers

FILES = peers.REPOSITORY / "docs" / "ci"
GITHUB, GITLAB, PRE_COMMIT = (FILES / name for name in ("github.yml", "gitlab.yml", "pre-commit.yml"))
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

#: What GitHub's and GitLab's runners start the scripts with.
SHELLS = {GITHUB: ("bash", "-e", "-c"), GITLAB: ("sh", "-e", "-c")}


def run(*command: str, cwd: Path = peers.REPOSITORY, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, "PATH": PATH, **environment}, capture_output=True, text=True, check=False
    )


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    result = run("git", *identity, *arguments, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def make_repository(folder: Path) -> Path:
    """Make what a folder holds the first commit of a repository."""
    git(folder, "init", "-q")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "all")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return another project's repository: a recipe from Spack, and one from EasyBuild."""
    folder = tmp_path / "project"
    for recipe, name in (("gromacs-zen3", "gromacs"), ("pytorch-easybuild", "py torch")):
        shutil.copytree(peers.REPOSITORY / "recipes" / recipe, folder / name)
    return make_repository(folder)


def steps(path: Path) -> list[str]:
    """Return the commands of a job, in order."""
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    if path == GITLAB:
        return list(document["recipes"]["script"])
    return [step["run"] for step in document["jobs"]["check"]["steps"] if "run" in step]


def findings(path: Path, repository: Path) -> subprocess.CompletedProcess[str]:
    """Run a job in a repository, with this hpc3 instead of the one from the package index."""
    install, check = steps(path)
    assert install == f"pip install hpc3=={hpc3.__version__}"
    return run(*SHELLS[path], check, cwd=repository)


@pytest.mark.parametrize(
    ("schema", "path"), [("github-workflows", GITHUB), ("gitlab-ci", GITLAB)], ids=lambda value: Path(value).stem
)
def test_job_follows_the_schema(schema: str, path: Path) -> None:
    peers.need_program("check-jsonschema")
    result = run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", str(path))
    assert result.returncode == 0, result.stdout


def test_actions_are_pinned() -> None:
    uses = re.findall(r"uses: (.*)", GITHUB.read_text("utf-8"))
    assert uses
    assert all(re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40} # v[0-9.]+", action) for action in uses)


@pytest.mark.parametrize("path", [GITHUB, GITLAB], ids=lambda path: path.stem)
def test_job_finds_a_stale_recipe(path: Path, repository: Path) -> None:
    fresh = findings(path, repository)
    assert (fresh.returncode, fresh.stdout) == (0, "")
    for recipe, source in (("gromacs", "spack.yaml"), ("py torch", "README.md")):
        input_ = repository / recipe / source
        text = input_.read_text("utf-8")
        input_.write_text(text.replace("GROMACS", "Gromacs").replace("NVIDIA", "Nvidia"), "utf-8")
        stale = findings(path, repository)
        assert stale.returncode != 0
        assert f"--- {recipe}/Dockerfile" in stale.stdout
        input_.write_text(text, "utf-8")


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """Return this checkout, as it is now, as a repository of pre-commit hooks."""
    folder = tmp_path / "hpc3"
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    for name in filter(None, listed.split("\0")):
        if (peers.REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(peers.REPOSITORY / name, folder / name)
    return make_repository(folder)


def test_pre_commit_hook_stops_a_stale_recipe(hooks: Path, repository: Path, tmp_path: Path) -> None:
    peers.need_program("pre-commit")
    home = {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    text = PRE_COMMIT.read_text("utf-8")
    assert f"rev: v{hpc3.__version__}\n" in text
    text = re.sub(r"repo: \S+", f"repo: {hooks}", text)
    text = re.sub(r"rev: \S+", f"rev: {git(hooks, 'rev-parse', 'HEAD')}", text)
    (repository / ".pre-commit-config.yaml").write_text(text, "utf-8")
    git(repository, "add", "--all")
    fresh = run("pre-commit", "run", "--all-files", cwd=repository, **home)
    assert fresh.returncode == 0, fresh.stdout + fresh.stderr
    (repository / "gromacs" / "README.md").write_text("# Another\n", "utf-8")
    git(repository, "add", "--all")
    stale = run("pre-commit", "run", cwd=repository, **home)
    assert stale.returncode == 1, stale.stdout + stale.stderr
    assert "--- gromacs/Dockerfile" in stale.stdout


def test_hook_and_its_example_are_valid() -> None:
    peers.need_program("pre-commit")
    for command, path in (("validate-manifest", peers.REPOSITORY / ".pre-commit-hooks.yaml"),
                          ("validate-config", PRE_COMMIT)):  # fmt: skip
        result = run("pre-commit", command, str(path))
        assert result.returncode == 0, result.stdout
