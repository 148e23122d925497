"""Which reader a path gets, and what an environment's folder gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hpc3.facts import Known, PackageMetadata
from hpc3.request import Images
from hpc3.sources import read_source
from hpc3.sources.documentation import documentation_beside
from hpc3.sources.spack_lock import lock_from_bytes
from hpc3.sources.spack_metadata import SpackMetadata, metadata_document
from hpc3.vocabulary import OCI_PREFIX, key
from unit.conftest import Refused
from unit.locks import COMMITTED, hash_of, make_lock, node


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a small environment."""
    (tmp_path / "spack.lock").write_bytes(make_lock(node("app")))
    (tmp_path / "spack.yaml").write_text("spack: {specs: [app], container: {images: {os: 'debian:12', spack: v1}}}\n")
    return tmp_path


@pytest.mark.parametrize("name", ["", "spack.lock", "spack.yaml"])
def test_folder_and_either_file_are_the_same_source(folder: Path, name: str) -> None:
    source = read_source(folder / name)
    assert source.facts.source == "spack.lock"
    assert source.request is not None
    assert source.request.images == Images(os="debian:12", spack_version="v1")
    assert source.files == {"spack.lock": (folder / "spack.lock").read_bytes()}


def test_lock_alone_gives_facts_but_no_request(folder: Path) -> None:
    (folder / "spack.yaml").unlink()
    assert read_source(folder / "spack.lock").request is None


def test_lock_of_another_name(folder: Path) -> None:
    (folder / "spack.lock").rename(folder / "old.lock")
    source = read_source(folder / "old.lock")
    assert isinstance(source.facts.software, Known)
    assert source.facts.software.evidence[0].document == "old.lock"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone", ["there is no such file"]),
        ("gone.lock", ["there is no such file"]),
        ("gone.json", ["there is no such file"]),
        ("notes.txt", ["is not a spack.lock"]),
    ],
)
def test_no_source(folder: Path, name: str, words: list[str], refused: Refused) -> None:
    (folder / "notes.txt").touch()
    with refused(str(folder / name), *words):
        read_source(folder / name)


def test_folder_without_lock_says_how_to_make_one(folder: Path, refused: Refused) -> None:
    (folder / "spack.lock").unlink()
    with refused("spack.lock", "no such file", "concretize"):
        read_source(folder)


def test_bad_manifest_is_an_error_not_a_missing_request(folder: Path, refused: Refused) -> None:
    (folder / "spack.yaml").write_text("spack: [")
    with refused("spack.yaml: is not YAML"):
        read_source(folder)


def test_manifest_that_is_too_large(folder: Path, refused: Refused) -> None:
    with (folder / "spack.yaml").open("wb") as stream:
        stream.truncate(5 * 1024 * 1024)
    with refused("spack.yaml", "larger than 4 MiB"):
        read_source(folder)


def test_metadata_beside_the_lock(folder: Path) -> None:
    lock = lock_from_bytes((folder / "spack.lock").read_bytes())
    metadata = SpackMetadata(lock.digest, {hash_of("app"): PackageMetadata(license="MIT")})
    (folder / "hpc3-metadata.json").write_text(metadata_document(metadata))
    source = read_source(folder)
    assert source.metadata == metadata
    assert isinstance(source.facts.license, Known)
    stale = SpackMetadata("sha256:" + "0" * 64, metadata.packages)
    (folder / "hpc3-metadata.json").write_text(metadata_document(stale))
    assert read_source(folder).metadata is None


def test_labels_that_state_something_are_facts_and_others_are_not(folder: Path) -> None:
    stated = {OCI_PREFIX + "title": "App", key("smoketest.command"): '["app"]'}
    manifest = {"spack": {"container": {"labels": {"app": "x", **stated}}}}
    (folder / "spack.yaml").write_text(json.dumps(manifest))
    assert read_source(folder).facts.stated == stated


def test_documentation(folder: Path) -> None:
    (folder / "README.md").write_text("# Grüße", "utf-8")
    (folder / "README").write_text("not this one")
    (folder / "HOWTO.md").write_text("run it")
    (folder / "TWEAKS.md").mkdir()
    assert documentation_beside(folder) == {"readme": "# Grüße", "howto.run": "run it"}
    assert read_source(folder).facts.documentation == {"readme": "# Grüße", "howto.run": "run it"}


def test_documentation_that_is_no_text(folder: Path, refused: Refused) -> None:
    (folder / "README.md").write_bytes(b"ab\xff")
    with refused("README.md", "byte 2 is not UTF-8"):
        documentation_beside(folder)


def test_documentation_that_is_too_large(folder: Path, refused: Refused) -> None:
    with (folder / "README.md").open("wb") as stream:
        stream.truncate(1024 * 1024 + 1)
    with refused("README.md", "larger than 1 MiB"):
        documentation_beside(folder)


def test_where_the_folder_lies_changes_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(COMMITTED / "v1.1.0" / "mpi-hello", copy)
    assert read_source(copy) == read_source(COMMITTED / "v1.1.0" / "mpi-hello")


def test_lock_that_is_older_than_the_manifest(folder: Path, refused: Refused) -> None:
    (folder / "spack.yaml").write_text("spack: {specs: [app, 'builtin.other@2 ^app']}\n")
    with refused("spack.lock", "older than spack.yaml, which asks for other", "concretize again"):
        read_source(folder)
