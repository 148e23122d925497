"""A release: made twice to the same bytes, with an SBOM that names what it needs, by pinned tools."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

import peers

PINS = (peers.REPOSITORY / "tests/requirements.txt").read_text("utf-8")
PYTHONS = ("3.9", "3.11", "3.13", "3.14")


def released(folder: Path) -> dict[str, str]:
    """Return the checksums of a release that was built into a folder."""
    done = subprocess.run(
        [peers.REPOSITORY / ".ci/release", folder],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: digest for digest, name in map(str.split, done.stdout.splitlines())}


@pytest.mark.skipif(not (peers.REPOSITORY / ".ci/release").exists(), reason="a source archive has no .ci")
def test_a_release_is_the_same_twice_and_its_sbom_names_what_it_needs(tmp_path: Path) -> None:
    first, second = released(tmp_path / "first"), released(tmp_path / "second")
    assert first == second
    assert [name.rsplit(".", 1)[1] for name in sorted(first)] == ["whl", "json", "gz"]
    (path,) = (tmp_path / "first").glob("*.cdx.json")
    text = path.read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert str(tmp_path) not in text
    document = json.loads(text)
    assert document["metadata"]["component"]["name"] == "hpc3"
    needed = {one.name.lower() for one in (*map(Requirement, project()["dependencies"]), *asked_for("verify"))}
    assert {component["name"].lower() for component in document["components"]} >= needed


@pytest.mark.parametrize("python", PYTHONS)
def test_pins_satisfy_what_pyproject_asks_for(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    pinned = {
        requirement.name: str(requirement.specifier)[2:]
        for requirement in map(Requirement, re.findall(r"^([a-z0-9][^\\\n]*?) *\\$", PINS, re.MULTILINE))
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }
    missing = [
        str(asked)
        for asked in asked_for("test", "lint")
        if asked.marker is None or asked.marker.evaluate(environment)
        if not asked.specifier.contains(pinned.get(asked.name.lower(), ""))
    ]
    assert missing == [], "tests/pin"


def project() -> dict[str, Any]:
    """Return what ``pyproject.toml`` states of the project."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    found: dict[str, Any] = tomllib.loads((peers.REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def asked_for(*extras: str) -> list[Requirement]:
    """Return what extras of ``pyproject.toml`` ask for, with what the extras of ours among them do."""
    found = [Requirement(one) for extra in extras for one in project()["optional-dependencies"][extra]]
    own = [nested for one in found if one.name == "hpc3" for nested in asked_for(*one.extras)]
    return [one for one in found if one.name != "hpc3"] + own


def test_every_pin_has_a_hash() -> None:
    pins = re.split(r"^(?=[a-z0-9])", PINS, flags=re.MULTILINE)[1:]
    assert len(pins) > 50
    assert [pin for pin in pins if "--hash=sha256:" not in pin] == []


def test_actions_are_pinned_by_commit() -> None:
    for workflow in (peers.REPOSITORY / ".github/workflows").glob("*.yml"):
        used = re.findall(r"uses: (\S+)(.*)", workflow.read_text("utf-8"))
        assert used
        for action, comment in used:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), f"{action} has no version beside it"
