"""The packages repository that Spack uses here, as somebody else can clone it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from hpc3.request import GitSource

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SCP_FORM = re.compile(r"(?:[\w.-]+@)?([\w.-]+\.[\w.-]+):(?!//)(.+)")

_INSTEAD = "the recipe takes the release that goes with this Spack instead"


@dataclass(frozen=True)
class PackagesRepository:
    """A clone's origin and commit, empty where an image cannot be built from it, and then why.

    Attributes:
        source: what to clone.
        warning: one line for a person; empty when all is well.
    """

    source: GitSource = field(default_factory=GitSource)
    warning: str = ""


def repository_at(folder: Path) -> PackagesRepository:
    """Return the packages repository that a folder lies in."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not _COMMIT.fullmatch(commit):
        return PackagesRepository(
            warning=f"the packages at {folder} are not in git: the recipe takes a release of them"
        )
    if _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "."):
        return PackagesRepository(warning=f"the packages at {folder} were changed: {_INSTEAD}")
    published = _git(folder, "for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes", "refs/tags")
    if not published:
        return PackagesRepository(
            warning=f"commit {commit[:12]} of the packages at {folder} is in no branch of its origin: {_INSTEAD}"
        )
    # Not "git remote get-url": that gives what url.<base>.insteadOf makes of it on this host alone.
    return PackagesRepository(GitSource(public_url(_git(folder, "config", "--get", "remote.origin.url")), commit))


def public_url(url: str) -> str:
    """Return a remote's URL as anybody can clone it, without credentials; empty for a path of this host."""
    scp = _SCP_FORM.fullmatch(url)
    if scp and "://" not in url:
        return f"https://{scp.group(1)}/{scp.group(2)}"
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http", "ssh", "git") or not parts.hostname:
        return ""
    if parts.scheme == "ssh":
        return f"https://{parts.hostname}{parts.path}"
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints, empty where it fails: no git, no repository, no such setting."""
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
