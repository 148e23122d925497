from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import InputError
from hpc3.oci.layers import read_files
from hpc3.oci.manifest import Descriptor, digest_of


class Layers:
    """Layers in memory, and which of them were read."""

    def __init__(self, *members: list[tuple[str, str | bytes | None]], pack: str = "") -> None:
        self.blobs = [packed(tar_of(entries), pack) for entries in members]
        self.descriptors = [Descriptor("application/x", digest_of(blob), len(blob)) for blob in self.blobs]
        self.read: list[int] = []

    def open(self, layer: Descriptor) -> Iterator[bytes]:
        number = self.descriptors.index(layer)
        self.read.append(number)
        blob = self.blobs[number]
        yield from (blob[i : i + 700] for i in range(0, len(blob), 700))

    def files(self, *paths: str) -> dict[str, bytes]:
        return dict(read_files(self.descriptors, self.open, paths))


def tar_of(entries: list[tuple[str, str | bytes | None]]) -> bytes:
    """Bytes make a file, ``-> target`` a symbolic link, ``= target`` a hard link, None a folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                kind, _, member.linkname = content.partition(" ")
                member.type = tarfile.SYMTYPE if kind == "->" else tarfile.LNKTYPE
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return stream.getvalue()


def packed(raw: bytes, pack: str) -> bytes:
    if pack == "gzip":
        half = len(raw) // 2
        return gzip.compress(raw[:half]) + gzip.compress(raw[half:])  # members as eStargz writes them
    if pack == "zstd":
        zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
        return bytes(zstandard.ZstdCompressor().compress(raw))
    return raw


@pytest.mark.parametrize("pack", ["", "gzip", "zstd"])
def test_the_newest_layer_wins(pack: str) -> None:
    layers = Layers([("etc/a", b"old"), ("etc/b", b"b")], [("./etc/a", b"new")], pack=pack)
    assert layers.files("etc/a", "etc/b", "etc/c") == {"etc/a": b"new", "etc/b": b"b"}


def test_reading_stops_when_everything_is_decided() -> None:
    layers = Layers([("a", b"1")], [("b", b"2")], [("a", b"3")])
    assert layers.files("a") == {"a": b"3"}
    assert layers.read == [2]


@pytest.mark.parametrize("whiteout", ["etc/.wh.a", ".wh.etc", "etc/.wh..wh..opq", ".wh..wh..opq"])
def test_whiteouts_hide_what_is_below(whiteout: str) -> None:
    layers = Layers([("etc/a", b"1"), ("etc/b", b"2")], [(whiteout, b""), ("x", b"3")])
    assert "etc/a" not in layers.files("etc/a", "x")


def test_a_whiteout_hides_nothing_of_its_own_layer() -> None:
    layers = Layers([("etc/a", b"1")], [("etc/.wh..wh..opq", b""), ("etc/a", b"2")])
    assert layers.files("etc/a") == {"etc/a": b"2"}


def test_a_whiteout_hides_its_name_only() -> None:
    layers = Layers([("etc/ab", b"1"), ("etc/a/b", b"2")], [("etc/.wh.a", b"")])
    assert layers.files("etc/ab", "etc/a/b") == {"etc/ab": b"1"}


def test_links_are_followed_through_layers() -> None:
    base = [("usr/lib/os-release", b"ID=x"), ("lib", "-> usr/lib"), ("usr/lib/libc.so.6", "-> libc-2.31.so")]
    layers = Layers([*base, ("usr/lib/libc-2.31.so", b"libc")], [("etc/os-release", "-> ../usr/lib/os-release")])
    found = layers.files("etc/os-release", "lib/libc.so.6")
    assert found == {"etc/os-release": b"ID=x", "lib/libc.so.6": b"libc"}


def test_links_never_leave_the_image() -> None:
    layers = Layers([("a", "-> ../../../etc/passwd"), ("b", "-> /etc/passwd"), ("etc/passwd", b"inside")])
    assert layers.files("a", "b") == {"a": b"inside", "b": b"inside"}


def test_hard_links_are_followed() -> None:
    assert Layers([("x", b"1"), ("y", "= x")]).files("y") == {"y": b"1"}


def test_loops_end() -> None:
    assert Layers([("a", "-> b"), ("b", "-> a"), ("c", "-> c/d")]).files("a", "c") == {}


def test_a_file_where_a_folder_was_hides_it() -> None:
    assert Layers([("a/b", b"1")], [("a", b"2")]).files("a/b") == {}


def test_folders_and_absent_files_are_left_out() -> None:
    assert Layers([("a", None)]).files("a", "b") == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda blob: blob[:-600], "bytes of digest"),
        (lambda blob: blob + b"\0", "longer than"),
        (lambda blob: b"\1" + blob[1:], "cannot be read|bytes of digest"),
        (lambda blob: b"\x1f\x8b" + blob[2:], "cannot be read"),
        (lambda blob: b"\x28\xb5\x2f\xfd" + blob[4:], "cannot be read"),
        (lambda blob: b"BZh9" + blob[4:], "packed in a way"),
        (lambda blob: os.urandom(len(blob)), "cannot be read|bytes of digest"),
    ],
)
def test_damaged_layers_are_refused(change, message: str) -> None:
    pytest.importorskip("zstandard", reason="zstandard is not installed")
    layers = Layers([("a", b"1" * 2000)])
    layers.blobs[0] = change(layers.blobs[0])
    with pytest.raises(InputError, match=message):
        layers.files("a")


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_layer_that_unpacks_without_end_is_refused(pack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpc3.oci.layers._UNPACKED_LIMIT", 1024 * 1024)
    layers = Layers([("zeros", bytes(2 * 1024 * 1024))], pack=pack)
    with pytest.raises(InputError, match="unpacks to more"):
        layers.files("a")


def test_a_header_too_large_to_hold_is_refused() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"comment": "x" * 2 * 1024 * 1024}
        tar.addfile(member)
    layers = Layers([])
    layers.blobs = [stream.getvalue()]
    layers.descriptors = [Descriptor("application/x", digest_of(layers.blobs[0]), len(layers.blobs[0]))]
    with pytest.raises(InputError, match="header is too large"):
        layers.files("a")


paths = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"])
contents = st.binary(max_size=3)
entries = st.dictionaries(paths, contents, max_size=4)


@given(st.lists(st.tuples(entries, st.sets(st.sampled_from(["a", "b", "d", "d/a", "d/e"]), max_size=2)), max_size=4))
def test_it_agrees_with_unpacking_layer_by_layer(layers: list[tuple[dict[str, bytes], set[str]]]) -> None:
    tree: dict[str, bytes] = {}
    members: list[list[tuple[str, str | bytes | None]]] = []
    for files, removed in layers:
        for gone in removed:
            tree = {path: raw for path, raw in tree.items() if path != gone and not path.startswith(gone + "/")}
        tree.update(files)
        whiteouts = [(str(Path(gone).with_name(f".wh.{Path(gone).name}")), b"") for gone in removed]
        members.append([*whiteouts, *files.items()])
    wanted = ["a", "b", "d/a", "d/b", "d/e/a"]
    assert Layers(*members).files(*wanted) == tree


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8), st.sampled_from(["", "gzip"]))
def test_any_damage_is_an_error_or_harmless(changes: list[tuple[int, int]], pack: str) -> None:
    layers = Layers([("a", b"1" * 700), ("l", "-> a"), ("d/x" * 40, b"2")], pack=pack)
    blob = bytearray(layers.blobs[0])
    for place, value in changes:
        blob[place % len(blob)] = value
    layers.blobs = [bytes(blob)]
    layers.descriptors = [Descriptor("application/x", digest_of(layers.blobs[0]), len(blob))]
    with contextlib.suppress(InputError):
        layers.files("a", "l", "absent")
