"""``hpc3 sbom SOURCE``: the software bill of materials of a source."""

from __future__ import annotations

import argparse
import os
import re

from hpc3.errors import UsageError
from hpc3.sbom.cyclonedx import cyclonedx_sbom
from hpc3.sbom.spdx import spdx_sbom

from .output import write_product
from .source_arguments import add_source_arguments, source_from_arguments

_FORMATS = {"cyclonedx": cyclonedx_sbom, "spdx": spdx_sbom}

#: Seconds since 1970, up to the year 9999.
_EPOCH = re.compile(r"[0-9]{1,11}")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_source_arguments(parser)
    parser.add_argument(
        "--format",
        choices=tuple(_FORMATS),
        default="cyclonedx",
        help="cyclonedx: CycloneDX 1.6; spdx: SPDX 2.3; both in JSON. The time in it is SOURCE_DATE_EPOCH, never "
        "the clock's: without one CycloneDX has no time and SPDX, which needs one, has 1970-01-01",
    )


def run(args: argparse.Namespace) -> int:
    """Print the SBOM."""
    facts = source_from_arguments(args).facts
    write_product(_FORMATS[args.format](facts, stated_time(os.environ.get("SOURCE_DATE_EPOCH", ""))), args.output)
    return 0


def stated_time(text: str) -> int | None:
    """Return the time that ``SOURCE_DATE_EPOCH`` states (https://reproducible-builds.org/specs/source-date-epoch/).

    Raises:
        UsageError: it is not a number of seconds.
    """
    if not text:
        return None
    if not _EPOCH.fullmatch(text):
        raise UsageError(f"SOURCE_DATE_EPOCH is {text[:40]!r}: seconds since 1970 are needed, in digits")
    return int(text)
