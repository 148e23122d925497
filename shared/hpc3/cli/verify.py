"""``hpc3 verify``: do the binaries bear the annotations out?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hpc3.cli.output import talk, write_product
from hpc3.consume.subject import INPUT_LIMIT, annotations_from_json
from hpc3.consume.verify import CONTRADICTS, Comparison, Offer, offers, verify_annotations
from hpc3.errors import UsageError, printable
from hpc3.observed import Observed, Skipped

from .images import access_from, configure_access

if TYPE_CHECKING:
    from hpc3.evidence.tree import Tree

_SKIPPED_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("image", metavar="IMAGE|ROOTFS", help="an image, an unpacked root file system, an install tree")
    parser.add_argument(
        "--from", dest="annotations", metavar="FILE", help="annotations to prove, instead of the image's"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--emit", action="store_true", help="print what the files show, as annotations (JSON)")
    parser.add_argument("--no-isa", action="store_true", help="do not disassemble: leave the CPU target unproven")
    parser.add_argument("--processes", type=int, default=0, metavar="N", help="that disassemble (default: CPUs)")
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="of an index, this image")
    parser.add_argument("-o", "--output", default="", metavar="FILE")
    configure_access(parser)


def run(args: argparse.Namespace) -> int:
    """Verify and return 1 where a file contradicts an annotation."""
    _need("elftools", *(() if args.no_isa else ("capstone", "iced_x86")))
    annotations = _annotations(args.annotations)
    if Path(args.image).is_dir() and not (Path(args.image) / "oci-layout").exists():
        from hpc3.evidence.tree import DirectoryTree

        annotations = annotations or {}
        observed = _observe(DirectoryTree(Path(args.image)), args, "")
    else:
        own, observed = _observe_image(args)
        annotations = own if annotations is None else annotations
    compared = verify_annotations(annotations, observed)
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


def _need(*modules: str) -> None:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        what = f"reading binaries needs {' and '.join(missing)}, not installed here"
        raise UsageError(what, remedy="pip install 'hpc3[verify]'")


def _observe_image(args: argparse.Namespace) -> tuple[Mapping[str, str], Observed]:
    """Return what an image states, and what its files show."""
    from hpc3.evidence.layer_tree import LayerTree
    from hpc3.evidence.tree import DirectoryTree
    from hpc3.oci.opening import Stores
    from hpc3.oci.reference import parse_reference
    from hpc3.oci.root_file_system import open_root_file_system

    from .subjects import subject_of_image

    reference = parse_reference(args.image)
    with Stores(access_from(args)) as stores:
        store = stores.open(reference)
        image, subject = subject_of_image(store, reference, args.platform)
        path = subject.environment().get("PATH", "")
        with open_root_file_system(store, image) as root:
            tree: Tree = DirectoryTree(root) if isinstance(root, Path) else LayerTree(root)
            return subject.stated(), _observe(tree, args, path)


def _annotations(path: str | None) -> Mapping[str, str] | None:
    if path is None:
        return None
    with Path(path).open("rb") as stream:
        return annotations_from_json(stream.read(INPUT_LIMIT + 1), path)


def _observe(tree: Tree, args: argparse.Namespace, command_path: str) -> Observed:
    from hpc3.evidence.scan import observe_tree

    if args.no_isa:
        return observe_tree(tree, command_path=command_path)
    from hpc3.evidence.isa import Disassembly

    with Disassembly(args.processes, None if args.quiet else _show_progress) as disassembly:
        observed = observe_tree(tree, command_path=command_path, disassembly=disassembly)
    _end_progress(quiet=args.quiet)
    return observed


def _show_progress(code_bytes: int) -> None:
    """Show on a terminal how much code was disassembled so far."""
    if sys.stderr.isatty():
        print(f"\rhpc3: {code_bytes / 1e6:.0f} MB of code disassembled", end="", file=sys.stderr, flush=True)


def _end_progress(*, quiet: bool) -> None:
    """End the line that `_show_progress` wrote."""
    if sys.stderr.isatty() and not quiet:
        print(file=sys.stderr)


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
