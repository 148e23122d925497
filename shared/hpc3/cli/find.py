"""``hpc3 find``: which image of a software to take on this host, and why not the others."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from hpc3.errors import CheckFailed, UsageError, printable

from .arguments import (
    add_catalog_argument,
    add_host_argument,
    allow_options_between,
    catalog_path,
    host_of,
    image_arguments,
)
from .images import configure_access
from .output import write_product

if TYPE_CHECKING:
    from hpc3.consume.find import Ranked
    from hpc3.consume.image import Image


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("software", metavar="SOFTWARE", help="name, or name@version (gromacs, gromacs@2024)")
    parser.add_argument("source", nargs="*", metavar="SOURCE", help="images, indexes, files of them; none: a catalog")
    parser.add_argument("--all-tags", action="store_true", help="every tag of each repository or layout named")
    add_host_argument(parser)
    add_catalog_argument(parser)
    parser.add_argument("--all", action="store_true", help="also list images that do not run here")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of stdout")
    configure_access(parser)
    allow_options_between(parser)
    parser.epilog = "exit code: 0 where an image runs, else that of the best (20 fails, 30 unknown); 1: none was found"


def run(args: argparse.Namespace) -> int:
    """Rank the images of the software and print them, the best first."""
    from hpc3.consume.find import rank_images, ranked_document, wanted_software
    from hpc3.consume.verdict import Verdict

    wanted = wanted_software(args.software)
    images = [image for image in _candidates(args, wanted.name) if wanted.fits(image)]
    if not images:
        where = " ".join(args.source) or str(catalog_path(args.catalog))
        raise CheckFailed(f"no image of {printable(args.software)} was found", where=where)
    ranked = rank_images(images, host_of(args.host))
    if args.format == "json":
        product = json.dumps(ranked_document(ranked), indent=2, ensure_ascii=False) + "\n"
    else:
        product = ranking_text(ranked, everything=args.all)
    write_product(product, args.output)
    best = ranked[0].report.verdict
    return 0 if best in (Verdict.OK, Verdict.DEGRADED) else best.exit_code


def _candidates(args: argparse.Namespace, software: str) -> tuple[Image, ...]:
    if args.all_tags and not args.source:
        raise UsageError("--all-tags goes with repositories")
    if args.source:
        with image_arguments(args) as arguments:
            return arguments.all(args.source, all_tags=args.all_tags, jobs=args.jobs)
    from hpc3.consume.catalog import Catalog

    with Catalog(catalog_path(args.catalog)) as catalog:
        return catalog.images_of(software)


def ranking_text(ranked: tuple[Ranked, ...], *, everything: bool) -> str:
    """Return a line per image: place, verdict, software, target, why; below the best, what to pull."""
    from hpc3.consume.verdict import Verdict

    runs = [entry for entry in ranked if entry.report.verdict in (Verdict.OK, Verdict.DEGRADED)]
    shown = ranked if everything or not runs else runs
    lines = []
    for place, entry in enumerate(shown, 1):
        image = entry.report.image
        target = image.value("hardware.cpu.optimized.version") or "-"
        lines.append(f"{place:>3}  {entry.report.verdict.value:<9} {image.title:<24} {target:<16} {entry.why}")
    if runs:
        image = runs[0].report.image
        rest = f"; its index says no more: hpc3 check {image.pinned}" if image.is_partial else ""
        lines.append(f"take {image.pinned}{rest}")
    if len(shown) < len(ranked):
        lines.append(f"{len(ranked) - len(shown)} more do not run here: --all shows why")
    return "".join(f"{printable(line)}\n" for line in lines)
