"""``hpc3 check``: does this image run on this host, and how well."""

from __future__ import annotations

import argparse

from .arguments import add_catalog_argument, add_host_argument, host_of, image_arguments
from .images import configure_access
from .output import write_product


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "image", nargs="+", metavar="IMAGE", help="an image, or a file of 'hpc3 inspect' or annotations"
    )
    add_host_argument(parser, several=True)
    parser.add_argument("--format", choices=("text", "json", "junit"), default="text", help="default: text")
    parser.add_argument("--evidence", action="store_true", help="with text: also print what both sides said")
    parser.add_argument("--allow-degraded", action="store_true", help="exit with 0 where it runs, however slowly")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of stdout")
    add_catalog_argument(parser)
    configure_access(parser)
    parser.epilog = "exit code: 0 ok, 10 degraded, 20 fails, 30 unknown; of several checks the worst"


def run(args: argparse.Namespace) -> int:
    """Check every image against every host."""
    from hpc3.consume.check import check_image
    from hpc3.consume.check_report import report_text, reports_json, reports_junit
    from hpc3.consume.verdict import Verdict

    hosts = [host_of(path) for path in args.host or [""]]
    with image_arguments(args) as images:
        reports = [check_image(images.one(argument, host), host) for argument in args.image for host in hosts]
    if args.format == "json":
        product = reports_json(reports)
    elif args.format == "junit":
        product = reports_junit(reports)
    else:
        product = "\n".join(report_text(report, evidence=args.evidence) for report in reports)
    write_product(product, args.output)
    verdict = max((report.verdict for report in reports), key=lambda verdict: verdict.severity)
    return 0 if args.allow_degraded and verdict is Verdict.DEGRADED else verdict.exit_code
