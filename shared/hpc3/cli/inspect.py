"""``hpc3 inspect``: what is on an image, where each value came from, and what contradicts."""

from __future__ import annotations

import argparse
import json

from hpc3.apply.batch import each_image
from hpc3.errors import printable
from hpc3.oci.inspection import Inspection, inspect_image
from hpc3.oci.opening import Stores
from hpc3.oci.reference import ImageReference

from .images import access_from, configure_access, configure_images, progress, references_from
from .output import talk, write_product


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    configure_images(parser)
    parser.add_argument("--format", choices=("json", "text"), default="json", help="json (default) or text")
    parser.add_argument(
        "--annotations-only", action="store_true", help="one request an image: no labels, config and referrers"
    )
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of to stdout")
    configure_access(parser)


def run(args: argparse.Namespace) -> int:
    """Inspect each image; one gives an object, several an array; return the worst exit code."""
    found: list[Inspection] = []
    worst = 0
    with Stores(access_from(args)) as stores:

        def look(reference: ImageReference) -> Inspection:
            store = stores.open(reference)
            return inspect_image(store, reference, platform=args.platform, manifests_only=args.annotations_only)

        references = references_from(args, stores)
        single = len(references) == 1 and not args.all_tags and not args.list
        with progress(len(references), quiet=args.quiet) as shown:
            for outcome in shown.over(each_image(look, references, args.jobs)):
                if outcome.error is not None and single:
                    raise outcome.error
                if outcome.error is not None:
                    talk(f"error: {outcome.reference}: {outcome.error}")
                    worst = max(worst, outcome.error.exit_code)
                elif outcome.result is not None:
                    found.append(outcome.result)
    if args.format == "text":
        product = "\n".join(_text(inspection) for inspection in found)
    else:
        documents = [inspection.as_document() for inspection in found]
        product = json.dumps(documents[0] if single else documents, indent=2, ensure_ascii=False) + "\n"
    write_product(product, args.output)
    return worst


def _text(inspection: Inspection) -> str:
    lines = [f"{inspection.reference}", f"  digest: {inspection.digest}"]
    for key, value in sorted(inspection.annotations.items()):
        lines.append(f"  {key} = {printable(value, 200)}  [{inspection.provenance[key]}]")
    for entry in inspection.referrers or ():
        lines.append(f"  referrer: {printable(entry.artifact_type or entry.media_type)} {entry.digest}")
    for key, values in sorted(inspection.contradictions.items()):
        told = ", ".join(f"{place} says {printable(value, 200)}" for place, value in sorted(values.items()))
        lines.append(f"  contradiction: {key}: {told}")
    return "\n".join(lines) + "\n"
