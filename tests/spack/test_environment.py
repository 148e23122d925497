"""The environment of an image against what ``spack env activate`` really prints once the software is installed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import peers
from spack_peer import Spack, environment_copy

pytestmark = pytest.mark.spack

VIEW = "/opt/views/view"

#: What an activation sets beside the software's environment, and what images leave out on purpose.
NOT_OF_THE_SOFTWARE = re.compile(r"SPACK_.*|MANPATH|PS1|despacktivate")


@pytest.fixture(params=["hdf5-nompi-v3", "osu-external-openmpi"])
def installed(request: pytest.FixtureRequest, spack: Spack, tmp_path: Path) -> Path:
    """Return an environment that was installed by Spack with empty prefixes: ``--fake`` builds nothing."""
    if request.param.startswith("osu") and not spack.has_packages_repository:
        pytest.skip("there is no such lock of Spack 0.x")
    folder = environment_copy(spack, request.param, tmp_path)
    result = spack.run("-e", str(folder), "install", "--fake", "--no-check-signature")
    if result.returncode != 0 and (spack.version not in ("0.23.1", "1.1.0") or "compiler" in result.stderr):
        pytest.skip(f"Spack {spack.version} cannot install this lock here: {result.stderr.strip().splitlines()[0]}")
    assert result.returncode == 0, result.stderr
    return folder


def externals(folder: Path) -> list[str]:
    """Return the options that say that the base image has the external MPI."""
    return ["--external", "openmpi="] if folder.name.startswith("osu") else []


def activated(spack: Spack, folder: Path) -> dict[str, str]:
    """Return the variables that an activation exports, with the image's path of the view."""
    result = spack.run("env", "activate", "--sh", "-d", str(folder))
    assert result.returncode == 0, result.stderr
    found = {}
    for statement in result.stdout.splitlines():
        name, equals, value = statement.partition("export ")[2].rstrip(";").partition("=")
        if equals and not NOT_OF_THE_SOFTWARE.fullmatch(name):
            found[name] = "".join(shlex.split(value)).replace(str(folder / ".spack-env" / "view"), VIEW)
    return found


def image_environment(folder: Path) -> dict[str, dict[str, str]]:
    document = json.loads((folder / "hpc3-metadata.json").read_text("utf-8"))
    (changes,) = document["environments"].values()
    return {change["name"]: change for change in changes}


def test_it_is_what_an_activation_gives(spack: Spack, installed: Path) -> None:
    real = activated(spack, installed)
    result = spack.run("-e", str(installed), "containerize", "--annotate", *externals(installed))
    assert result.returncode == 0, result.stderr
    ours = image_environment(installed)
    assert set(ours) == set(real)
    for name, change in ours.items():
        if change["action"] == "set":
            assert change["value"] == real[name], name
        else:
            entries = change["value"].split(change["separator"])
            # An external at /usr makes Spack add folders of the system, where all tools look anyway.
            found = [entry for entry in real[name].split(change["separator"]) if not entry.startswith("/usr/")]
            assert found[: len(entries)] == entries, name


def test_it_does_not_depend_on_what_is_installed_here(spack: Spack, installed: Path, tmp_path: Path) -> None:
    elsewhere = environment_copy(spack, installed.name, tmp_path / "elsewhere")
    other = Spack(spack.version, spack.folder, spack.python, tmp_path / "home")
    (tmp_path / "home").mkdir()
    config = json.loads((spack.home / "config" / "config.yaml").read_text("utf-8"))
    config["config"]["install_tree"]["root"] = str(tmp_path / "home" / "store")
    (tmp_path / "home" / "config").mkdir()
    (tmp_path / "home" / "config" / "config.yaml").write_text(json.dumps(config), "utf-8")
    for path in (spack.home / "config").glob("repos.yaml"):
        (tmp_path / "home" / "config" / "repos.yaml").write_bytes(path.read_bytes())
    for one, folder in ((spack, installed), (other, elsewhere)):
        result = one.run("-e", str(folder), "containerize", "--annotate", *externals(installed))
        assert result.returncode == 0, result.stderr
    assert image_environment(installed) == image_environment(elsewhere)


@pytest.mark.parametrize("name", ["multi-mpi-multi-target", "py-torch-cuda", "osu-rocm-gfx90a"])
def test_large_environments(spack: Spack, tmp_path: Path, name: str) -> None:
    lock = peers.SHARED / "data" / "spack" / "v1.1.0" / name / "spack.lock"
    if not spack.has_packages_repository:
        pytest.skip("there is no such lock of Spack 0.x")
    if not lock.exists():
        pytest.skip(f"the lock {name} is not beside the checkout")
    folder = tmp_path / name
    folder.mkdir()
    for file in ("spack.yaml", "spack.lock"):
        (folder / file).write_bytes((lock.parent / file).read_bytes())
    result = spack.run("-e", str(folder), "hpc3", "facts", "--root", root_with_mpi(folder))
    assert result.returncode == 0, result.stderr
    assert "must be installed here" not in result.stderr
    text = (folder / "hpc3-metadata.json").read_text("utf-8")
    for path in (spack.folder, spack.home, folder):
        assert str(path) not in text
    changes = [change for root in json.loads(text)["environments"].values() for change in root]
    names = {change["name"] for change in changes}
    expected = {"multi-mpi-multi-target": "MPICC", "py-torch-cuda": "CUDA_HOME", "osu-rocm-gfx90a": "ROCM_PATH"}
    assert {"PATH", expected[name]} <= names
    if name == "py-torch-cuda":
        python = {change["value"] for change in changes if change["name"] == "PYTHONPATH"}
        assert python == {f"{VIEW}/lib/python3.12/site-packages"}


def root_with_mpi(folder: Path) -> str:
    """Return a root of a lock; of several, one: two MPIs at once are an error."""
    document = json.loads((folder / "spack.lock").read_text("utf-8"))
    return f"/{document['roots'][0]['hash']}"
