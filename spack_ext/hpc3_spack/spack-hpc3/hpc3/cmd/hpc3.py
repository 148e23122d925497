"""``spack hpc3 VERB``, for Spack's ``config:extensions`` and for an installed hpc3 alike.

Run from a checkout, the packages are put on Python's path from here. Spack imports this file for the help of all its
commands, from Python 3.6 on, which hpc3 does not know: no newer syntax, and no import that can fail at the top.
"""

import argparse
import sys
from pathlib import Path

description = "say, truthfully, what is in an HPC container image"
section = "container"
level = "long"

_OLDEST = (3, 9)


def _find_packages() -> None:
    """Put ``hpc3_spack`` and ``hpc3`` on the path, where they are not installed."""
    container = Path(__file__).resolve().parents[4]  # above cmd, hpc3, spack-hpc3, hpc3_spack
    for folder in (container, container.parent / "shared"):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.append(str(folder))


def setup_parser(subparser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    if sys.version_info < _OLDEST:
        subparser.add_argument("arguments", nargs="*")
        return
    _find_packages()
    from hpc3_spack.commands import configure_hpc3

    configure_hpc3(subparser)


def hpc3(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run a verb."""
    if sys.version_info < _OLDEST:
        running = ".".join(map(str, sys.version_info[:2]))
        sys.stderr.write(f"==> Error: hpc3 needs Python 3.9, Spack runs on {running}: set SPACK_PYTHON\n")
        return 2
    from hpc3_spack.commands import run_hpc3

    return run_hpc3(args)
