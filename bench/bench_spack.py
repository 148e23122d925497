"""What hpc3 costs inside Spack: ``containerize --annotate`` against Spack's own, and every other command.

``python bench/bench_spack.py [VERSION…]``, in the environment of the tests; Spack is cloned into the user's cache. The
peer is Spack itself: its own ``containerize``, and the same Spack on a Python that does not know hpc3.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from measure import Row, measure, print_rows

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import peers
import spack_peer

#: Spack's own containerize refuses images that it does not know, unless it is told how packages are installed.
CONTAINER = """
  container:
    images: {build: "docker.io/library/debian:12", final: "docker.io/library/debian:12"}
    os_packages: {command: apt}
"""


def main() -> None:
    for version in sys.argv[1:] or spack_peer.VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            measure_spack(version, Path(folder))


def measure_spack(version: str, folder: Path) -> None:
    spack = spack_peer.spack_in(folder / "home", version, spack_peer.python_with_hpc3())
    environment = folder / "environment"
    shutil.copytree(peers.REPOSITORY / spack_peer.LARGEST[spack.has_packages_repository], environment)
    manifest = (environment / "spack.yaml").read_text("utf-8").split("\n  container:")[0].rstrip()
    (environment / "spack.yaml").write_text(manifest + CONTAINER, "utf-8")
    os.environ.update(spack.environ())
    del os.environ["SPACK_DISABLE_LOCAL_CONFIG"]
    os.chdir(environment)
    program = str(spack.folder / "bin" / "spack")
    own, annotate = [program, "-e", ".", "containerize"], [program, "-e", ".", "containerize", "--annotate"]
    first = measure(annotate, 1).processor
    python = {True: spack_peer.python_with_hpc3(), False: spack_peer.bare_python()}
    times = in_turn({"own": (own, python[True]), "annotate": (annotate, python[True])})
    rows = [
        Row("containerize --annotate, to Spack's own", times["annotate"] / times["own"], "times", 1.25),
        Row("  the first time for a lock, when Spack is asked", first / times["own"], "times"),
    ]
    for words in ("arch", "-e . find", "-e . containerize"):
        command = [program, *words.split()]
        times = in_turn({str(is_installed): (command, path) for is_installed, path in python.items()})
        more = (times["True"] - times["False"]) * 1e3
        rows.append(Row(f"spack {words}, more than on a Python without hpc3", more, "ms", 10))
    print_rows(f"Inside Spack {version} (processor time)", rows)


def in_turn(commands: Mapping[str, tuple[list[str], Path]], rounds: int = 25) -> dict[str, float]:
    """Return the least processor time of each command on its Python, run in turn: other load then meets them alike."""
    least: dict[str, float] = {}
    for _ in range(rounds):
        for name, (command, python) in commands.items():
            os.environ["SPACK_PYTHON"] = str(python)
            least[name] = min(least.get(name, float("inf")), measure(command, 1).processor)
    return least


if __name__ == "__main__":
    main()
