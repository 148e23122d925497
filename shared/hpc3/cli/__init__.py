"""The command line: one file per verb, imported when the verb is used.

``hpc3 --help`` and a wrong verb import nothing but argparse: the table in ``main`` says what there is.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from .main import run


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``hpc3`` with ``argv`` (default: the process's own arguments) and return its exit code."""
    if argv is not None:
        return run(argv)
    # A run is short and makes few cycles. Walking the objects of a large lock again and again would double its time,
    # and walking all of them once more at exit would take a tenth of a small one's.
    gc.disable()
    code = run(sys.argv[1:])
    gc.freeze()
    return code
