"""``hpc3 apply``: put annotations, labels, SBOM and recipe onto images that exist."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpc3.apply.attach import Attachment, read_recipe, read_sbom
from hpc3.apply.batch import Outcome, apply_to, each_image
from hpc3.apply.plan import Plan
from hpc3.apply.wanted import AnnotationsFromSource, Proof, Prover, Wish, read_wanted
from hpc3.errors import UsageError, printable
from hpc3.oci.manifest import Manifest
from hpc3.oci.opening import Stores
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore
from hpc3.vocabulary import OCI_PREFIX, PREFIX

from .images import access_from, configure_access, configure_images, progress, references_from
from .observing import configure_observation, need_readers, observe_image
from .output import talk


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    configure_images(parser)
    _configure_source(parser)
    _configure_proof(parser)
    _configure_attachments(parser)
    parser.add_argument(
        "--annotations-only",
        action="store_true",
        help="leave labels and image ID alone; with a FILE: three requests, no blob, no look at referrers",
    )
    parser.add_argument("--external", action="store_true", help="attach the annotations, leave the image as it is")
    parser.add_argument("--tag", default="", metavar="NEW", help="write the result under this tag, leave the old one")
    parser.add_argument("--compact", action="store_true", help="rewrite archives instead of appending to them")
    parser.add_argument("--dry-run", action="store_true", help="print what would change, write nothing")
    configure_access(parser)


def _configure_source(parser: argparse.ArgumentParser) -> None:
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument(
        "--from", dest="origin", metavar="SOURCE|FILE", help="a source, or what 'hpc3 annotations --format json' prints"
    )
    origin.add_argument("--from-image", action="store_true", help="the lock or record inside each image")
    parser.add_argument("--root", action="append", default=[], metavar="NAME", help="these roots of the source")
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument(
        "--complete", action="store_true", help="read layers for operating system and libc (default with a SOURCE)"
    )
    depth.add_argument("--no-layers", action="store_true", help="read no layer: complete and compare nothing in them")


def _configure_proof(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read all files: refuse what they contradict, add what they show (alone: to what is there already)",
    )
    parser.add_argument(
        "--despite", action="append", default=[], metavar="KEY", help="with --verify: apply KEY even if contradicted"
    )
    configure_observation(parser)


def _configure_attachments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sbom", metavar="FILE", help="attach an SBOM: CycloneDX or SPDX, JSON")
    parser.add_argument(
        "--recipe", action="append", default=[], metavar="FILE", help="attach recipe files, or a folder"
    )
    parser.add_argument(
        "--carry-referrers", action="store_true", help="take unsigned artifacts along to the new digest"
    )


def annotations_from_source(path: Path, roots: Sequence[str]) -> Mapping[str, str]:
    """Return the annotations that a source decides; how the image behaves is left for the image to tell."""
    # Here, not above: what is on an image already needs no reader of locks.
    from hpc3.annotations import annotations_for
    from hpc3.behaviour import BEHAVIOUR
    from hpc3.sources import read_source

    annotations = annotations_for(read_source(path, roots).facts).values
    return {name: value for name, value in annotations.items() if name not in BEHAVIOUR}


def run(args: argparse.Namespace) -> int:
    """Apply to each image; print reference, old and new digest; return the worst exit code."""
    wish = _wish(args, annotations_from_source)
    threads = 1 if args.verify else args.jobs  # which disassembles one image in many processes
    worst, changed, total = 0, 0, 0
    with Stores(access_from(args), writing=not args.dry_run, compact=args.compact) as stores:
        references = references_from(args, stores)
        if wish.tag and len(references) > 1 and len({(r.location, r.repository) for r in references}) < len(references):
            raise UsageError("--tag would give several images one name")

        def work(reference: ImageReference) -> Plan:
            return apply_to(stores, reference, wish, writing=not args.dry_run)

        with progress(len(references), quiet=args.quiet) as shown:
            for outcome in shown.over(each_image(work, references, threads)):
                total += 1
                changed += outcome.result is not None and outcome.result.publication is not None
                worst = max(
                    worst, _report(outcome, dry_run=args.dry_run, quiet=args.quiet, single=len(references) == 1)
                )
    if total > 1:
        verb = "would change" if args.dry_run else "changed"
        talk(f"{changed} of {total} {verb}", quiet=args.quiet)
    return worst


def _wish(args: argparse.Namespace, from_source: AnnotationsFromSource) -> Wish:
    """Return what the command line asks for; input files are read once, before any image."""
    attachments: list[Attachment] = []
    if args.sbom:
        attachments.append(read_sbom(Path(args.sbom)))
    if args.recipe:
        attachments.append(read_recipe([Path(name) for name in args.recipe]))
    if not (args.origin or args.from_image or args.verify):
        raise UsageError("says not what to apply", remedy="--from SOURCE|FILE, --from-image or --verify")
    if (args.despite or args.no_isa) and not args.verify:
        raise UsageError("--despite and --no-isa go with --verify")
    if args.no_layers and (args.from_image or args.verify):
        raise UsageError("--from-image and --verify read layers, --no-layers forbids it")
    annotations: Mapping[str, str] | None = None
    derived = False
    if args.origin:
        annotations, derived = read_wanted(Path(args.origin), args.root, from_source)
    return Wish(
        annotations=annotations,
        labels=not args.annotations_only and not args.external,
        read_layers=args.complete or args.from_image or (derived and not args.no_layers),
        compare_recipe=derived,
        external=args.external,
        platform=args.platform,
        tag=args.tag,
        attachments=tuple(attachments),
        carry_referrers=args.carry_referrers,
        from_source=from_source,
        roots=tuple(args.root),
        from_present=not (args.origin or args.from_image),
        prove=_prover(args) if args.verify else None,
        despite=tuple(
            name if name.startswith(OCI_PREFIX) else PREFIX + name.removeprefix(PREFIX) for name in args.despite
        ),
    )


def _prover(args: argparse.Namespace) -> Prover:
    """Return what holds annotations against the files of an image."""
    from hpc3.consume.verify import CONTRADICTS, offers, verify_annotations

    need_readers(args)

    def prove(store: ImageStore, image: Manifest, command_path: str, stated: Mapping[str, str]) -> Proof:
        observed = observe_image(store, image, command_path, args)
        offered = offers(stated, observed)
        lies = [each for each in verify_annotations(stated, observed) if each.verdict == CONTRADICTS]
        return Proof(
            {offer.key: offer.value for offer in offered},
            {offer.key: str(offer.evidence[0]) for offer in offered},
            {lie.key: " ".join([lie.reason, *(f"[{place}]" for place in lie.evidence[:1])]) for lie in lies},
        )

    return prove


def _report(outcome: Outcome[Plan], *, dry_run: bool, quiet: bool, single: bool) -> int:
    """Print what became of one image and return its exit code."""
    if outcome.error is not None:
        if single:
            raise outcome.error
        line = str(outcome.error)
        talk(f"error: {line if str(outcome.reference) in line else f'{outcome.reference}: {line}'}")
        return outcome.error.exit_code
    plan = outcome.result
    assert plan is not None
    for warning in plan.warnings:
        talk(f"{plan.target}: {warning}", quiet=quiet)
    if dry_run:
        _print_diff(plan)
    else:
        print(f"{plan.target} {plan.before} {plan.after}")
    return 0


def _print_diff(plan: Plan) -> None:
    print(f"--- {plan.before}\n+++ {plan.target} {plan.after}")
    for edit in plan.edits:
        for kind, changes, before in (
            ("annotation", edit.annotations, edit.before.annotations),
            ("label", edit.labels, edit.labels_before),
        ):
            if changes:
                print(f"@@ {kind}s of {edit.before.digest}")
            for key, value in changes.items():
                if key in before:
                    print(f"-{key}={printable(before[key])}")
                if value is not None:
                    place = f"  [{printable(edit.places[key])}]" if key in edit.places else ""
                    print(f"+{key}={printable(value)}{place}")
    for referrer in plan.publication.referrers if plan.publication is not None else ():
        print(f"@@ attached\n+{referrer.artifact_type} {referrer.digest}")
