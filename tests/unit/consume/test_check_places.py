"""Where ``check`` takes its facts from, as the command line shows it: an image on disk that says more step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpc3.cli import main
from hpc3.host.document import fingerprint_to_json
from hpc3.vocabulary import key
from unit.consume.consumer_examples import A100, host
from unit.consume.oci_layouts import layer_of_files, write_layout

TARGET, IMPLEMENTATION = key("hardware.cpu.optimized.version"), key("mpi.implementation")
#: As images of GPU vendors have it, without any annotation.
ENVIRONMENT = ["CUDA_VERSION=12.4.1", "OPENMPI_VERSION=4.1.5", "PATH=/usr/bin"]


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "node.json"
    path.write_text(fingerprint_to_json(host("zen3", gpus=(A100,), name="node")))
    return path


def report(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    main([str(argument) for argument in ("check", *arguments, "--format", "json")])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def judgements(document: dict[str, Any], facet: str) -> list[dict[str, Any]]:
    (found,) = [entry["judgements"] for entry in document["facets"] if entry["facet"] == facet]
    return list(found)


def places(document: dict[str, Any], subject: str) -> set[str]:
    """The places from which all facets took a key."""
    every = [judgement for entry in document["facets"] for judgement in entry["judgements"]]
    sides = [side for judgement in every for side in judgement["image"] if side["subject"] == subject]
    return {side["place"] for side in sides if "place" in side}


def layout(folder: Path, annotations: dict[str, str], labels: dict[str, str]) -> str:
    layers = [layer_of_files({"bin/true": b"\x7fELF"})]
    return write_layout(folder, layers, annotations, labels, {"Env": ENVIRONMENT})


def test_an_image_that_nobody_annotated_gets_an_honest_answer(
    tmp_path: Path, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, layout(tmp_path / "foreign", {}, {}), "--host", node)
    assert document["verdict"] == "unknown"
    assert document["exit"] == 30
    (cpu,) = judgements(document, "cpu")
    assert (cpu["verdict"], cpu["code"]) == ("unknown", "CPU_NOT_STATED")
    # What its environment implies is used, marked, and never enough for an ok overall.
    assert {entry["verdict"] for entry in judgements(document, "gpu")} <= {"ok", "degraded", "unknown"}
    assert places(document, key("hardware.gpu.cuda.version")) == {"inferred"}
    assert places(document, IMPLEMENTATION) == {"inferred"}
    (metadata,) = judgements(document, "metadata")
    assert metadata["code"] == "METADATA_INFERRED"
    assert metadata["remedy"] == "hpc3 apply IMAGE --from SOURCE"


@pytest.mark.parametrize(
    ("annotations", "labels", "external", "place", "target"),
    [
        ({}, {TARGET: "zen2"}, {}, "label", "zen2"),
        ({TARGET: "zen3"}, {TARGET: "zen2"}, {}, "annotation", "zen3"),
        ({TARGET: "zen3"}, {TARGET: "zen2"}, {TARGET: "x86_64_v3"}, "external", "x86_64_v3"),
    ],
)
def test_the_most_trusted_place_is_believed_and_named(
    tmp_path: Path,
    node: Path,
    capsys: pytest.CaptureFixture[str],
    annotations: dict[str, str],
    labels: dict[str, str],
    external: dict[str, str],
    place: str,
    target: str,
) -> None:
    image, catalog = layout(tmp_path / "image", annotations, labels), tmp_path / "c.sqlite"
    (tmp_path / "said.json").write_text(json.dumps(external))
    assert main(["catalog", "add", image, "--from", str(tmp_path / "said.json"), "--catalog", str(catalog)]) == 0
    document = report(capsys, image, "--host", node, "--catalog", catalog)
    assert places(document, TARGET) == {place}
    (side,) = [side for side in judgements(document, "cpu")[0]["image"] if side["subject"] == TARGET]
    assert side["value"] == target
    disagree = [entry for entry in judgements(document, "metadata") if entry["code"] == "METADATA_CONTRADICTION"]
    assert bool(disagree) is (bool(annotations) and annotations != labels)


def test_a_statement_overrules_what_the_environment_implies(
    tmp_path: Path, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = layout(tmp_path / "image", {IMPLEMENTATION: "mpich"}, {})
    assert places(report(capsys, image, "--host", node), IMPLEMENTATION) == {"annotation"}
