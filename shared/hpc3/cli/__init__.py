"""The command line: one file per verb, imported when the verb is used.

``hpc3 --help`` and a wrong verb import nothing but argparse: the table below says what there is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .main import run


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``hpc3`` with ``argv`` (default: the process's own arguments) and return its exit code."""
    return run(sys.argv[1:] if argv is None else argv)
