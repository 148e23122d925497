from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import InputError
from hpc3.evidence.inventory import take_inventory
from hpc3.evidence.layer_tree import LayerTree
from hpc3.evidence.tree import Entry
from hpc3.observed import Skipped
from unit.evidence.binaries import program_bytes

Member = "tuple[str, bytes | str | None]"


def layer(*members: tuple[str, bytes | str | None]) -> Callable[[], IO[bytes]]:
    """Return a layer of (name, content); a string is a link's target, None a folder."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size, info.mode = len(content), 0o755
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type = tarfile.DIRTYPE if content is None else tarfile.SYMTYPE
                info.linkname = content or ""
                tar.addfile(info)
    return lambda: io.BytesIO(raw.getvalue())


def contents(tree: LayerTree) -> dict[str, bytes]:
    found = {}
    for entry in tree.entries():
        if isinstance(entry, Entry) and entry.kind == "file":
            with tree.open(entry) as stream:
                found[entry.path] = stream.read()
    return found


def test_upper_layers_win_and_whiteouts_hide() -> None:
    lower = layer(("./a", b"old"), ("b", b"gone"), ("c/d", b"gone"), ("c/e", b"gone"), ("f/g", b"gone"), ("h", b"kept"))
    middle = layer(("a", b"new"), (".wh.b", b""), ("c/.wh..wh..opq", b""), ("c/i", b"in"), (".wh.f", b""))
    upper = layer(("f/g", b"back"), (".wh.nothing", b""))
    tree = LayerTree([lower, middle, upper])
    assert contents(tree) == {"a": b"new", "c/i": b"in", "h": b"kept", "f/g": b"back"}


def test_what_a_layer_hides_is_hidden_below_only() -> None:
    tree = LayerTree([layer(("a", b"1")), layer((".wh.a", b"")), layer(("a", b"3"))])
    assert contents(tree) == {"a": b"3"}
    assert contents(LayerTree([layer(("a", b"1")), layer((".wh.a", b""), ("a", b"2"))])) == {"a": b"2"}


def test_names_do_not_lead_out() -> None:
    tree = LayerTree([layer(("../../etc/passwd", b"x"), ("/abs", b"y"), ("l", "../../../etc/shadow"))])
    assert contents(tree) == {"etc/passwd": b"x", "abs": b"y"}


def test_the_walk_reads_programs_in_layers() -> None:
    tree = LayerTree([layer(("usr/bin/app", program_bytes()), ("bin", "usr/bin"), ("etc/os-release", b"ID=debian\n"))])
    inventory = take_inventory(tree)
    assert list(inventory.elf) == ["usr/bin/app"]
    assert inventory.commands("/bin") == {"app": "/usr/bin/app"}
    assert inventory.texts == {"etc/os-release": b"ID=debian\n"}


def test_devices_are_skipped() -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo("dev/sda")
        info.type = tarfile.BLKTYPE
        tar.addfile(info)
    (skipped,) = LayerTree([lambda: io.BytesIO(raw.getvalue())]).entries()
    assert skipped == Skipped("/dev/sda", "is a device, pipe or socket")


@pytest.mark.parametrize("cut", [100, 511, 513, 700, 1024])
def test_a_cut_layer_is_an_error_or_told(cut: int, tmp_path: Path) -> None:
    whole = layer(("a", b"x" * 2000))().read()
    tree = LayerTree([lambda: io.BytesIO(whole[:cut])])
    try:
        inventory = take_inventory(tree)
    except InputError as error:
        assert "layer 1 of 1" in str(error)  # noqa: PT017
    else:
        assert inventory.skipped


@given(st.binary(max_size=2000))
def test_garbage_is_refused(garbage: bytes) -> None:
    try:
        take_inventory(LayerTree([lambda: io.BytesIO(garbage)]))
    except InputError as error:
        assert "layer 1 of 1" in str(error)  # noqa: PT017


class GrowingLayer(io.RawIOBase):
    """The tar of one large file, made while it is read."""

    def __init__(self, name: str, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size = size
        self._head = info.tobuf()
        self._left = size + 10 * 512

    def read(self, size: int = -1) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        given = min(self._left, size if size >= 0 else self._left)
        self._left -= given
        return bytes(given)


def test_a_large_file_in_a_layer_stays_out_of_memory() -> None:
    size = 96 << 20
    tree = LayerTree([lambda: cast("IO[bytes]", GrowingLayer("opt/model.bin", size))])
    tracemalloc.start()
    try:
        inventory = take_inventory(tree)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert inventory.image_bytes == size
    assert not inventory.skipped
    assert peak < size // 3
