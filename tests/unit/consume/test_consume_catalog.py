from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.cli import main
from hpc3.consume.attached_sbom import SbomEntry
from hpc3.consume.catalog import Catalog
from hpc3.consume.find import rank_images
from hpc3.consume.image import Image, image_of
from hpc3.errors import InputError
from hpc3.host.document import fingerprint_to_json
from hpc3.vocabulary import key
from unit.consume.consumer_examples import CUDA, MPICH, PLAIN, host, image, lumi_g

TARGET = key("hardware.cpu.optimized.version")


def numbered(stated: Image, number: int) -> Image:
    return replace(stated, digest=f"sha256:{number:064x}", reference=f"docker://r.example/x:{number}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "site/catalog.sqlite"


def test_what_is_put_is_found_again(path: Path) -> None:
    one, other = numbered(image(MPICH, CUDA), 1), numbered(image(software__name="lammps"), 2)
    with Catalog(path, create=True) as catalog:
        catalog.put_image(one)
        catalog.put_image(other)
    with Catalog(path) as catalog:
        assert catalog.images_of("gromacs") == (one,)
        assert catalog.count() == 2
        assert catalog.image(other.digest) == other
        assert catalog.image("sha256:none") is None


def test_labels_and_environment_survive(path: Path) -> None:
    values = {key(name): value for name, value in PLAIN.items()}
    stated = image_of(
        {"annotation": values, "label": {TARGET: "zen2"}},
        "r.example/x:1", "sha256:" + "1" * 64, "amd64", {"CUDA_VERSION": "12.4"}, {"a": "b"}, 77,
    )  # fmt: skip
    with Catalog(path, create=True) as catalog:
        catalog.put_image(stated)
        found = catalog.image(stated.digest)
    assert found is not None
    assert replace(found, contradictions=stated.contradictions) == stated


def test_a_site_overrules_and_a_new_scan_keeps_that(path: Path) -> None:
    one = numbered(image(), 1)
    with Catalog(path, create=True) as catalog:
        catalog.put_image(one)
        catalog.put_external(one.digest, {TARGET: "zen2", key("software.name"): "renamed"})
        catalog.put_image(replace(one, size=5))
        (found,) = catalog.images_of("renamed")
        assert catalog.images_of("gromacs") == ()
    assert (found.statements[TARGET].value, found.statements[TARGET].place) == ("zen2", "external")
    assert found.size == 5


def test_an_sbom_is_kept_shared_and_needs_no_newer_catalog(path: Path) -> None:
    one, listed = numbered(image(), 1), (SbomEntry("fftw", "3.3.10", "GPL-2.0-or-later"), SbomEntry("zlib"))
    with Catalog(path, create=True) as catalog:
        catalog.put_image(one)
        assert catalog.sbom(one.digest) == ()
        catalog._connection.execute("DROP TABLE sbom")  # as an earlier release made it
    with Catalog(path) as catalog:
        catalog.put_sbom(one.digest, listed)
        assert catalog.sbom(one.digest) == listed
        assert catalog.digests_with_sbom() == {one.digest}
        lines = list(catalog.lines())
    with Catalog(path.with_name("other.sqlite"), create=True) as other:
        other.put_lines(lines, "lines")
        assert other.sbom(one.digest) == listed
        assert list(other.lines()) == lines


@pytest.mark.parametrize("sbom", [1, {}, ["fftw"], [["fftw", "1"]], [["fftw", "1", 2]]])
def test_a_foreign_sbom_of_another_shape_is_not_taken_in(path: Path, sbom: object) -> None:
    lines = ['{"schema": "hpc3.catalog/1"}', json.dumps({"digest": "sha256:1", "sbom": sbom})]
    with Catalog(path, create=True) as catalog, pytest.raises(InputError, match="lines:2"):
        catalog.put_lines(lines, "lines")


def test_a_site_may_speak_of_an_image_that_was_never_scanned(path: Path) -> None:
    with Catalog(path, create=True) as catalog:
        catalog.put_external("sha256:1", {key("software.name"): "foreign"}, "docker://r.example/y:1")
        (found,) = catalog.images_of("foreign")
        assert catalog.digests() == frozenset()  # a scan still has to read it
        catalog.put_image(replace(image(), digest="sha256:1"))
        assert catalog.digests() == {"sha256:1"}
    assert found.reference == "docker://r.example/y:1"


@pytest.mark.parametrize("values", [{"nonsense": "1"}, {TARGET: "Not A Target"}, {key("software.name"): "a\nb"}])
def test_a_site_is_told_when_it_states_nonsense(path: Path, values: dict[str, str]) -> None:
    with Catalog(path, create=True) as catalog:
        with pytest.raises(InputError):
            catalog.put_external("sha256:1", values)
        assert catalog.external("sha256:1") == {}


def test_an_error_keeps_nothing(path: Path) -> None:
    with Catalog(path, create=True) as catalog:
        catalog.put_image(numbered(image(), 1))

    def fail() -> None:
        with Catalog(path) as catalog:
            catalog.put_image(numbered(image(), 2))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with Catalog(path) as catalog:
        assert catalog.count() == 1


def test_text_form_goes_round_and_is_stable(path: Path, tmp_path: Path) -> None:
    with Catalog(path, create=True) as catalog:
        for number in (3, 1, 2):
            catalog.put_image(numbered(image(), number))
        catalog.put_external(f"sha256:{1:064x}", {TARGET: "zen2"})
        lines = list(catalog.lines())
    with Catalog(tmp_path / "other.sqlite", create=True) as other:
        assert other.put_lines(lines, "text") == 3
        assert list(other.lines()) == lines
        assert other.external(f"sha256:{1:064x}") == {TARGET: "zen2"}


@pytest.mark.parametrize(
    "lines",
    [[""], ["{}"], ['{"schema": "hpc3.catalog/2"}'], ['{"schema": "hpc3.catalog/1"}', "{}"],
     ['{"schema": "hpc3.catalog/1"}', '{"digest": "sha256:1", "places": 3}'],
     ['{"schema": "hpc3.catalog/1"}', '{"digest": "sha256:1", "labels": {"a": 1}}'],
     ['{"schema": "hpc3.catalog/1"}', '{"digest": "sha256:1", "external": {"x": "y"}}']],
)  # fmt: skip
def test_bad_text_is_refused_whole(path: Path, lines: list[str]) -> None:
    with Catalog(path, create=True) as catalog:
        catalog.put_image(numbered(image(), 1))
        catalog.save()
        with pytest.raises(InputError) as caught:
            catalog.put_lines([*lines], "text")
        assert str(caught.value).isprintable()
        assert catalog.count() == 1


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but long enough to be read as one" * 40)
    sqlite3.connect(tmp_path / "foreign").execute("CREATE TABLE t (x)").connection.close()
    newer = sqlite3.connect(tmp_path / "newer")
    newer.executescript(f"CREATE TABLE t (x); PRAGMA application_id = {0x68706333}; PRAGMA user_version = 9;")
    newer.close()
    for name, words in (
        ("text", "not a database"),
        ("foreign", "no catalog"),
        ("newer", "version 9"),
        ("none", "no such"),
    ):
        with pytest.raises(InputError, match=words):
            Catalog(tmp_path / name)


def test_a_damaged_catalog_is_one_line(path: Path) -> None:
    with Catalog(path, create=True) as catalog:
        for number in range(200):
            catalog.put_image(numbered(image(), number))
    data = bytearray(path.read_bytes())
    data[4096 : len(data) - 4096] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)

    def use() -> None:
        with Catalog(path) as catalog:
            list(catalog.images())

    with pytest.raises(InputError, match="cannot be used as a catalog"):
        use()


