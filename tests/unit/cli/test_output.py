"""A file appears whole or not at all; what was there before stays when anything fails."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from hpc3.cli.output import write_product
from unit.cli.process import HPC3, complaint, hpc3
from unit.conftest import Refused
from unit.locks import COMMITTED

ZLIB = COMMITTED / "v1.1.0" / "zlib-generic"


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("product", ["Grüße\n", b"\x00\xff"])
def test_new_file(tmp_path: Path, product: str | bytes) -> None:
    write_product(product, str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == (product.encode() if isinstance(product, str) else product)
    assert listing(tmp_path) == ["out"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_file_has_the_mode_of_any_new_file(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_product("x", str(tmp_path / "out"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode


def test_old_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    (tmp_path / "out").chmod(0o640)
    write_product("new", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


@pytest.mark.parametrize("exists", [True, False])
def test_link_stays_a_link(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    if exists:
        (tmp_path / "elsewhere" / "real").write_text("old")
    (tmp_path / "link").symlink_to("elsewhere/real")
    write_product("new", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "real").read_text() == "new"
    assert listing(tmp_path) == ["elsewhere", "link"]


def test_link_to_another_file_system(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    target = other / f"hpc3-test-{os.getpid()}"
    try:
        (tmp_path / "link").symlink_to(target)
        write_product("new", str(tmp_path / "link"))
        assert target.read_text() == "new"
        assert listing(tmp_path) == ["link"]
    finally:
        target.unlink(missing_ok=True)


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    result = hpc3("annotations", ZLIB, "-o", "/dev/stdout", "--quiet")
    assert result.stdout == hpc3("annotations", ZLIB, "--quiet").stdout


@pytest.mark.parametrize("path", ["gone/out", "", "file/out", ".", "x" * 300])
def test_places_that_cannot_be(tmp_path: Path, path: str, refused: Refused) -> None:
    (tmp_path / "file").touch()
    with refused(str(tmp_path)[:10], "cannot be written"):
        write_product("x", f"{tmp_path}/{path}")
    assert listing(tmp_path) == ["file"]


def test_name_with_a_nul(refused: Refused) -> None:
    with refused("cannot be written"):
        write_product("x", "a\x00b")


@pytest.mark.parametrize("exists", [True, False])
def test_disk_that_fills(tmp_path: Path, exists: bool) -> None:
    """A limit on the size of files fails in the middle of a write, as a disk does that fills."""
    output = tmp_path / "Dockerfile"
    if exists:
        output.write_text("old")

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    line = complaint(hpc3("containerize", ZLIB, "-o", output, "--quiet", prepare=small_disk), 3)
    assert f"{output}: cannot be written: File too large" in line
    assert listing(tmp_path) == (["Dockerfile"] if exists else [])
    assert not exists or output.read_text() == "old"


def mounted(folder: Path, options: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where ``folder`` is a file system of its own, in a mount namespace that ends with it."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("mounting a file system of its own needs unshare and root")
    script = 'mount -t tmpfs -o "$1" none "$2" || exit 77; shift 2; "$@"; code=$?; ls -A "$0"; exit $code'
    words = ["unshare", "-m", "sh", "-c", script, str(folder), options, str(folder), *command]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode == 77:
        pytest.skip(f"a tmpfs cannot be mounted here: {result.stderr.strip()}")
    return result


def test_real_disk_that_fills(tmp_path: Path) -> None:
    result = mounted(
        tmp_path, "size=8k", *HPC3, "containerize", str(ZLIB), "-o", str(tmp_path / "Dockerfile"), "--quiet"
    )
    assert f"{tmp_path}/Dockerfile: cannot be written: No space left on device" in complaint(result, 3)


def test_folder_that_is_read_only(tmp_path: Path) -> None:
    result = mounted(tmp_path, "ro", *HPC3, "containerize", str(ZLIB), "-o", str(tmp_path / "Dockerfile"), "--quiet")
    assert f"{tmp_path}/Dockerfile: cannot be written: Read-only file system" in complaint(result, 3)
