from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.cli import main
from hpc3.consume.find import rank_images, wanted_software
from hpc3.consume.image import Image, images_from_json
from hpc3.consume.verdict import Verdict
from hpc3.errors import InputError
from hpc3.host.document import fingerprint_to_json
from hpc3.vocabulary import key, vocabulary
from unit.consume.consumer_examples import A100, CUDA, MPICH, OPENMPI5, host, image, lumi_g


def numbered(stated: Image, number: int, **changed: object) -> Image:
    return replace(stated, digest=f"sha256:{number:064x}", **changed)  # type: ignore[arg-type]


def first(images: list[Image], on: object) -> str:
    return rank_images(images, on)[0].report.image.digest  # type: ignore[arg-type]


def test_the_closest_target_wins() -> None:
    targets = ("x86_64", "x86_64_v3", "zen", "zen2", "zen3", "zen4", "icelake")
    images = [numbered(image(hardware__cpu__optimized__version=t), n) for n, t in enumerate(targets)]
    ranked = rank_images(images, host("zen3"))
    order = [entry.report.image.value("hardware.cpu.optimized.version") for entry in ranked]
    assert order[:3] == ["zen3", "zen2", "zen"]
    assert set(order[-2:]) == {"zen4", "icelake"}
    assert ranked[0].why == "best by CPU: zen3 before zen2"
    assert "SIGILL" in ranked[-1].why


def test_a_gpu_image_wins_on_a_gpu_host_alone() -> None:
    plain, cuda = numbered(image(), 1), numbered(image(CUDA, hardware__cpu__optimized__version="x86_64"), 2)
    assert first([plain, cuda], host(gpus=(A100,))) == cuda.digest
    assert first([plain, cuda], host()) == plain.digest


def test_the_newest_version_wins_among_equals() -> None:
    images = [numbered(image(software__version=v), n) for n, v in enumerate(("2024.1", "2024", "2025.3", "2023.9"))]
    ranked = rank_images(images, host())
    assert [e.report.image.value("software.version") for e in ranked] == ["2025.3", "2024.1", "2024", "2023.9"]


def test_the_smaller_of_equals_wins() -> None:
    images = [numbered(image(), 1, size=200), numbered(image(), 2, size=100), numbered(image(), 3)]
    assert [e.report.image.size for e in rank_images(images, host())] == [100, 200, None]


def test_order_of_the_input_does_not_matter() -> None:
    images = [numbered(image(software__version=str(n % 3)), n) for n in range(9)]
    assert rank_images(images, host()) == rank_images(reversed(images), host())


parts = st.lists(st.sampled_from([MPICH, OPENMPI5, CUDA]), max_size=2)
some_image = st.builds(
    lambda p, target, number: numbered(image(*p, hardware__cpu__optimized__version=target), number),
    parts,
    st.sampled_from(["x86_64", "x86_64_v3", "zen2", "zen3", "zen4", "icelake", "neoverse_v1", "power9le"]),
    st.integers(0, 10**6),
)
some_host = st.sampled_from([host("zen3"), host("haswell"), host("neoverse_v2"), host(gpus=(A100,)), lumi_g()])


@settings(deadline=None)  # other work on the machine does not count
@given(st.lists(some_image, min_size=1, max_size=8, unique_by=lambda one: one.digest), some_image, some_host)
def test_adding_an_image_that_cannot_run_never_changes_the_first(images: list[Image], other: Image, on: object) -> None:
    before = rank_images(images, on)  # type: ignore[arg-type]
    other = replace(other, digest="sha256:" + "f" * 64)
    added = rank_images([*images, other], on)  # type: ignore[arg-type]
    verdict = next(e.report.verdict for e in added if e.report.image.digest == other.digest)
    runs = before[0].report.verdict in (Verdict.OK, Verdict.DEGRADED)
    if runs and verdict in (Verdict.FAILS, Verdict.UNKNOWN):
        assert added[0].report.image.digest == before[0].report.image.digest


