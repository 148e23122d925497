"""What hpc3 costs inside Spack: ``containerize --annotate`` against Spack's own, and every other command.

``python bench/bench_spack.py [VERSION…]``, in the environment of the tests; Spack is cloned into the user's cache. The
peer is Spack itself: its own ``containerize``, and the same Spack on a Python that does not know hpc3.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
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
    annotate = [program, "-e", ".", "containerize", "--annotate"]
    first = measure(annotate, 1).seconds
    own = measure([program, "-e", ".", "containerize"]).seconds
    rows = [
        Row("containerize --annotate, to Spack's own", measure(annotate).seconds / own, "times", 1.25),
        Row("  the first time for a lock, when Spack is asked", first / own, "times"),
    ]
    for command in ("arch", "find", "containerize"):
        seconds = {}
        for name, python in (("hpc3", spack_peer.python_with_hpc3()), ("bare", spack_peer.bare_python())):
            os.environ["SPACK_PYTHON"] = str(python)
            seconds[name] = measure([program, command], 15).seconds
        rows.append(
            Row(f"spack {command}, more than without hpc3", (seconds["hpc3"] - seconds["bare"]) * 1e3, "ms", 10)
        )
    os.environ["SPACK_PYTHON"] = str(spack_peer.python_with_hpc3())
    print_rows(f"Inside Spack {version}", rows)


if __name__ == "__main__":
    main()
