"""``hpc3 export``: what an image states, in the formats of the neighbours."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hpc3.errors import UsageError

from .arguments import image_arguments
from .images import access_from, configure_access
from .output import talk, write_product

if TYPE_CHECKING:
    from hpc3.consume.image import Image

#: Formats that are attached to an image on request, those that are not, and the one that needs no image.
_ATTACHED = ("compspec", "nfd")
_STATED = {
    "cyclonedx": "the whole SBOM is attached by 'hpc3 apply --sbom'",
    "in-toto": "a statement is worth its signature: sign and attach it with cosign",
}
_GRAPH = "compspec-graph"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "image", nargs="?", metavar="IMAGE", help="an image, or a file of 'hpc3 inspect' or annotations"
    )
    parser.add_argument("--format", required=True, choices=(*_ATTACHED, *_STATED, _GRAPH), help="whose format")
    parser.add_argument("--attach", action="store_true", help="attach it to the image in its registry or layout, too")
    parser.add_argument("--graph-url", default="", metavar="URL", help="with compspec: where our graph is published")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of stdout")
    configure_access(parser)
    parser.epilog = "compspec-graph needs no image: it is the graph of all attributes"


def run(args: argparse.Namespace) -> int:
    """Print the image in the other format."""
    if args.attach and args.format not in _ATTACHED:
        raise UsageError(f"--attach: {_STATED.get(args.format, 'the graph belongs to no image')}")
    if args.format == _GRAPH:
        from hpc3.consume.export.compspec import compspec_graph

        write_product(compspec_graph(), args.output)
        return 0
    if args.image is None:
        raise UsageError(f"--format {args.format} needs an IMAGE")
    with image_arguments(args) as images:
        product = _product(images.one(args.image), args)
    write_product(product, args.output)
    if args.attach:
        talk(f"attached as {_attach(args, product)}", quiet=args.quiet)
    return 0


def _product(image: Image, args: argparse.Namespace) -> str:
    from hpc3.consume.export.compspec import GRAPH_URL, compspec_artifact
    from hpc3.consume.export.cyclonedx import cyclonedx_bom
    from hpc3.consume.export.in_toto import in_toto_statement
    from hpc3.consume.export.nfd import nfd_specification

    if args.format == "compspec":
        return compspec_artifact(image, args.graph_url or GRAPH_URL)
    return {"cyclonedx": cyclonedx_bom, "in-toto": in_toto_statement, "nfd": nfd_specification}[args.format](image)


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
