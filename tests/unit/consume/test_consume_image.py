from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.consume.check import check_image
from hpc3.consume.image import PLACES, image_from_json, image_of
from hpc3.consume.infer import inferred_statements
from hpc3.errors import InputError
from hpc3.fingerprint import Fingerprint
from hpc3.vocabulary import key, vocabulary
from unit.consume.consumer_examples import PLAIN

NAME = key("software.name")


@settings(deadline=None)  # other work on the machine does not count
@given(st.sets(st.sampled_from(PLACES), min_size=1))
def test_the_most_trusted_place_wins(places: set[str]) -> None:
    image = image_of({place: {NAME: f"from-{place}"} for place in places})
    first = next(place for place in PLACES if place in places)
    assert image.value("software.name") == f"from-{first}"
    assert image.statements[NAME].place == first
    spoken = len(places - {"external", "inferred", "index"})
    assert bool(image.contradictions) is (spoken > 1)


def test_places_that_agree_do_not_contradict() -> None:
    image = image_of({"annotation": {NAME: "gromacs"}, "label": {NAME: "gromacs"}})
    assert image.contradictions == ()
    assert image.statements[NAME].place == "annotation"


def test_an_ill_formed_value_is_not_used_and_the_next_place_speaks() -> None:
    image = image_of({"annotation": {NAME: "GROMACS!"}, "label": {NAME: "gromacs"}})
    assert image.value("software.name") == "gromacs"
    assert NAME in image.ill_formed


def test_a_flat_object_of_annotations() -> None:
    image = image_from_json(json.dumps({key(name): value for name, value in PLAIN.items()}), "a.json")
    assert image.title == "gromacs 2025.3"
    assert {statement.place for statement in image.statements.values()} == {"annotation"}


def test_an_inspect_document() -> None:
    document = {
        "reference": "ghcr.io/site/gromacs:2025.3",
        "digest": "sha256:" + "1" * 64,
        "annotations": {NAME: "gromacs"},
        "provenance": {NAME: "label"},
        "labels": {NAME: "gromacs"},
        "config": {"architecture": "amd64", "config": {"Env": ["CUDA_VERSION=12.1.1", "PATH=/bin"]}},
        "referrers": [],
        "contradictions": [],
    }
    image = image_from_json(json.dumps(document), "i.json")
    assert image.architecture == "amd64"
    assert image.environment["CUDA_VERSION"] == "12.1.1"
    assert image.statements[NAME].place == "label"
    assert image.statements[key("hardware.gpu.cuda.version")].place == "inferred"


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"a": 1}', '{"annotations": {"a": 1}}', '{"annotations": {}, "config": {"config": {"Env": 3}}}',
     '{"annotations": {}, "provenance": [1]}', '{"annotations": {}, "reference": {}}', '{"a": '],
)  # fmt: skip
def test_bad_documents(text: str) -> None:
    with pytest.raises(InputError) as caught:
        image_from_json(text, "f.json")
    assert "f.json" in str(caught.value)
    assert str(caught.value).isprintable()


keys = st.sampled_from(sorted(vocabulary())) | st.text(max_size=5)


@settings(deadline=None)  # other work on the machine does not count
@given(st.dictionaries(keys, st.text(max_size=30), max_size=12))
def test_any_annotations_get_an_answer(annotations: dict[str, str]) -> None:
    image = image_from_json(json.dumps(annotations), "f")
    report = check_image(image, Fingerprint())
    assert report.verdict.value in ("unknown", "fails")


def env(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def test_a_real_environment_that_contradicts_itself(third_party: Path) -> None:
    found = env(third_party / "nvidia-require/env-pytorch-2.3.0-cuda12.1.json")
    image = image_of({}, "ghcr.io/x/pytorch:2.3.0-cuda12.1-cudnn8-devel", environment=found["Env"])
    assert image.value("hardware.gpu.cuda.version") == "12.1.1"
    assert image.value("software.version") == "2.3.0"
    assert [str(c) for c in image.contradictions] == [
        "CUDA toolkit: CUDA_VERSION says 12.1.1 but LD_LIBRARY_PATH names cuda-12.4"
    ]


def test_real_labels_that_contradict_themselves(third_party: Path) -> None:
    found = env(third_party / "nvidia-require/labels-holohub-ngc-base.json")
    (contradiction,) = image_of({}, labels=found["Labels"]).contradictions
    assert "9.0" in str(contradiction)
    assert "13.3.0.5" in str(contradiction)


def shpc_tags(path: Path) -> list[str]:
    import yaml

    return [str(tag) for tag in yaml.safe_load(path.read_text("utf-8"))["tags"]]


def test_real_tags_of_biocontainers(third_party: Path) -> None:
    tags = shpc_tags(third_party / "shpc-registry/quay.io_biocontainers_gromacs.yaml")
    assert len(tags) >= 5
    for tag in tags:
        found = inferred_statements(f"quay.io/biocontainers/gromacs:{tag}", {}, {})
        assert found[NAME] == "gromacs"
        assert tag.startswith(found[key("software.version")])
        assert found.get(key("mpi.implementation"), "") == ("openmpi" if "openmpi" in tag else "")


def test_real_tags_of_ngc(third_party: Path) -> None:
    tags = shpc_tags(third_party / "shpc-registry/nvcr.io_hpc_gromacs.yaml")
    for tag in tags:
        found = inferred_statements(f"nvcr.io/hpc/gromacs:{tag}", {}, {})
        assert found[key("software.version")] == tag.partition("-")[0]
        assert key("hardware.cpu.optimized.version") not in found  # arm64 is a platform, not a target


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("reg:5000/a/b", {}),
        ("ghcr.io/site/gromacs:2024.2-cuda12.4-mpich-zen3",
         {"hardware.gpu.cuda.version": "12.4", "mpi.implementation": "mpich"}),
        ("ghcr.io/site/gromacs:2024.2-zen3", {"hardware.cpu.optimized.version": "zen3"}),
        ("ghcr.io/site/lammps:skylake_avx512", {"hardware.cpu.optimized.version": "skylake_avx512"}),
        ("docker.io/ecpe4s/e4s-cuda:25.06-cuda90", {"hardware.gpu.architecture": "sm_90"}),
        ("docker.io/x/app:1.0-cuda80", {}),
        ("docker.io/ecpe4s/e4s-rocm:25.06-gfx942", {"hardware.gpu.vendor": "amd"}),
    ],
)  # fmt: skip
def test_tags(reference: str, expected: dict[str, str]) -> None:
    found = inferred_statements(reference, {}, {})
    for name, value in expected.items():
        assert found[key(name)] == value
    if not expected:
        assert not any("gpu" in name or "mpi" in name for name in found)


@settings(deadline=None)  # other work on the machine does not count
@given(st.text(max_size=80))
def test_any_reference_implies_only_well_formed_values(reference: str) -> None:
    image = image_of({}, reference=reference)
    for name, statement in image.statements.items():
        assert not vocabulary()[name].fault(statement.value)
