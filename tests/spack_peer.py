"""A real Spack for tests and benchmarks: cloned into the user's cache, with a home and a Python of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import peers

SPACK_URL = "https://github.com/spack/spack.git"
PACKAGES_URL = "https://github.com/spack/spack-packages.git"

#: The packages for every Spack since 1.0; older ones bring their own.
PACKAGES_TAG = "v2025.11.0"

#: Versions of Spack that are tested: those of ``HPC3_SPACK_VERSIONS``, else these.
VERSIONS = tuple(os.environ.get("HPC3_SPACK_VERSIONS", "0.23.1 1.1.0").split())

#: The folder that ``config:extensions`` can name.
EXTENSION = peers.REPOSITORY / "spack_ext" / "hpc3_spack" / "spack-hpc3"


#: The largest committed environment of Spack 1.x (True) and 0.x.
LARGEST = {True: "recipes/gromacs-zen3", False: "tests/data/spack/v0.23.1/hdf5-nompi-v3"}


@dataclass(frozen=True)
class Spack:
    """One Spack with its own configuration.

    Attributes:
        version: its version, or ``develop``.
        folder: its clone.
        python: the interpreter that runs it.
        home: folder of its configuration, caches and installations.
    """

    version: str
    folder: Path
    python: Path
    home: Path

    @property
    def has_entry_points(self) -> bool:
        """Whether installed packages can extend it: from 0.22 on."""
        return not self.version.startswith("0.21")

    @property
    def has_packages_repository(self) -> bool:
        """Whether its packages are a repository of their own: from 1.0 on."""
        return not self.version.startswith("0.")

    def environ(self) -> dict[str, str]:
        """Return the environment of a command: nothing of the user's own Spack."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPACK_", "PYTHON"))}
        return {
            **kept,
            "SPACK_PYTHON": str(self.python),
            "SPACK_USER_CONFIG_PATH": str(self.home / "config"),
            "SPACK_USER_CACHE_PATH": str(self.home / "cache"),
            "SPACK_DISABLE_LOCAL_CONFIG": "",
            "NO_COLOR": "1",
        }

    def run(self, *arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run ``spack ARGUMENTS``."""
        environment = {**self.environ(), **environ}
        if "SPACK_USER_CONFIG_PATH" not in environ:
            # The variable's mere presence would hide the user's scope, where this configuration is.
            del environment["SPACK_DISABLE_LOCAL_CONFIG"]
        command = [str(self.folder / "bin" / "spack"), *arguments]
        return subprocess.run(
            command, cwd=cwd or self.home, env=environment, capture_output=True, text=True, check=False, timeout=900
        )

    def ask(self, script: str, *arguments: str, cwd: Path | None = None) -> object:
        """Run a Python script inside Spack and return the JSON that it prints as its last line."""
        path = self.home / f"script-{hashlib.sha256(script.encode()).hexdigest()[:8]}.py"
        path.write_text(script, "utf-8")
        result = self.run("python", str(path), *arguments, cwd=cwd)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])


def spack_in(home: Path, version: str, python: Path, *, extensions: tuple[Path, ...] = ()) -> Spack:
    """Return a Spack with a home; skips the test where it cannot be cloned."""
    ref = version if version == "develop" else f"v{version}"
    folder = peers.git_clone(SPACK_URL, ref, f"spack-{ref}")
    peers.ran(f"Spack {version}")
    spack = Spack(version, folder, python, home)
    config: dict[str, object] = {
        "install_tree": {"root": str(home / "store")},
        # An index of 8,000 packages takes a minute to make: it is kept with the clone.
        "misc_cache": str(peers.cache_folder() / f"spack-{ref}-misc"),
        "source_cache": str(home / "sources"),
    }
    if extensions:
        config["extensions"] = [str(path) for path in extensions]
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.yaml").write_text(json.dumps({"config": config}), "utf-8")
    if spack.has_packages_repository:
        packages = peers.git_clone(PACKAGES_URL, PACKAGES_TAG, f"spack-packages-{PACKAGES_TAG}")
        repositories = {"repos": {"builtin": str(packages / "repos" / "spack_repo" / "builtin")}}
        (home / "config" / "repos.yaml").write_text(json.dumps(repositories), "utf-8")
    return spack


def environment_copy(spack: Spack, name: str, folder: Path) -> Path:
    """Return a copy of an environment of the tests, of Spack 1.x or of 0.x as the Spack is."""
    version = "v1.1.0" if spack.has_packages_repository else "v0.23.1"
    return Path(shutil.copytree(peers.REPOSITORY / "tests" / "data" / "spack" / version / name, folder / name))


def python_with_hpc3() -> Path:
    """Return the interpreter of a virtual environment with this checkout and clingo, made once per pyproject.toml."""
    content = (peers.REPOSITORY / "pyproject.toml").read_bytes() + str(peers.REPOSITORY).encode()
    identity = hashlib.sha256(content + sys.version.encode()).hexdigest()[:12]
    return _virtual_environment(f"venv-hpc3-{identity}", "--editable", str(peers.REPOSITORY), "clingo")


def bare_python() -> Path:
    """Return the interpreter of a virtual environment that holds clingo alone."""
    identity = hashlib.sha256(sys.version.encode()).hexdigest()[:12]
    return _virtual_environment(f"venv-bare-{identity}", "clingo")


def _virtual_environment(name: str, *packages: str) -> Path:
    folder = peers.cache_folder() / name
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(pip, check=True, capture_output=True)
        (folder / "complete").touch()
    return folder / "bin" / "python"
