from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import InputError
from hpc3.evidence.inventory import DEFAULT_PATH, take_inventory
from hpc3.evidence.tree import DirectoryTree, Entry, resolve
from hpc3.observed import Skipped


def test_entries_come_once_in_order(tmp_path: Path) -> None:
    (tmp_path / "b" / "d").mkdir(parents=True)
    (tmp_path / "a").write_text("x")
    (tmp_path / "b" / "c").write_text("xyz")
    (tmp_path / "l").symlink_to("/b/c")
    entries = [e for e in DirectoryTree(tmp_path).entries() if isinstance(e, Entry)]
    assert [(e.path, e.kind, e.size) for e in entries] == [
        ("a", "file", 1),
        ("b", "directory", 0),
        ("l", "link", 0),
        ("b/c", "file", 3),
        ("b/d", "directory", 0),
    ]
    assert entries[2].target == "/b/c"


def test_loops_and_links_out_of_the_tree_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "outside").symlink_to("/etc")
    (tmp_path / "self").symlink_to("self")
    assert {e.kind for e in DirectoryTree(tmp_path).entries() if isinstance(e, Entry)} == {"link"}


def test_pipes_and_sockets_are_skipped_with_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tmp_path)  # the path of a socket is short
        listener.bind("socket")
        skipped = [e for e in DirectoryTree(tmp_path).entries() if isinstance(e, Skipped)]
    assert {(s.path, s.reason) for s in skipped} == {
        ("/pipe", "is a device, pipe or socket"),
        ("/socket", "is a device, pipe or socket"),
    }


def test_a_link_that_takes_a_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    tree = DirectoryTree(tmp_path)
    (entry,) = [e for e in tree.entries() if isinstance(e, Entry)]
    (tmp_path / "file").unlink()
    (tmp_path / "file").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        tree.open(entry)


def test_unreadable_things_are_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "secret").mkdir(mode=0)
    inventory = take_inventory(DirectoryTree(tmp_path))
    assert "cannot be read" in inventory.skipped[0].reason


def test_a_sparse_giant_costs_nothing(tmp_path: Path) -> None:
    with (tmp_path / "giant").open("wb") as stream:
        stream.write(b"\x7fELF\x02\x01\x01")
        stream.truncate(1 << 42)
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    with (tmp_path / "var/lib/dpkg/status").open("wb") as stream:
        stream.truncate(1 << 40)
    inventory = take_inventory(DirectoryTree(tmp_path))
    assert [s.path for s in inventory.skipped] == ["/var/lib/dpkg/status"]
    assert inventory.image_bytes == (1 << 42) + (1 << 40)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        DirectoryTree(tmp_path / "none")


def test_commands_follow_links_inside_the_tree(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    tool = tmp_path / "usr/bin/tool-1"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    (tmp_path / "usr/bin/tool").symlink_to("/bin/tool-1")
    (tmp_path / "usr/bin/broken").symlink_to("/nowhere")
    (tmp_path / "usr/bin/data").write_text("")
    found = take_inventory(DirectoryTree(tmp_path)).commands(DEFAULT_PATH)
    assert found == {"tool": "/usr/bin/tool", "tool-1": "/usr/bin/tool-1"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("lib/libmpi.so", "usr/lib/libmpi.so.40.30.4"),
        ("/lib/x", "usr/lib/x"),
        ("usr/../../../lib/x", "usr/lib/x"),
        ("loop/x", ""),
        ("a/b", "a/b"),
    ],
)
def test_resolve(path: str, expected: str) -> None:
    links = {"lib": "usr/lib", "usr/lib/libmpi.so": "libmpi.so.40.30.4", "loop": "pool", "pool": "/loop"}
    assert resolve(path, links) == expected


@given(st.text("ab/.", max_size=12), st.dictionaries(st.text("ab/", max_size=4), st.text("ab/.", max_size=8)))
def test_resolve_always_ends_inside(path: str, links: dict[str, str]) -> None:
    found = resolve(path, links)
    assert not found.startswith("/")
    assert ".." not in found.split("/")