def test_a_locked_catalog_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpc3.consume.catalog._WAIT_SECONDS", 0.05)
    with Catalog(path, create=True) as catalog:
        catalog.put_image(numbered(image(), 1))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    def write() -> None:
        with Catalog(path) as catalog:
            catalog.put_image(numbered(image(), 2))

    with pytest.raises(InputError, match="locked by another program"):
        write()
    holder.close()


@settings(deadline=None)  # other work on the machine does not count
@given(st.text(max_size=200))
def test_any_text_is_refused_or_taken(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder) / "c", create=True)
        with catalog, pytest.raises(InputError):
            catalog.put_lines([text], "text")


def test_only_the_images_of_a_software_are_ranked(path: Path) -> None:
    targets = ("x86_64_v3", "zen2", "zen3", "zen4")
    with Catalog(path, create=True) as catalog:
        for number in range(80):
            stated = image(
                MPICH, software__name=f"app{number % 20}", hardware__cpu__optimized__version=targets[number // 20]
            )
            catalog.put_image(numbered(stated, number))
    with Catalog(path) as catalog:
        ranked = rank_images(catalog.images_of("app7"), lumi_g())
    assert sorted(one.report.image.value("hardware.cpu.optimized.version") for one in ranked) == sorted(targets)


def test_verb_find_uses_the_catalog(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Catalog(path, create=True) as catalog:
        catalog.put_image(numbered(image(), 1))
    (tmp_path / "host.json").write_text(fingerprint_to_json(host()))
    arguments = ["find", "gromacs", "--catalog", str(path), "--host", str(tmp_path / "host.json")]
    assert main(arguments) == 0
    assert "docker://r.example/x@sha256:" in capsys.readouterr().out
    assert main(["find", "gromacs", "--catalog", str(tmp_path / "none")]) == 3


def test_verb_add(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {"reference": "r.example/x:1", "digest": "sha256:" + "a" * 64, "annotations": {}, "provenance": {}}
    (tmp_path / "image.json").write_text(json.dumps(document))
    (tmp_path / "said.json").write_text(json.dumps({key("software.name"): "foreign"}))
    arguments = [
        "catalog",
        "add",
        str(tmp_path / "image.json"),
        "--from",
        str(tmp_path / "said.json"),
        "--catalog",
        str(path),
    ]
    assert main(arguments) == 0
    with Catalog(path) as catalog:
        assert [one.digest for one in catalog.images_of("foreign")] == ["sha256:" + "a" * 64]


def test_verb_check_hears_the_site_first(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stated = {name: statement.value for name, statement in image().statements.items()}
    document = {"reference": "r.example/x:1", "digest": "sha256:" + "b" * 64, "annotations": stated, "provenance": {}}
    (tmp_path / "image.json").write_text(json.dumps(document))
    (tmp_path / "host.json").write_text(fingerprint_to_json(host()))
    with Catalog(path, create=True) as catalog:
        catalog.put_external("sha256:" + "b" * 64, {TARGET: "zen5"})
    arguments = ["check", str(tmp_path / "image.json"), "--host", str(tmp_path / "host.json"), "--evidence"]
    assert main(arguments) == 0
    assert main([*arguments, "--catalog", str(path)]) == 20
    assert f"{TARGET} = zen5 [external]" in capsys.readouterr().out
