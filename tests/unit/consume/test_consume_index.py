"""An index: every image in it is judged, and what the index says of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpc3.cli import main
from hpc3.consume.subject import Subject
from hpc3.consume.validate import validate_subject
from hpc3.oci.inspection import is_for
from hpc3.vocabulary import key
from unit.consume.oci_layouts import write_index, write_layout

ARM = {"architecture": "arm64", "descriptor": {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}}
AMD = {"architecture": "amd64", "descriptor": {"platform": {"os": "linux", "architecture": "amd64"}}}


def found(reference: str, capfd: pytest.CaptureFixture[str], *options: str) -> dict[str, set[str]]:
    """Return the places of findings by code."""
    main(["validate", "--format", "json", reference, *options])
    places: dict[str, set[str]] = {}
    for finding in json.loads(capfd.readouterr().out)["findings"]:
        places.setdefault(finding["code"], set()).add(finding["where"])
    return places


def test_every_image_is_judged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    attestation = {"descriptor": {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}}
    images: list[dict[str, Any]] = [
        AMD,
        {**ARM, "config": {"Entrypoint": ["/evil"]}},
        {**attestation, "config": {"User": "1"}},
    ]
    reference = write_index(tmp_path / "layout", images)
    places = found(reference, capfd)
    assert places["HPC101"] == {f"{reference} (linux/arm64): Entrypoint"}
    assert "HPC105" not in places, "an attestation is no image"
    assert "HPC101" not in found(reference, capfd, "--platform", "linux/amd64")
    assert "HPC101" in found(reference, capfd, "--platform", "linux/arm64/v8")
    assert main(["validate", reference, "--platform", "linux/ppc64le"]) == 2


def test_images_of_one_platform_are_told_by_their_digest(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reference = write_index(tmp_path / "layout", [AMD, {**AMD, "config": {"Entrypoint": ["/evil"]}}])
    (place,) = found(reference, capfd)["HPC101"]
    assert place.startswith(f"{reference} (sha256:")


def test_what_the_index_says(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = key("mpi.implementation")
    said = {"annotations": {"run.oci.hooks.stdout": "/x", name: "openmpi"}}
    described = {**AMD, "annotations": {name: "mpich"}, "descriptor": {**ARM["descriptor"], **said}}
    reference = write_index(tmp_path / "layout", [described], {"com.hooks.ssh.enabled": "true"})
    places = found(reference, capfd)
    assert places["HPC501"] == {
        f"{reference}: descriptor: run.oci.hooks.stdout",
        f"{reference}: index: com.hooks.ssh.enabled",
    }
    assert places["HPC414"] == {f"{reference}: descriptor: {name}"}
    assert places["HPC415"] == {f"{reference}: descriptor"}


def test_an_index_that_says_the_same_is_right() -> None:
    same = Subject(
        "x", annotations={key("mpi.implementation"): "mpich"}, descriptor={key("mpi.implementation"): "mpich"}
    )
    assert not {f.code for f in validate_subject(same)} & {"HPC414", "HPC415", "HPC501"}


def test_a_platform_that_one_image_does_not_have(tmp_path: Path) -> None:
    reference = write_layout(tmp_path / "layout", [], {})
    assert main(["validate", reference, "--platform", "linux/arm64"]) == 2
    assert main(["validate", reference, "--platform", "linux/amd64"]) == 1


@pytest.mark.parametrize(
    ("platform", "wanted", "fits"),
    [
        ({"os": "linux", "architecture": "arm64", "variant": "v8"}, "linux/arm64", True),
        ({"os": "linux", "architecture": "arm64"}, "linux/arm64/v8", True),
        ({"os": "linux", "architecture": "amd64", "variant": "v3"}, "linux/amd64", True),
        ({"os": "linux", "architecture": "amd64"}, "linux/amd64/v3", False),
        ({"os": "linux", "architecture": "amd64"}, "linux/arm64", False),
        ({}, "linux/arm64", True),
        ({"os": "linux", "architecture": 5}, "linux", True),
    ],
)
def test_platforms(platform: dict[str, Any], wanted: str, fits: bool) -> None:
    assert is_for(platform, wanted) == fits


def test_an_artifact_is_no_image(tmp_path: Path) -> None:
    reference = write_layout(tmp_path / "layout", [], {}, artifact_type="application/spdx+json")
    assert main(["validate", reference]) == 3
