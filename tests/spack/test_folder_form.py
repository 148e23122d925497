"""``spack hpc3`` from a checkout that ``config:extensions`` names, on a Python that has nothing but Spack."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import spack_peer
from spack_peer import Spack

pytestmark = pytest.mark.spack


def test_every_verb(folder_spack: Spack, zlib: Path) -> None:
    for verb in ("facts", "annotations", "containerize", "sbom"):
        result = folder_spack.run("-e", str(zlib), "hpc3", verb, "--quiet")
        assert result.returncode == 0, result.stderr
        assert "zlib" in result.stdout
        assert result.stderr == ""


def test_it_is_the_recipe_of_an_installed_hpc3(folder_spack: Spack, spack: Spack, zlib: Path) -> None:
    by_folder = folder_spack.run("hpc3", "containerize", cwd=zlib)
    (zlib / "hpc3-metadata.json").unlink()
    installed = spack.run("containerize", "--annotate", cwd=zlib)
    assert by_folder.stdout == installed.stdout


def test_it_is_listed_and_helps(folder_spack: Spack) -> None:
    assert folder_spack.run("commands").stdout.split().count("hpc3") == 1
    result = folder_spack.run("hpc3", "-h")
    assert result.returncode == 0
    for verb in ("facts", "annotations", "containerize", "sbom", "doctor"):
        assert verb in result.stdout


def test_both_forms_together_list_it_once(spack: Spack, tmp_path: Path) -> None:
    both = spack_peer.spack_in(tmp_path, spack.version, spack.python, extensions=(spack_peer.EXTENSION,))
    assert both.run("commands").stdout.split().count("hpc3") == 1
    result = both.run("hpc3", "doctor")
    assert result.returncode == 0, result.stdout


def test_doctor_of_an_installed_hpc3(spack: Spack) -> None:
    result = spack.run("hpc3", "doctor")
    assert result.returncode == 0, result.stdout
    assert "MISSING" not in result.stdout
    assert "spack containerize --annotate is active" in result.stdout
    assert str(spack.python) in result.stdout


def test_doctor_of_the_folder_form_says_what_is_missing(folder_spack: Spack) -> None:
    result = folder_spack.run("hpc3", "doctor")
    assert result.returncode == 1
    if folder_spack.has_entry_points:
        assert "MISSING hpc3 is not installed into the Python that runs Spack" in result.stdout
        assert f"mend: {folder_spack.python} -m pip install hpc3" in result.stdout
    else:
        assert "does not ask installed packages for extensions" in result.stdout
    assert f"spack hpc3 comes from {spack_peer.EXTENSION}" in result.stdout


def test_a_python_that_is_too_old(folder_spack: Spack) -> None:
    """Spack runs on Python 3.6, 3.7 and 3.8: its own commands must not suffer from ours."""
    old = old_python()
    spack = Spack(folder_spack.version, folder_spack.folder, old, folder_spack.home)
    assert spack.run("help", "--all").returncode == 0
    result = spack.run("hpc3", "facts")
    assert result.returncode == 2
    assert "hpc3 needs Python 3.9" in result.stderr


def old_python() -> Path:
    for folder in sorted((Path.home() / ".pyenv" / "versions").glob("3.[678].*"), reverse=True):
        python = folder / "bin" / "python3"
        result = subprocess.run([str(python), "-c", "print(1)"], capture_output=True, check=False)
        if result.returncode == 0:
            return python
    pytest.skip("no Python 3.6 to 3.8 is here (looked under ~/.pyenv)")


def test_a_lock_alone_and_a_facts_document(folder_spack: Spack, zlib: Path, tmp_path: Path) -> None:
    lock = folder_spack.run("hpc3", "facts", str(zlib / "spack.lock"), "--quiet")
    assert json.loads(lock.stdout)["software"]["value"]["name"] == "zlib"
    (tmp_path / "facts.json").write_text(lock.stdout, "utf-8")
    again = folder_spack.run("hpc3", "annotations", str(tmp_path / "facts.json"), "--quiet")
    assert again.stdout == folder_spack.run("hpc3", "annotations", str(zlib / "spack.lock"), "--quiet").stdout
