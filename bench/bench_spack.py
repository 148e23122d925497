"""What hpc3 costs inside Spack: ``containerize --annotate`` against Spack's own, and every other command.

The peer is Spack itself: its own ``containerize``, and the same Spack on a Python that does not know hpc3. The versions
are those of the tests, cloned into the user's cache; it is processor time that counts.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from measure import Measurement, measure, run_group

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the peers of the tests

import peers
import spack_peer

#: Spack's own containerize refuses images that it does not know, unless it is told how packages are installed.
CONTAINER = """
  container:
    images: {build: "docker.io/library/debian:12", final: "docker.io/library/debian:12"}
    os_packages: {command: apt}
"""


def measurements(quick: bool) -> Iterator[Measurement]:
    for version in spack_peer.VERSIONS[-1:] if quick else spack_peer.VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            yield from measure_spack(version, Path(folder), 1 if quick else 25)


def measure_spack(version: str, folder: Path, rounds: int) -> Iterator[Measurement]:
    spack = spack_peer.spack_in(folder / "home", version, spack_peer.python_with_hpc3())
    os.environ.update(spack.environ())
    del os.environ["SPACK_DISABLE_LOCAL_CONFIG"]
    os.chdir(environment_in(folder, spack))
    program = str(spack.folder / "bin" / "spack")
    own, annotate = [program, "-e", ".", "containerize"], [program, "-e", ".", "containerize", "--annotate"]
    first = measure(annotate, 1).processor
    python = {True: spack_peer.python_with_hpc3(), False: spack_peer.bare_python()}
    times = in_turn({"own": (own, python[True]), "annotate": (annotate, python[True])}, rounds)
    name = f"Spack {version}: containerize --annotate, to Spack's own"
    yield Measurement(name, times["annotate"] / times["own"], "times", 1.25, peer="spack containerize")
    yield Measurement(f"  {version}: the first time for a lock, when Spack is asked", first / times["own"], "times")
    for words in ("arch", "-e . find", "-e . containerize"):
        command = [program, *words.split()]
        times = in_turn({str(is_installed): (command, path) for is_installed, path in python.items()}, rounds)
        more = (times["True"] - times["False"]) * 1e3
        yield Measurement(
            f"  {version}: spack {words}, more than without hpc3", more, "ms", 10, peer="spack without hpc3"
        )


def environment_in(folder: Path, spack: spack_peer.Spack) -> Path:
    """Return a copy of the largest environment that this Spack reads, with a container section that its own takes."""
    environment = folder / "environment"
    large = peers.REPOSITORY / spack_peer.LARGEST[spack.has_packages_repository]
    shutil.copytree(large, environment, ignore=shutil.ignore_patterns("hpc3-metadata.json"))
    manifest = (environment / "spack.yaml").read_text("utf-8").split("\n  container:")[0].rstrip()
    (environment / "spack.yaml").write_text(manifest + CONTAINER, "utf-8")
    return environment


def in_turn(commands: Mapping[str, tuple[list[str], Path]], rounds: int) -> dict[str, float]:
    """Return the least processor time of each command on its Python, run in turn: other load then meets them alike."""
    least: dict[str, float] = {}
    for _ in range(rounds):
        for name, (command, python) in commands.items():
            os.environ["SPACK_PYTHON"] = str(python)
            least[name] = min(least.get(name, float("inf")), measure(command, 1).processor)
    return least


if __name__ == "__main__":
    run_group("Inside Spack (processor time)", measurements)
