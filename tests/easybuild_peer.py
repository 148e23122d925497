"""A real EasyBuild: kept in the user's cache, run in a folder of the test's own with the toy MPI chain."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import peers

HERE = Path(__file__).parent / "easybuild"
HOOKS = peers.REPOSITORY / "easybuild_hooks" / "hpc3_easybuild" / "hooks.py"
#: The folders of our packages that EasyBuild's Python is shown.
PACKAGES = (peers.REPOSITORY / "easybuild_hooks", peers.REPOSITORY / "shared")
LMOD = Path("/usr/share/lmod/lmod")

#: What the easyconfigs of the chain wrap: SystemCompiler and SystemMPI refuse any other version.
WRAPPED = {"gcc": "12.2.0", "ompi_info": "4.1.4"}


@dataclass(frozen=True)
class EasyBuild:
    """One release of EasyBuild, and the folder of a test in which it installs.

    Attributes:
        version: its release.
        home: its virtual environment.
        folder: where it runs, installs and writes.
    """

    version: str
    home: Path
    folder: Path

    @property
    def output(self) -> Path:
        """The folder that the hooks write, by default."""
        return self.folder / "hpc3"

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment that holds nothing of the test run's own."""
        return {
            "PATH": f"{self.home}/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "EB_PYTHON": str(self.home / "bin" / "python3"),
            "LMOD_CMD": str(LMOD / "libexec" / "lmod"),
            "EASYBUILD_ALLOW_USE_AS_ROOT_AND_ACCEPT_CONSEQUENCES": "1",
            "EASYBUILD_PREFIX": str(self.folder / "easybuild"),
            "EASYBUILD_ROBOT_PATHS": f"{HERE / 'easyconfigs'}:",
            # EasyBuild writes into the first of them: what it tries to download.
            "EASYBUILD_SOURCEPATH": f"{self.folder / 'downloads'}:{HERE / 'sources'}",
            **more,
        }

    def eb(
        self, *arguments: str, hooks: Path | None = HOOKS, check: bool = True, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``eb`` with our hooks."""
        command = [str(self.home / "bin" / "eb"), *arguments, *([f"--hooks={hooks}"] if hooks else [])]
        return self._run(command, check=check, env=env)

    def hpc3(
        self, *arguments: str, check: bool = True, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``hpc3`` of this checkout, with ``eb`` on PATH."""
        return self._run([sys.executable, "-m", "hpc3.cli", *arguments], check=check, env=env)

    def _run(
        self, command: list[str], *, check: bool, env: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        environment = self.environment(**(env or {}))
        result = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if check and result.returncode != 0:
            pytest.fail(f"{' '.join(command)}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}")
        return result

    def record(self, name: str) -> dict[str, Any]:
        """Return the record of a requested easyconfig."""
        document: dict[str, Any] = json.loads((self.output / name / "record.json").read_text("utf-8"))
        return document

    def annotations(self, name: str) -> dict[str, str]:
        """Return the annotations of a requested easyconfig, without our prefix."""
        document = json.loads((self.output / name / "annotations.json").read_text("utf-8"))
        return {key.replace("org.supercontainers.", ""): value for key, value in document.items()}

    def easyconfig(self, name: str, text: str) -> Path:
        """Write an easyconfig of the test's own."""
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path


def easybuild_home(version: str) -> Path:
    """Return the virtual environment of a release, made once, or skip the test with the reason."""
    if not (LMOD / "libexec" / "lmod").exists():
        pytest.skip("Lmod is not installed")
    home = peers.cache_folder() / f"easybuild-{version}"
    if not home.exists():
        partial = home.with_name(f".{home.name}.{os.getpid()}")
        install = ["install", "--quiet", f"easybuild=={version}", "archspec", "pyyaml"]
        for command in ([sys.executable, "-m", "venv", str(partial)], [str(partial / "bin" / "pip"), *install]):
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                shutil.rmtree(partial, ignore_errors=True)
                pytest.skip(f"EasyBuild {version} cannot be installed: {result.stderr.strip().splitlines()[-1:]}")
        # pip wrote the folder's name into the scripts' first lines; EasyBuild's own script is told by EB_PYTHON.
        partial.rename(home)
    peers.ran(f"EasyBuild {version}")
    return home


def path_with_entry_point(folder: Path) -> str:
    """Return a PYTHONPATH by which EasyBuild finds this checkout's entry point, as if it were installed."""
    metadata = folder / "site-packages" / "hpc3-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: hpc3\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text("[easybuild.hooks]\nhpc3 = hpc3_easybuild.entrypoint\n")
    return os.pathsep.join(map(str, (metadata.parent, *PACKAGES)))


def need_wrapped_software() -> None:
    """Skip the test where the system has another compiler or MPI than the chain's easyconfigs wrap."""
    for program, version in WRAPPED.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        flag = "-dumpfullversion" if program == "gcc" else "--version"
        said = subprocess.run([program, flag], capture_output=True, text=True, check=False).stdout
        if version not in said:
            pytest.skip(f"{program} is not {version}, which the easyconfigs of the tests wrap")
