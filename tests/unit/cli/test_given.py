"""A file, a folder or an image: what an argument of ``validate`` and ``verify`` is taken for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Thread

import pytest

from hpc3.cli import main
from hpc3.oci.registry_client import RegistryClient
from unit.cli.process import complaint, hpc3
from unit.consume.oci_layouts import write_layout
from unit.consume.test_consume_validate import GOOD_ANNOTATIONS

DOCKERFILE = "FROM debian:12\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def no_request(*_: object, **__: object) -> None:
        raise AssertionError("a registry was asked")

    monkeypatch.setattr(RegistryClient, "__init__", no_request)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("verb", ["validate", "verify"])
@pytest.mark.parametrize(
    "name", ["nosuch.json", "d/nosuch.yaml", "./d/nope", "../nope", "/nope", "Dockerfile.nope", "d/Containerfile"]
)
def test_a_path_to_nothing_is_no_image(verb: str, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([verb, name]) == 3
    assert capfd.readouterr().err == f"hpc3: error: {name}: there is no such file or folder\n"


@pytest.mark.parametrize("verb", ["validate", "verify"])
@pytest.mark.parametrize("name", ["Dockerfle", "x" * 300])
def test_how_a_name_was_read_that_nothing_has(verb: str, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([verb, name]) == 2
    assert "read as an image; no file or folder is called so" in capfd.readouterr().err


@pytest.mark.parametrize("verb", ["validate", "verify"])
@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("rootfs-typo", "read as docker://docker.io/library/rootfs-typo:latest; no file or folder is called so"),
        ("docker.io/rootfs-typo", ""),
        ("127.0.0.1:1/rootfs-typo", ""),
        ("oci:nowhere.json", ""),
    ],
)
def test_how_a_short_name_was_read(verb: str, name: str, reading: str) -> None:
    line = complaint(hpc3(verb, name, env={"https_proxy": "http://127.0.0.1:1"}), 3 if name.startswith("oci") else 4)
    assert ("read as" in line) == bool(reading)
    assert reading in line


@pytest.mark.parametrize("spelling", ["layout", "./layout"])
def test_a_folder_with_a_layout_is_an_image(spelling: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_layout(here / "layout", [], {})
    assert main(["validate", spelling]) == 1
    assert f"oci:{spelling}: " in capfd.readouterr().out
    assert main(["verify", spelling, "--no-isa"]) == 0


def test_any_other_folder_is_a_root_file_system(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "app").mkdir()
    assert main(["verify", "app", "--no-isa"]) == 0
    for name in ("app", "."):
        capfd.readouterr()
        assert main(["validate", name]) == 2
        assert f"{name}: is a folder without an OCI layout (an image is written docker://" in capfd.readouterr().err


def test_verify_takes_no_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "image.tar").write_bytes(b"")
    assert main(["verify", "image.tar"]) == 2
    assert "image.tar: is a file (an archive is written oci-archive:FILE)" in capfd.readouterr().err


@pytest.mark.parametrize(("text", "code"), [(json.dumps(GOOD_ANNOTATIONS), 0), (f'{DOCKERFILE}CMD ["x"]\n', 1)])
def test_a_pipe_is_read_as_a_file(text: str, code: int, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(here / "pipe")
    writer = Thread(target=(here / "pipe").write_text, args=(text,))
    writer.start()
    assert main(["validate", "pipe"]) == code
    writer.join()


@pytest.mark.parametrize("name", ["/dev/zero", "Dockerfile"])
def test_no_more_is_read_than_any_such_file_has(name: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "Dockerfile").write_text(DOCKERFILE + "#" * (8 << 20))
    assert main(["validate", name]) == 3
    assert f"{name}: is larger than 8 MiB" in capfd.readouterr().err


def test_annotations_beside_a_dockerfile_are_no_dockerfile(here: Path) -> None:
    (here / "Dockerfile.annotations.json").write_text(json.dumps(GOOD_ANNOTATIONS))
    assert main(["validate", "Dockerfile.annotations.json"]) == 0
