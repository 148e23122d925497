"""``hpc3 index``: one tag over the variants of an application."""

from __future__ import annotations

import argparse

from hpc3.apply.variants import plan_index
from hpc3.oci.opening import Stores
from hpc3.oci.reference import parse_reference

from .images import access_from, configure_access


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("tag", metavar="TAG", help="the image reference that the index gets")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="annotated variants, in the same repository or layout"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the index, write nothing")
    configure_access(parser)


def run(args: argparse.Namespace) -> int:
    """Write the index; print reference, old digest (``-`` for none) and new digest."""
    target = parse_reference(args.tag)
    references = [parse_reference(text) for text in args.images]
    with Stores(access_from(args), writing=not args.dry_run) as stores:
        plan = plan_index(stores, target, references)
        if args.dry_run:
            print(plan.publication.head.raw.decode() if plan.publication is not None else "")
            return 0
        if plan.publication is not None:
            stores.open(target).publish(plan.publication)
    print(f"{target} {plan.before or '-'} {plan.after}")
    return 0
