"""The arguments that say how a recipe is to be: the same for ``hpc3`` and for ``spack containerize --annotate``.

On their own, so that Spack's command line can offer them without loading what makes a recipe.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--format``, ``--check``, ``--external``, ``--image`` and ``--concretize-in-build``."""
    parser.add_argument(
        "--format", choices=("docker", "apptainer"), help="default: what container:format in spack.yaml says, or docker"
    )
    parser.add_argument(
        "--check", metavar="FILE", type=Path, help="exit 1 and print a diff where FILE is not up to date"
    )
    parser.add_argument(
        "--external",
        metavar="NAME=PACKAGES",
        action="append",
        default=[],
        help="OS packages, with commas, that give the external NAME; none: the base image has it (repeat)",
    )
    parser.add_argument(
        "--image", metavar="IMAGE", default="", help="base image of both stages, for an easyconfig or a record"
    )
    parser.add_argument(
        "--concretize-in-build",
        action="store_true",
        help="concretize in the build stage, for its system; label only what holds whatever comes out",
    )
