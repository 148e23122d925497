from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import pytest

from hpc3.cli import main
from hpc3.vocabulary import key, vocabulary
from unit.consume.oci_layouts import layer_of_files, layer_of_folder, write_layout
from unit.consume.root_file_systems import build_root
from unit.consume.test_consume_validate import GOOD_ANNOTATIONS, GOOD_CONFIG, labels_for
from unit.consume.test_consume_verify import TRUE

STATED = {key(name): value for name, value in TRUE.items()}
CONFIG = {"Env": ["PATH=/opt/app/bin:/usr/bin"], "Cmd": ["/bin/bash", "-l"]}


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return layer_of_folder(build_root(tmp_path_factory.mktemp("root")))


def test_a_true_image(layer: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reference = write_layout(
        tmp_path / "layout", [layer], {**STATED, key("userland.tools"): "jq,solver"}, config=CONFIG
    )
    assert main(["verify", reference, "--format", "json"]) == 0
    verdicts = {c["key"]: c["verdict"] for c in json.loads(capfd.readouterr().out)["comparisons"]}
    assert set(verdicts.values()) == {"agrees"}
    assert set(STATED) <= set(verdicts)


def test_an_upper_layer_makes_it_a_lie(layer: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    upper = layer_of_files({"etc/os-release": b"ID=ubuntu\nVERSION_ID=24.04\n", "usr/bin/.wh.jq": b""})
    reference = write_layout(tmp_path / "layout", [layer, upper], STATED, config=CONFIG)
    assert main(["verify", reference, "--format", "json", "--no-isa"]) == 1
    compared = json.loads(capfd.readouterr().out)["comparisons"]
    lies = {c["key"] for c in compared if c["verdict"] == "contradicts"}
    assert {key("os.vendor"), key("os.version"), key("userland.tools")} <= lies
    assert key("mpi.version") not in lies


def test_labels_are_judged_where_there_is_no_annotation(layer: bytes, tmp_path: Path) -> None:
    reference = write_layout(tmp_path / "layout", [layer], {}, labels={key("mpi.implementation"): "mpich"})
    assert main(["verify", reference, "--no-isa"]) == 1


def test_an_archive(layer: bytes, tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", [layer], STATED, config=CONFIG)
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        for path in sorted((tmp_path / "layout").rglob("*")):
            if path.is_file():
                tar.add(path, arcname=str(path.relative_to(tmp_path / "layout")))
    assert main(["verify", f"oci-archive:{tmp_path / 'image.tar'}:tag", "--no-isa"]) == 0


def test_a_layer_that_is_not_what_its_digest_says(layer: bytes, tmp_path: Path) -> None:
    reference = write_layout(tmp_path / "layout", [layer], STATED)
    for blob in (tmp_path / "layout/blobs/sha256").iterdir():
        if blob.read_bytes() == layer:
            blob.write_bytes(layer_of_files({"a": b"b"}))
    assert main(["verify", reference]) == 3


def test_a_compression_bomb_is_read_in_pieces(tmp_path: Path) -> None:
    bomb = layer_of_files({"zeros": bytes(1), "etc/os-release": b"ID=debian\n"})
    packed = gzip.compress(bomb[:1024] + bomb[1024:] + bytes(300 << 20), 9)
    reference = write_layout(tmp_path / "layout", [packed], {key("os.vendor"): "debian"})
    assert main(["verify", reference]) == 0


def test_validate_reads_no_layer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = write_layout(
        tmp_path / "good", [b"no tar at all"], GOOD_ANNOTATIONS, labels_for(GOOD_ANNOTATIONS), GOOD_CONFIG
    )
    assert main(["validate", good]) == 0
    wrong = {**GOOD_CONFIG, "Entrypoint": ["/gmx"]}
    bad = write_layout(tmp_path / "bad", [b""], GOOD_ANNOTATIONS, labels_for(GOOD_ANNOTATIONS), wrong)
    assert main(["validate", bad]) == 1
    assert "HPC101" in capfd.readouterr().out
    assert all(name in vocabulary() for name in GOOD_ANNOTATIONS)
