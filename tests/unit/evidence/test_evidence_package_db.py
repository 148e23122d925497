from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.evidence.inventory import take_inventory
from hpc3.evidence.package_db import reader_for, upstream_version
from hpc3.evidence.tree import DirectoryTree


def packages(path: str, data: bytes) -> list[tuple[str, str, str]]:
    known = reader_for(path)
    assert known is not None
    return [(p.name, p.version, p.manager) for p in known[0](path, data)]


def test_dpkg() -> None:
    status = b"""Package: libopenmpi3
Status: install ok installed
Version: 4.1.4-3+b1
Description: x
 Version: 9

Package: gone
Status: deinstall ok config-files
Version: 1

Package: Epoch
Status: install ok installed
Version: 1:2.0+dfsg-1
"""
    assert packages("var/lib/dpkg/status", status) == [("libopenmpi3", "4.1.4", "dpkg"), ("epoch", "2.0", "dpkg")]


def test_apk() -> None:
    text = b"C:Q1x=\nP:musl\nV:1.2.4-r2\n\nP:busybox\nV:1.36.1-r5\n"
    assert packages("lib/apk/db/installed", text) == [("musl", "1.2.4", "apk"), ("busybox", "1.36.1", "apk")]


def rpm_header(name: bytes, version: bytes) -> bytes:
    store = name + b"\0" + version + b"\0"
    index = struct.pack(">IIII", 1000, 6, 0, 1) + struct.pack(">IIII", 1001, 6, len(name) + 1, 1)
    return struct.pack(">II", 2, len(store)) + index + store


def test_rpm(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "rpmdb.sqlite")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    for header in (rpm_header(b"openmpi", b"4.1.1"), b"short", struct.pack(">II", 1 << 30, 0)):
        database.execute("INSERT INTO Packages (blob) VALUES (?)", (header,))
    database.commit()
    database.close()
    data = (tmp_path / "rpmdb.sqlite").read_bytes()
    assert packages("var/lib/rpm/rpmdb.sqlite", data) == [("openmpi", "4.1.1", "rpm")]
    with pytest.raises(ValueError, match="not a readable RPM database"):
        packages("var/lib/rpm/rpmdb.sqlite", b"SQLite format 3\0" + bytes(4000))


def test_spack_easybuild_python_pkg_config() -> None:
    spec = {"spec": {"nodes": [{"name": "gromacs", "version": "2024.1"}, {"name": "fftw", "version": "3"}]}}
    spack = packages("opt/gromacs-abc/.spack/spec.json", json.dumps(spec).encode())
    assert spack == [("gromacs", "2024.1", "spack")]
    easyconfig = "opt/software/OpenMPI/4.1.6-GCC-13.2.0/easybuild/OpenMPI-4.1.6-GCC-13.2.0.eb"
    assert packages(easyconfig, b"") == [("openmpi", "4.1.6", "easybuild")]
    metadata = b"Metadata-Version: 2.1\nName: MPICH\nVersion: 5.0.2\n\nVersion: 9\n"
    assert packages("lib/mpich-5.0.2.dist-info/METADATA", metadata) == [("mpich", "5.0.2", "python")]
    assert packages("usr/lib/pkgconfig/ucx.pc", b"Name: ucx\nVersion: 1.13.1\n") == [("ucx", "1.13.1", "pkg-config")]
    assert packages("usr/lib/pkgconfig/ucx.pc", b"Version: ${v}\n") == []


@pytest.mark.parametrize("path", ["opt/x/.spack/spec.json", "usr/lib/sysimage/rpm/rpmdb.sqlite"])
def test_a_broken_database_is_told(path: str, tmp_path: Path) -> None:
    place = tmp_path / path
    place.parent.mkdir(parents=True)
    place.write_bytes(b"[" * 100_000)
    inventory = take_inventory(DirectoryTree(tmp_path))
    assert [s.path for s in inventory.skipped] == [f"/{path}"]


@given(
    st.sampled_from(["var/lib/dpkg/status", "lib/apk/db/installed", "a/.spack/spec.json", "a.dist-info/METADATA"]),
    st.binary(max_size=200),
)
def test_garbage_is_an_error_or_nothing(path: str, data: bytes) -> None:
    with contextlib.suppress(ValueError):
        packages("x/" + path if path.startswith("a") else path, data)


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [
        ("4.1.4-3+b1", "4.1.4"),
        ("0.3.21+ds-4", "0.3.21"),
        ("1:1.2.13.dfsg-1", "1.2.13.dfsg"),
        ("2.36-9+deb12u9", "2.36"),
        ("5", "5"),
    ],
)
def test_upstream_version(debian: str, upstream: str) -> None:
    assert upstream_version(debian) == upstream
