"""Syft, the scanner, reads the SBOM that an image carries."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import peers
from hpc3.cli import main
from hpc3.recipe.contract import DOCUMENTS_PATH
from unit.locks import environment_folder


@pytest.mark.parametrize("name", ["v1.1.0/mpi-hello", "v1.1.0/osu-openmpi-ucx"])
def test_syft_finds_every_component_in_a_root_file_system(name: str, tmp_path: Path) -> None:
    peers.need_program("syft")
    folder = environment_folder(name)
    document = tmp_path / DOCUMENTS_PATH.lstrip("/") / "sbom.cdx.json"
    document.parent.mkdir(parents=True)
    assert main(["sbom", str(folder), "-o", str(document)]) == 0
    expected = {
        (entry["name"], entry["version"], entry["purl"]) for entry in json.loads(document.read_text())["components"]
    }
    result = subprocess.run(
        # Syft reads SBOMs that it finds only where it is told to.
        ["syft", "scan", f"dir:{tmp_path}", "--select-catalogers", "+sbom-cataloger", "-q", "-o", "syft-json"],
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [(entry["name"], entry["version"], entry["purl"]) for entry in json.loads(result.stdout)["artifacts"]]
    assert sorted(found) == sorted(expected)
