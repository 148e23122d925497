"""``spack containerize --annotate`` on a real environment, by every way to name it, and on bad ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spack_peer import Spack

pytestmark = pytest.mark.spack


def annotate(spack: Spack, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return spack.run("containerize", "--annotate", *arguments, cwd=cwd)


def hpc3(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hpc3.cli", *arguments], capture_output=True, text=True, check=False)


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of an error; what hpc3 says besides stands before it."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("hpc3: ")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("==> Error: ")
    assert "Traceback" not in result.stderr
    return lines[0]


def test_every_way_to_name_an_environment_gives_the_same(spack: Spack, zlib: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    results = [
        annotate(spack, cwd=zlib),
        spack.run("-e", str(zlib), "containerize", "--annotate", cwd=elsewhere),
        spack.run("-D", str(zlib), "containerize", "--annotate", cwd=elsewhere),
        spack.run("containerize", "--annotate", cwd=elsewhere, SPACK_ENV=str(zlib)),
        spack.run("hpc3", "containerize", str(zlib), cwd=elsewhere),
        spack.run("-e", str(zlib), "hpc3", "containerize", cwd=elsewhere),
        spack.run("hpc3", "containerize", str(zlib / "spack.yaml"), cwd=elsewhere),
    ]
    for result in results:
        assert result.returncode == 0, result.stderr
        assert result.stdout == results[0].stdout
    assert '"org.opencontainers.image.title"="zlib"' in results[0].stdout


def test_output_and_check(spack: Spack, zlib: Path) -> None:
    assert annotate(spack, "-o", "Dockerfile", cwd=zlib).returncode == 0
    assert annotate(spack, "--check", "Dockerfile", cwd=zlib).returncode == 0
    with (zlib / "Dockerfile").open("a") as stream:
        stream.write("# by hand\n")
    result = annotate(spack, "--check", "Dockerfile", cwd=zlib)
    assert result.returncode == 1
    assert "-# by hand" in result.stdout


def test_apptainer_definition(spack: Spack, zlib: Path) -> None:
    result = annotate(spack, "--format", "apptainer", cwd=zlib)
    assert result.returncode == 0, result.stderr
    assert "Bootstrap:" in result.stdout


def test_what_spack_was_asked_is_kept_and_serves_without_spack(spack: Spack, zlib: Path) -> None:
    with_spack = annotate(spack, cwd=zlib)
    cache = zlib / "hpc3-metadata.json"
    first = cache.read_bytes()
    without_spack = hpc3("containerize", str(zlib))
    assert without_spack.stdout == with_spack.stdout
    document = json.loads(first)
    packages = {entry.get("homepage"): entry for entry in document["packages"].values()}
    zlib_entry = next(entry for homepage, entry in packages.items() if "zlib" in str(homepage))
    assert zlib_entry["license"] == "Zlib"
    assert zlib_entry["source_url"].startswith("http")
    assert len(zlib_entry["source_sha256"]) == 64
    for path in (spack.folder, spack.home, zlib):
        assert str(path) not in first.decode()
    annotate(spack, cwd=zlib)
    assert cache.read_bytes() == first
    cache.unlink()
    annotate(spack, cwd=zlib)
    assert cache.read_bytes() == first, "asking Spack again gives other bytes"


def test_packages_are_pinned_to_what_spack_used(spack: Spack, zlib: Path) -> None:
    if not spack.has_packages_repository:
        pytest.skip(f"the packages of Spack {spack.version} are part of it")
    recipe = annotate(spack, cwd=zlib).stdout
    assert 'ARG SPACK_PACKAGES_URL="https://github.com/spack/spack-packages.git"' in recipe
    repository = json.loads((zlib / "hpc3-metadata.json").read_text("utf-8"))["repository"]
    assert f'ARG SPACK_PACKAGES_REF="{repository["ref"]}"' in recipe
    assert len(repository["ref"]) == 40


def test_metadata_of_another_lock_is_not_used(spack: Spack, zlib: Path) -> None:
    annotate(spack, cwd=zlib)
    cache = zlib / "hpc3-metadata.json"
    document = json.loads(cache.read_text("utf-8"))
    cache.write_text(json.dumps({**document, "lock": "sha256:" + "0" * 64}), "utf-8")
    assert annotate(spack, cwd=zlib).returncode == 0
    assert json.loads(cache.read_text("utf-8")) == document


def test_damaged_metadata_names_file_and_remedy(spack: Spack, zlib: Path) -> None:
    (zlib / "hpc3-metadata.json").write_text("{", "utf-8")
    result = annotate(spack, cwd=zlib)
    assert result.returncode == 3
    assert "hpc3-metadata.json" in error_line(result)


def test_read_only_folder_is_a_warning(spack: Spack, zlib: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; test_metadata_file_that_cannot_be_written stands for it")
    zlib.chmod(0o555)
    try:
        result = annotate(spack, cwd=zlib)
    finally:
        zlib.chmod(0o755)
    assert result.returncode == 0
    assert "Spack will be asked again" in result.stderr


def test_metadata_file_that_cannot_be_written(spack: Spack, zlib: Path) -> None:
    complete = annotate(spack, cwd=zlib).stdout
    (zlib / "hpc3-metadata.json").unlink()
    (zlib / "hpc3-metadata.json").mkdir()
    result = annotate(spack, cwd=zlib)
    assert result.returncode == 0, result.stderr
    assert result.stdout == complete
    assert "Spack will be asked again" in result.stderr


def test_no_environment(spack: Spack, tmp_path: Path) -> None:
    result = annotate(spack, cwd=tmp_path)
    assert result.returncode == 3
    assert "there is no spack.yaml" in error_line(result)
    assert "spack -e" in error_line(result)


def test_missing_lock(spack: Spack, zlib: Path) -> None:
    (zlib / "spack.lock").unlink()
    for result in (annotate(spack, cwd=zlib), spack.run("-e", str(zlib), "containerize", "--annotate")):
        assert result.returncode == 3
        assert "there is no spack.lock" in error_line(result)
        assert "spack -e . concretize" in error_line(result)
        assert "--concretize" in error_line(result)


@pytest.mark.parametrize(
    ("specs", "complaint"),
    [
        ("[zlib target=x86_64, libiconv]", "asks for libiconv"),
        ("[zlib +shared target=x86_64]", "asks for zlib+shared"),
        ("[]", "no longer asks for zlib"),
    ],
)
def test_stale_lock(spack: Spack, zlib: Path, specs: str, complaint: str) -> None:
    (zlib / "spack.yaml").write_text(
        f"spack:\n  specs: {specs}\n  concretizer: {{unify: true, reuse: false}}\n", "utf-8"
    )
    result = annotate(spack, cwd=zlib)
    assert result.returncode == 3
    assert complaint in error_line(result)
    assert "spack -e . concretize" in error_line(result)


def test_concretize_makes_the_lock(spack: Spack, zlib: Path) -> None:
    (zlib / "spack.lock").unlink()
    result = annotate(spack, "--concretize", cwd=zlib)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("# zlib 1.")
    assert "Concretized" in result.stderr or "concretized" in result.stderr.lower()
    lock = (zlib / "spack.lock").read_bytes()
    again = spack.run("-e", str(zlib), "containerize", "--annotate", "--concretize")
    assert again.stdout == result.stdout
    assert (zlib / "spack.lock").read_bytes() == lock


BAD_LOCKS = {
    "empty": b"",
    "cut off": b'{"_meta": {"file-type": "spack-lockfile", "lockfile-ver',
    "binary": bytes(range(256)),
    "not a lock": b'{"a": 1}',
    "unknown version": b'{"_meta": {"file-type": "spack-lockfile", "lockfile-version": 99}}',
    "list": b"[]",
}


@pytest.mark.parametrize("content", BAD_LOCKS.values(), ids=BAD_LOCKS)
def test_bad_lock(spack: Spack, zlib: Path, content: bytes) -> None:
    (zlib / "spack.lock").write_bytes(content)
    result = annotate(spack, "-o", "Dockerfile", cwd=zlib)
    assert result.returncode == 3
    assert "spack.lock" in error_line(result)
    assert not (zlib / "Dockerfile").exists()


@pytest.mark.parametrize("content", [b"", b"spack: [", b"\xff\xfe", b"- a\n", b"spack:\n  container: 5\n"], ids=repr)
def test_bad_manifest(spack: Spack, zlib: Path, content: bytes) -> None:
    (zlib / "spack.yaml").write_bytes(content)
    result = annotate(spack, cwd=zlib)
    assert result.returncode == 3
    assert "spack.yaml" in error_line(result)


def test_output_that_cannot_be_written(spack: Spack, zlib: Path) -> None:
    result = annotate(spack, "-o", "no/such/folder/Dockerfile", cwd=zlib)
    assert result.returncode == 3
    assert "no/such/folder/Dockerfile" in error_line(result)


def test_unknown_root(spack: Spack, zlib: Path) -> None:
    result = annotate(spack, "--root", "gromacs", cwd=zlib)
    assert result.returncode == 3
    assert "no root is 'gromacs'; the roots are zlib/" in error_line(result)
