"""``hpc3 verify``: do the binaries bear the annotations out?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from hpc3.cli.output import talk, write_product
from hpc3.consume.subject import INPUT_LIMIT, annotations_from_json
from hpc3.consume.verify import CONTRADICTS, Comparison, Offer, offers, verify_annotations
from hpc3.errors import UsageError, printable
from hpc3.observed import Observed, Skipped

from .given import image_given, path_given, telling_how_read
from .images import access_from, configure_access
from .observing import configure_observation, need_readers, observe_files, observe_image

_SKIPPED_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("image", metavar="IMAGE|ROOTFS", help="an image, an unpacked root file system, an install tree")
    parser.add_argument(
        "--from", dest="annotations", metavar="FILE", help="annotations to prove, instead of the image's"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--emit", action="store_true", help="print what the files show, as annotations (JSON)")
    configure_observation(parser)
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="of an index, this image")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of stdout")
    configure_access(parser)


def run(args: argparse.Namespace) -> int:
    """Verify and return 1 where a file contradicts an annotation."""
    need_readers(args)
    annotations = _annotations(args.annotations)
    path = path_given(args.image)
    is_folder = path is not None and not (path / "oci-layout").is_file()
    if path is not None and is_folder:
        from hpc3.evidence.tree import DirectoryTree

        if not path.is_dir():
            raise UsageError("is a file", where=args.image, remedy="an archive is written oci-archive:FILE")
        annotations = annotations or {}
        observed = observe_files(DirectoryTree(path), "", args)
    else:
        own, observed = _observe_image(args, image_given(args.image, path))
        annotations = own if annotations is None else annotations
    compared = verify_annotations(annotations, observed, knows_path=not is_folder)
    offered = offers(annotations, observed)
    if args.emit:
        values = {offer.key: offer.value for offer in offers({}, observed)}
        product = json.dumps(values, indent=2, sort_keys=True) + "\n"
    elif args.format == "json":
        product = _json(args.image, observed, compared, offered)
    else:
        product = _text(compared, offered)
    write_product(product, args.output)
    _tell_skipped(observed.skipped, quiet=args.quiet)
    return 1 if any(c.verdict == CONTRADICTS for c in compared) else 0


def _observe_image(args: argparse.Namespace, name: str) -> tuple[Mapping[str, str], Observed]:
    """Return what an image states, and what its files show."""
    from hpc3.oci.opening import Stores
    from hpc3.oci.reference import parse_reference

    from .subjects import subject_of_image

    with Stores(access_from(args)) as stores, telling_how_read(name):
        reference = parse_reference(name)
        store = stores.open(reference)
        image, subject, others = subject_of_image(store, reference, args.platform)
        if others and not args.platform:
            talk(f"one image of {others + 1} is verified; --platform picks another", quiet=args.quiet)
        return subject.stated(), observe_image(store, image, subject.environment().get("PATH", ""), args)


def _annotations(path: str | None) -> Mapping[str, str] | None:
    if path is None:
        return None
    with Path(path).open("rb") as stream:
        return annotations_from_json(stream.read(INPUT_LIMIT + 1), path)


def _text(compared: tuple[Comparison, ...], offered: tuple[Offer, ...]) -> str:
    lines = []
    for each in compared:
        lines.append(f"{each.verdict:11} {each.key} = {each.stated}: {each.reason}")
        lines.extend(f"{'':11} {place}" for place in each.evidence[:3])
    if offered:
        lines.append("")
        lines.append("Not stated, but in the files (--emit prints them as annotations):")
        lines.extend(f"  {offer.key} = {offer.value}  [{offer.evidence[0]}]" for offer in offered)
    return "".join(printable(line) + "\n" for line in lines)


def _json(name: str, observed: Observed, compared: tuple[Comparison, ...], offered: tuple[Offer, ...]) -> str:
    document = {
        "image": name,
        "files": observed.files,
        "bytes": observed.image_bytes,
        "comparisons": [
            {
                "key": c.key,
                "verdict": c.verdict,
                "stated": c.stated,
                "observed": c.observed,
                "reason": c.reason,
                "evidence": [str(place) for place in c.evidence],
            }
            for c in compared
        ],
        "offers": [{"key": o.key, "value": o.value, "evidence": [str(place) for place in o.evidence]} for o in offered],
        "skipped": [{"path": s.path, "reason": s.reason} for s in observed.skipped],
    }
    return json.dumps(document, indent=2) + "\n"


def _tell_skipped(skipped: tuple[Skipped, ...], *, quiet: bool) -> None:
    for each in skipped[:_SKIPPED_SHOWN]:
        talk(f"skipped {each.path}: {each.reason}", quiet=quiet)
    if len(skipped) > _SKIPPED_SHOWN:
        talk(f"skipped {len(skipped) - _SKIPPED_SHOWN} more; --format json lists them", quiet=quiet)
    sys.stderr.flush()
