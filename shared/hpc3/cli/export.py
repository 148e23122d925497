"""``hpc3 export``: what an image states, in the formats of the neighbours."""

from __future__ import annotations

import argparse

from hpc3.errors import UsageError

from .arguments import image_arguments
from .images import access_from, configure_access
from .output import talk, write_product


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "image", nargs="?", metavar="IMAGE", help="an image, or a file of 'hpc3 inspect' or annotations"
    )
    parser.add_argument("--format", required=True, choices=("compspec", "compspec-graph", "in-toto", "nfd"))
    parser.add_argument("--attach", action="store_true", help="attach it to the image in its registry or layout, too")
    parser.add_argument("--graph-url", default="", metavar="URL", help="with compspec: where our graph is published")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of stdout")
    configure_access(parser)
    parser.epilog = "compspec-graph needs no image: it is the graph of all attributes"


def run(args: argparse.Namespace) -> int:
    """Print the image in the other format."""
    from hpc3.consume.export.compspec import GRAPH_URL, compspec_artifact, compspec_graph
    from hpc3.consume.export.in_toto import in_toto_statement
    from hpc3.consume.export.nfd import nfd_specification

    if args.format == "compspec-graph":
        write_product(compspec_graph(), args.output)
        return 0
    if args.image is None:
        raise UsageError(f"--format {args.format} needs an IMAGE")
    if args.attach and args.format == "in-toto":
        raise UsageError("an in-toto statement is worth its signature: sign and attach it with cosign")
    with image_arguments(args) as images:
        image = images.one(args.image)
    if args.format == "compspec":
        product = compspec_artifact(image, args.graph_url or GRAPH_URL)
    else:
        product = {"in-toto": in_toto_statement, "nfd": nfd_specification}[args.format](image)
    write_product(product, args.output)
    if args.attach:
        talk(f"attached as {_attach(args, product)}", quiet=args.quiet)
    return 0


def _attach(args: argparse.Namespace, product: str) -> str:
    from hpc3.consume.export import compspec, nfd
    from hpc3.consume.export.attach import ArtifactKind, attach_document
    from hpc3.oci.opening import Stores
    from hpc3.oci.reference import parse_reference

    kinds = {
        "compspec": ArtifactKind(compspec.MEDIA_TYPE, compspec.MEDIA_TYPE),
        "nfd": ArtifactKind(nfd.ARTIFACT_TYPE, nfd.LAYER_TYPE),
    }
    reference = parse_reference(args.image)
    with Stores(access_from(args), writing=True) as stores:
        return attach_document(stores.open(reference), reference, product.encode("utf-8"), kinds[args.format])
