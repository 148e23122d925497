"""What a site asks of a recipe: its own base image, mirrors, credentials, and the lock made in the build."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import peers
from images.engines import DEBIAN, Engines

pytestmark = [pytest.mark.images, pytest.mark.spack]

ENVIRONMENT = peers.REPOSITORY / "tests" / "data" / "spack" / "v1.1.0" / "mpi-hello"
SITE_BASE = "localhost/site-base"
IMAGE = "localhost/site-mpi-hello"
SECRET = "not-for-any-layer-7d1f"

BASE_WITH_CLINGO = f"""\
FROM {DEBIAN}
RUN apt-get -yqq update && apt-get -yqq install --no-install-recommends python3
COPY wheels /wheels
RUN for wheel in /wheels/*.whl; do python3 -m zipfile -e $wheel /usr/lib/python3/dist-packages; done
RUN python3 -c 'import clingo'
"""


@pytest.fixture(scope="module")
def site_base(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a base image whose name tells nothing: Debian with clingo, so that Spack need not fetch that."""
    folder = tmp_path_factory.mktemp("base")
    command = [sys.executable, "-m", "pip", "download", "-q", "--python-version", "3.11", "--only-binary=:all:",
               "-d", str(folder / "wheels"), "clingo"]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"pip cannot download clingo: {result.stderr.strip().splitlines()[-1]}")
    (folder / "Dockerfile").write_text(BASE_WITH_CLINGO)
    engines.build(folder, SITE_BASE)
    return SITE_BASE


@dataclass(frozen=True)
class Built:
    """An image and what its build said."""

    engines: Engines
    log: str

    def run(self, *command: str) -> str:
        return self.engines.run(IMAGE, *command)


@pytest.fixture(scope="module")
def built(engines: Engines, site_base: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return an image that was concretized in its build, from a site's mirrors."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ENVIRONMENT, folder, dirs_exist_ok=True)
    write_site_manifest(folder / "spack.yaml", site_base)
    (folder / "secret").write_text(SECRET)
    command = [sys.executable, "-m", "hpc3.cli", "containerize", "--concretize-in-build", str(folder)]
    recipe = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # The step that has the credential proves it without telling it: its checksum goes to the log.
    view = " && ${spack} env view enable"
    assert view in recipe
    (folder / "Dockerfile").write_text(recipe.replace(view, f' && printf %s "$SITE_SECRET" | sha256sum \\\n{view}'))
    spack = peers.git_clone("https://github.com/spack/spack.git", "v1.1.0", "spack-v1.1.0")
    packages = peers.git_clone("https://github.com/spack/spack-packages.git", "v2025.11.0", "spack-packages-v2025.11.0")
    cache = peers.cache_folder()
    result = engines.build(
        folder, IMAGE,
        "--volume", f"{cache}:{cache}:ro",
        "--secret", f"id=SITE_SECRET,src={folder / 'secret'}",
        "--build-arg", f"SPACK_URL=file://{spack}",
        "--build-arg", f"SPACK_PACKAGES_URL=file://{packages}",
        "--build-arg", "SPACK_PACKAGES_REF=HEAD",
        "--build-arg", "SPACK_MIRROR=file:///srv/sources",
        "--build-arg", "OS_PACKAGE_MIRROR=http://deb.debian.org/debian",
    )  # fmt: skip
    return Built(engines, result.stdout + result.stderr)


def write_site_manifest(path: Path, base: str) -> None:
    manifest = yaml.safe_load(path.read_text())
    manifest["spack"]["container"]["images"] = {"build": base, "final": base}
    manifest["spack"]["mirrors"] = {
        "site": {
            "url": "file:///nowhere",
            "signed": False,
            "access_pair": {"id": "us", "secret_variable": "SITE_SECRET"},
        }
    }
    path.write_text(yaml.safe_dump(manifest))


def test_program_runs(built: Built) -> None:
    assert built.run("mpi-hello").startswith("hello from 0 of 1")


def test_lock_of_the_build_is_kept_and_has_the_target(built: Built) -> None:
    lock = json.loads(built.run("cat", "/opt/spack-environment/spack.lock"))
    targets = {node["arch"]["target"] for node in lock["concrete_specs"].values()}
    assert targets == {"x86_64_v3"}


def test_only_what_holds_by_construction_is_labelled(built: Built) -> None:
    labels = json.loads(built.engines.podman("inspect", IMAGE).stdout)[0]["Config"]["Labels"]
    ours = {key.rpartition("org.supercontainers.")[2] for key in labels if key.startswith("org.supercontainers.")}
    assert ours == {
        "hardware.cpu.optimized.mode",
        "hardware.cpu.optimized.version",
        "schema.version",
        "software.name",
        "userland.entrypoint",
    }


def test_credential_is_seen_by_the_step_and_by_nothing_else(built: Built) -> None:
    assert hashlib.sha256(SECRET.encode()).hexdigest() in built.log
    assert SECRET not in built.log
    found = subprocess.run(
        ["grep", "-rlF", SECRET, str(built.engines.storage / "root")], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""
    assert SECRET not in built.engines.podman("inspect", IMAGE).stdout


def test_mirror_of_os_packages_leaves_no_trace(built: Built) -> None:
    assert "os-package-mirror" not in built.run(
        "sh", "-c", "cat /etc/apt/sources.list; ls /etc/apt/sources.list.d /tmp"
    )