@pytest.mark.parametrize(
    ("asked", "version", "fits"),
    [("gromacs", "2024.2", True), ("gromacs@2024", "2024.2", True), ("GROMACS@2024.2", "2024.2", True),
     ("gromacs@2024.2", "2024.21", False), ("gromacs@2025", "2024.2", False), ("lammps", "2024.2", False)],
)  # fmt: skip
def test_what_is_asked_for(asked: str, version: str, fits: bool) -> None:
    assert wanted_software(asked).fits(image(software__version=version)) is fits


def index_of(*images: Image) -> str:
    manifests = [
        {
            "digest": one.digest,
            "platform": {"architecture": "amd64", "os": "linux"},
            "annotations": {name: statement.value for name, statement in one.statements.items()},
        }
        for one in images
    ]
    attestation = {"digest": "sha256:" + "a" * 64, "platform": {"architecture": "unknown", "os": "unknown"}}
    return json.dumps({"schemaVersion": 2, "manifests": [*manifests, attestation]})


def selected(stated: Image) -> Image:
    """What an index says of an image: the keys that are written on descriptors."""
    kept = {name: s for name, s in stated.statements.items() if vocabulary()[name].is_selection}
    return replace(stated, statements=kept, is_partial=True)


@pytest.mark.parametrize("parts", [(), (MPICH,), (OPENMPI5,), (CUDA,), (MPICH, CUDA)])
def test_what_an_index_never_says_does_not_hide_an_image(parts: tuple[dict[str, str], ...]) -> None:
    for on in (host(), host(gpus=(A100,)), lumi_g()):
        whole, partial = rank_images([image(*parts)], on), rank_images([selected(image(*parts))], on)
        assert partial[0].report.verdict is not Verdict.UNKNOWN
        if partial[0].report.verdict is Verdict.FAILS:  # what an index says is enough to refuse, never wrongly
            assert whole[0].report.verdict is Verdict.FAILS


def test_what_an_index_should_say_is_still_missed() -> None:
    silent = selected(image(without="hardware.cpu.optimized.version"))
    assert rank_images([silent], host())[0].report.verdict is Verdict.UNKNOWN


def test_an_index_by_its_descriptors_alone() -> None:
    read = images_from_json(index_of(numbered(image(), 1), numbered(image(CUDA), 2)), "index.json")
    assert [one.digest for one in read] == [f"sha256:{n:064x}" for n in (1, 2)]
    assert read[0].statements[key("software.name")].place == "descriptor"


@pytest.mark.parametrize("text", ['{"manifests": {}}', '{"manifests": [1]}', '{"manifests": [{"digest": 1}]}', "[1]"])
def test_bad_lists(text: str) -> None:
    with pytest.raises(InputError):
        images_from_json(text, "f")


def test_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    near, far = numbered(image(), 1), numbered(image(hardware__cpu__optimized__version="zen2"), 2)
    dies = numbered(image(hardware__cpu__optimized__version="zen5"), 3)
    (tmp_path / "index.json").write_text(index_of(far, dies, near))
    (tmp_path / "host.json").write_text(fingerprint_to_json(host()))
    source = [str(tmp_path / "index.json"), "--host", str(tmp_path / "host.json")]
    assert main(["find", "gromacs", *source]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()[:2] == ["1", "ok"]
    assert said[2].startswith(f"take {near.digest}")
    assert said[3] == "1 more do not run here: --all shows why"
    assert main(["find", "--all", "gromacs", "--quiet", *source]) == 0
    assert "SIGILL" in capsys.readouterr().out
    assert main(["find", "gromacs", *source, "--format", "json"]) == 0
    assert [entry["verdict"] for entry in json.loads(capsys.readouterr().out)] == ["ok", "ok", "fails"]
    assert main(["find", "lammps", *source]) == 1


def test_verb_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.json").write_text(index_of(numbered(image(CUDA), 1)))
    (tmp_path / "host.json").write_text(fingerprint_to_json(host()))
    assert main(["find", "gromacs", str(tmp_path / "index.json"), "--host", str(tmp_path / "host.json")]) == 20
    assert "take" not in capsys.readouterr().out
