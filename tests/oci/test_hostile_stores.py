"""Layouts and archives that are damaged or made to do harm are refused, and nothing outside them is read or written."""

from __future__ import annotations

import io
import json
import resource
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from oci.oci_peers import Done, hpc3, hpc3_ok, run

pytestmark = pytest.mark.images


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def manifest_of(layout: Path) -> tuple[str, dict]:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return entry["digest"], json.loads(blob(layout, entry["digest"]).read_text())


def remove_config(layout: Path) -> None:
    blob(layout, manifest_of(layout)[1]["config"]["digest"]).unlink()


def remove_manifest(layout: Path) -> None:
    blob(layout, manifest_of(layout)[0]).unlink()


def change_config(layout: Path) -> None:
    path = blob(layout, manifest_of(layout)[1]["config"]["digest"])
    path.write_bytes(path.read_bytes().replace(b"amd64", b"arm64"))


def lead_out(layout: Path) -> None:
    path = blob(layout, manifest_of(layout)[1]["config"]["digest"])
    outside = layout.parent / "outside"
    shutil.move(path, outside)
    path.symlink_to(outside)


def lead_index_out(layout: Path) -> None:
    shutil.move(layout / "index.json", layout.parent / "index.json")
    (layout / "index.json").symlink_to("../index.json")


def name_a_path(layout: Path) -> None:
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["digest"] = "sha256:../../../../etc/passwd"
    (layout / "index.json").write_text(json.dumps(index))


def grow_index(layout: Path) -> None:
    with (layout / "index.json").open("a") as stream:
        stream.write(" " * 4 * 1024 * 1024)


def state_another_version(layout: Path) -> None:
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "9"}')


DAMAGES = [
    remove_config, remove_manifest, change_config, lead_out, lead_index_out, name_a_path, grow_index,
    state_another_version,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_layout_is_refused(layout: Path, wanted: Path, damage) -> None:
    damage(layout)
    before = (layout / "index.json").read_bytes()
    for arguments in (("apply", f"oci:{layout}", "--from", wanted), ("inspect", f"oci:{layout}")):
        done = hpc3(*arguments)
        assert (done.code, done.out) == (3, ""), done.err
        assert "root:" not in done.err
    assert (layout / "index.json").read_bytes() == before


def test_a_missing_layer_is_an_error_where_layers_are_read(layout: Path, wanted: Path) -> None:
    blob(layout, manifest_of(layout)[1]["layers"][0]["digest"]).unlink()
    assert "missing" in hpc3("apply", f"oci:{layout}", "--from", wanted, "--complete").err
    hpc3_ok("apply", f"oci:{layout}", "--from", wanted)


def add_member(archive: Path, name: str, content: bytes = b"{}", kind: bytes = tarfile.REGTYPE) -> None:
    with tarfile.open(archive, "a") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content) if kind == tarfile.REGTYPE else 0
        member.type = kind
        member.linkname = "/etc/passwd"
        tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../escaped", tarfile.REGTYPE),
        ("/etc/escaped", tarfile.REGTYPE),
        ("blobs/../../escaped", tarfile.REGTYPE),
        ("oci-layout", tarfile.REGTYPE),
        ("link", tarfile.SYMTYPE),
        ("link", tarfile.LNKTYPE),
        ("device", tarfile.CHRTYPE),
    ],
)
def test_an_archive_with_a_bad_member_is_refused(archive: Path, wanted: Path, name: str, kind: bytes) -> None:
    add_member(archive, name, kind=kind)
    before = archive.read_bytes()
    done = hpc3("apply", f"oci-archive:{archive}:v1", "--from", wanted)
    assert (done.code, done.out) == (3, ""), done.err
    assert archive.read_bytes() == before


def test_a_compressed_archive_is_refused_with_advice(archive: Path, wanted: Path) -> None:
    run("gzip", archive)
    done = hpc3("apply", f"oci-archive:{archive}.gz:v1", "--from", wanted)
    assert done.code == 3
    assert "unpacked" in done.err


@pytest.mark.parametrize("cut", [100, 700, 10000])
def test_a_cut_archive_is_refused_or_rewritten_whole(archive: Path, wanted: Path, cut: int) -> None:
    raw = archive.read_bytes()
    archive.write_bytes(raw[:cut])
    done = hpc3("apply", f"oci-archive:{archive}:v1", "--from", wanted)
    assert done.code == 3
    assert archive.read_bytes() == raw[:cut]


def test_an_archive_without_end_mark_is_rewritten(archive: Path, wanted: Path) -> None:
    archive.write_bytes(archive.read_bytes().rstrip(b"\0"))
    with archive.open("ab") as stream:
        stream.write(bytes(-archive.stat().st_size % 512))
    hpc3_ok("apply", f"oci-archive:{archive}:v1", "--from", wanted)
    assert b"software.name" in run("skopeo", "inspect", "--raw", f"oci-archive:{archive}:v1").encode()


def limited(limit: int, *arguments: str | Path) -> Done:
    """Run with a limit on the size of files, which fails writes as a full disk does."""
    done = subprocess.run(
        [sys.executable, "-m", "hpc3.cli", *[str(a) for a in arguments]],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_full_disk_leaves_a_layout_whole(layout: Path, wanted: Path) -> None:
    before = (layout / "index.json").read_bytes()
    for limit in (0, 100, 900):
        done = limited(limit, "apply", f"oci:{layout}", "--from", wanted)
        assert done.code == 4, done.err
        assert "Traceback" not in done.err
        assert (layout / "index.json").read_bytes() == before
        assert sorted(path.name for path in layout.iterdir()) == ["blobs", "index.json", "oci-layout"]
    hpc3_ok("apply", f"oci:{layout}", "--from", wanted)


@pytest.mark.parametrize("options", [[], ["--compact"]])
def test_a_full_disk_leaves_an_archive_whole(archive: Path, wanted: Path, options: list[str]) -> None:
    before = run("skopeo", "inspect", "--raw", f"oci-archive:{archive}:v1")
    size = archive.stat().st_size
    done = limited(size + 100, "apply", f"oci-archive:{archive}:v1", "--from", wanted, *options)
    if options:
        assert done.code == 0 or "cannot be written" in done.err  # a compact archive may be smaller
    else:
        assert (done.code, "cannot be written" in done.err) == (4, True), done.err
        assert run("skopeo", "inspect", "--raw", f"oci-archive:{archive}:v1") == before
    hpc3_ok("apply", f"oci-archive:{archive}:v1", "--from", wanted)


def test_absent_stores_are_errors(tmp_path: Path, wanted: Path) -> None:
    for reference in (f"oci:{tmp_path}/absent", f"oci-archive:{tmp_path}/absent.tar"):
        assert hpc3("inspect", reference).code == 3
    assert hpc3("apply", "docker-archive:x.tar", "--from", wanted).code == 2
    assert hpc3("apply", "--from", wanted).code == 2
    assert hpc3("apply", "oci:x").code == 2
