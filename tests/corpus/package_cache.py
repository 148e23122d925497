"""Debian packages and PyPI wheels, fetched once into the user's cache and unpacked there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest


def cache_folder() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    folder = root / "hpc3-tests" / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch_debian(package: str, architecture: str = "") -> Path:
    """Return the folder with a Debian package of this system's release, unpacked; of another architecture if asked."""
    target = cache_folder() / f"deb-{package}{'-' if architecture else ''}{architecture}"
    if target.is_dir():
        return target
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip("apt-get and dpkg-deb are not here")
    options = _lists_of(architecture) if architecture else []
    staging = cache_folder() / f".{package}.{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    done = subprocess.run(["apt-get", *options, "download", package], cwd=staging, capture_output=True, text=True)
    archives = list(staging.glob("*.deb"))
    if done.returncode or not archives:
        shutil.rmtree(staging, ignore_errors=True)
        pytest.skip(f"Debian's {package} cannot be fetched: {done.stderr.strip().splitlines()[-1:]}")
    subprocess.run(["dpkg-deb", "-x", archives[0], staging / "root"], check=True)
    (staging / "root" / "VERSION").write_text(archives[0].name.split("_")[1])
    (staging / "root").rename(target)
    shutil.rmtree(staging, ignore_errors=True)
    return target


@cache
def _lists_of(architecture: str) -> list[str]:
    """Return apt's options for another architecture, with package lists of its own: this system stays as it is."""
    folder = cache_folder() / f"apt-{architecture}"
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": folder / "cache",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    # a source that does not have the architecture fails, and the others are there
    subprocess.run(["apt-get", *options, "-qq", "update"], capture_output=True)
    return options


def fetch_wheel(requirement: str) -> Path:
    """Return the folder with a wheel from PyPI, unpacked."""
    target = cache_folder() / f"whl-{requirement.replace('==', '-')}"
    if target.is_dir():
        return target
    staging = cache_folder() / f".{requirement}.{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--dest"]
    done = subprocess.run([*command, staging, requirement], capture_output=True, text=True)
    wheels = list(staging.glob("*.whl")) if staging.is_dir() else []
    if done.returncode or not wheels:
        shutil.rmtree(staging, ignore_errors=True)
        pytest.skip(f"PyPI's {requirement} cannot be fetched: {done.stderr.strip().splitlines()[-1:]}")
    shutil.unpack_archive(wheels[0], staging / "root", "zip")
    (staging / "root").rename(target)
    shutil.rmtree(staging, ignore_errors=True)
    return target
