"""``validate`` and ``verify`` on images made to harm: one line of error or a word about what was skipped, no more."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.cli import main
from hpc3.vocabulary import key
from unit.consume.oci_layouts import layer_of_files, write_layout

HONEST = layer_of_files({"etc/os-release": b"ID=debian\n", "bin/sh": b"#!/bin/sh\n" * 10})
STATED = {key("os.vendor"): "debian", key("hardware.cpu.optimized.version"): "x86_64"}


def with_member(change: Callable[[tarfile.TarInfo], None], content: bytes = b"") -> bytes:
    """Return the honest layer with one more member."""
    raw = io.BytesIO(HONEST)
    with tarfile.open(fileobj=raw, mode="a") as tar:
        member = tarfile.TarInfo("evil")
        member.size = len(content)
        change(member)
        tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def of_type(kind: bytes, target: str = "", name: str = "evil") -> Callable[[tarfile.TarInfo], None]:
    def change(member: tarfile.TarInfo) -> None:
        member.type, member.linkname, member.name = kind, target, name

    return change


def comment(size: int) -> Callable[[tarfile.TarInfo], None]:
    def change(member: tarfile.TarInfo) -> None:
        member.pax_headers = {"comment": "x" * size}

    return change


def sparse() -> bytes:
    """Return the honest layer with a file of 7 GiB in 512 bytes, as GNU tar writes holes (old GNU format)."""
    member = tarfile.TarInfo("giant")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"%011o\0" % (7 << 30), b"%011o\0" % 0
    header[483:495] = b"%011o\0" % (7 << 30)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return HONEST[: HONEST.rindex(b"#!/bin/sh") // 512 * 512 + 512] + bytes(header) + bytes(1024)


def broken_deflate() -> bytes:
    packed = gzip.compress(HONEST, mtime=0)
    return packed[:30] + b"\xff" * 16 + packed[46:]


UNREADABLE: Mapping[str, bytes] = {
    "noise": os.urandom(4096),
    "gzip, cut": gzip.compress(HONEST)[:-30],
    "gzip, broken": broken_deflate(),
    "gzip of noise": gzip.compress(os.urandom(4096)),
    "zlib": b"\x1f\x8b" + zlib.compress(HONEST),
    "header that fills the memory": with_member(comment(64 << 20)),
}
READABLE: Mapping[str, bytes] = {
    "link to itself": with_member(of_type(tarfile.SYMTYPE, "evil")),
    "links in a ring": with_member(of_type(tarfile.SYMTYPE, "/evil", "bin/evil")),
    "absolute link": with_member(of_type(tarfile.SYMTYPE, "/etc/shadow", "etc/debian_version")),
    "hard link to nothing": with_member(of_type(tarfile.LNKTYPE, "nothing")),
    "hard link to itself": with_member(of_type(tarfile.LNKTYPE, "evil")),
    "name that leads out": with_member(
        of_type(tarfile.REGTYPE, "", "../../../../tmp/hpc3-evil"), b"\x7fELF" + bytes(60)
    ),
    "device": with_member(of_type(tarfile.BLKTYPE)),
    "pipe": with_member(of_type(tarfile.FIFOTYPE)),
    "unheard-of type": with_member(of_type(b"Z")),
    "steering name": with_member(of_type(tarfile.REGTYPE, "", "\x1b[2J\n"), b"\x7fELF" + bytes(60)),
    "elf of nothing": with_member(of_type(tarfile.REGTYPE), b"\x7fELF" + os.urandom(4096)),
    "sparse giant": sparse(),
    "file where a folder was": with_member(of_type(tarfile.REGTYPE, "", "etc"), b"x"),
}


def judged(layer: bytes, folder: Path) -> tuple[int, int]:
    reference = write_layout(folder / "layout", [HONEST, layer], STATED)
    return main(["validate", reference]), main(["verify", reference, "--processes", "1"])


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_layer_that_cannot_be_read_is_one_line(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert judged(UNREADABLE[name], tmp_path) == (1, 3)
    errors = [line for line in capfd.readouterr().err.splitlines() if "rejected" not in line]
    assert len(errors) == 1
    assert "layer" in errors[0]


@pytest.mark.parametrize("name", READABLE)
def test_a_layer_that_can_be_read_does_no_harm(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    validated, verified = judged(READABLE[name], tmp_path)
    said = "".join(capfd.readouterr())
    assert validated == 1
    assert verified in (0, 1)
    assert "\x1b" not in said
    assert "Traceback" not in said
    assert not Path("/tmp/hpc3-evil").exists()
    assert ("skipped /giant: cannot be read: is too large" in said) == (name == "sparse giant")


def test_a_layer_without_end_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc3.oci.layers._UNPACKED_LIMIT", 1 << 20)
    reference = write_layout(tmp_path / "layout", [gzip.compress(HONEST + bytes(32 << 20))], STATED)
    zeros = write_layout(tmp_path / "zeros", [gzip.compress(layer_of_files({"zeros": bytes(2 << 20)}))], STATED)
    assert main(["verify", zeros]) == 3
    assert "unpacks to more" in capfd.readouterr().err
    assert main(["verify", reference]) in (0, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"Env": [1, None, "=", "PATH"], "Cmd": "sh", "Entrypoint": {}, "Volumes": []}},
        {"config": {"Healthcheck": {"Test": 5}, "OnBuild": "RUN", "User": ["root"], "WorkingDir": 7}},
        {"labels": {key("mpi.version"): "\x1b]0;evil\x07", "x" * 5000: "y"}},
        {"rootfs": [], "history": {}},
        {"rootfs": {"diff_ids": "sha256:"}, "history": [1, {"created_by": [], "created": {}}]},
        {"config": {"Env": [f"A{number}=b" for number in range(20_000)]}},
    ],
)
def test_metadata_of_any_shape_is_judged(
    change: dict[str, dict[str, object]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reference = write_layout(tmp_path / "layout", [HONEST], STATED, **change)  # type: ignore[arg-type]
    assert main(["validate", reference, "--base", reference]) in (1, 3)
    assert main(["verify", reference, "--no-isa"]) in (0, 1, 3)
    out, err = capfd.readouterr()
    assert "\x1b" not in out + err
    assert "Traceback" not in err


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 1 << 70), st.text(max_size=5), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
PLACES = [
    *(
        f"config/config/{name}"
        for name in ("Cmd", "Entrypoint", "Env", "Healthcheck", "Labels", "OnBuild", "User", "Volumes", "WorkingDir")
    ),
    *(f"config/{name}" for name in ("architecture", "config", "created", "history", "os", "rootfs", "variant")),
    "config/rootfs/diff_ids",
    *(f"manifest/{name}" for name in ("annotations", "artifactType", "config", "layers", "mediaType", "subject")),
    *(f"manifest/config/{name}" for name in ("annotations", "digest", "mediaType", "size", "urls")),
    *(f"index/{name}" for name in ("annotations", "manifests", "mediaType", "schemaVersion")),
    *(f"index/manifests/0/{name}" for name in ("annotations", "digest", "mediaType", "platform", "size")),
]
VERBS = [
    ["inspect"], ["validate"], ["verify", "--no-isa"], ["check"], ["tweak", "--engine", "podman"],
    ["apply", "--verify", "--no-isa", "--dry-run"],
]  # fmt: skip
EXIT_CODES = {0, 1, 2, 3, 4, 10, 20, 30}  # 2: an artifact is not annotated; 4: no image is left in the layout


def put(value: object, path: list[str], document: Any) -> Any:
    """Return a JSON document with a value in one place."""
    if not path:
        return value
    step: Any = int(path[0]) if isinstance(document, list) else path[0]
    document[step] = put(value, path[1:], document[step] if len(path) > 1 else None)
    return document


def spoil(layout: Path, place: str, value: object) -> str:
    """Put a value somewhere into the documents of a layout with one image, their digests right again."""

    def blob(descriptor: dict[str, Any]) -> Any:
        return json.loads((layout / "blobs/sha256" / descriptor["digest"][7:]).read_bytes())

    def store(document: object, descriptor: dict[str, Any]) -> None:
        raw = json.dumps(document).encode()
        descriptor.update(digest=f"sha256:{hashlib.sha256(raw).hexdigest()}", size=len(raw))
        (layout / "blobs/sha256" / descriptor["digest"][7:]).write_bytes(raw)

    which, *path = place.split("/")
    index = json.loads((layout / "index.json").read_bytes())
    entry = index["manifests"][0]
    manifest = blob(entry)
    if which == "config":
        store(put(value, path, blob(manifest["config"])), manifest["config"])
    store(put(value, path, manifest) if which == "manifest" else manifest, entry)
    (layout / "index.json").write_text(json.dumps(put(value, path, index) if which == "index" else index))
    return f"oci:{layout}"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PLACES), JUNK, st.sampled_from(VERBS))
def test_no_value_anywhere_breaks_a_verb(place: str, value: object, verb: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_layout(Path(folder) / "layout", [HONEST], STATED)
        code = main([verb[0], spoil(Path(folder) / "layout", place, value), *verb[1:], "--quiet"])
    assert code in EXIT_CODES
