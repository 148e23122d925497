"""``hpc3 annotations SOURCE``: the annotations of an image built from a source."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping

from hpc3.annotations import Annotations, annotations_for
from hpc3.containerize import annotations_json
from hpc3.recipe.dockerfile import label_instruction
from hpc3.vocabulary import vocabulary

from .output import talk, write_product
from .source_arguments import add_source_arguments, source_from_arguments


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_source_arguments(parser)
    parser.add_argument(
        "--format",
        choices=("json", "labels", "args"),
        default="json",
        help="json: an object; labels: a Dockerfile's LABEL; args: --annotation options for podman, buildah, buildx",
    )


def run(args: argparse.Namespace) -> int:
    """Print the annotations, and on stderr which mandatory ones are missing and why."""
    annotations = annotations_for(source_from_arguments(args).facts)
    formats = {"json": annotations_json, "labels": _labels, "args": _args}
    write_product(formats[args.format](annotations), args.output)
    tell_missing(annotations.missing, quiet=args.quiet)
    return 0


def tell_missing(missing: Mapping[str, str], *, quiet: bool) -> None:
    """Tell which mandatory or conditional keys are not there, one line for each reason."""
    table = vocabulary()
    by_reason: dict[str, list[str]] = {}
    for name, reason in missing.items():
        if name in table and table[name].level != "O":
            by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        talk(f"not stated: {', '.join(names)}: {reason}", quiet=quiet)


def _labels(annotations: Annotations) -> str:
    return label_instruction(annotations.labels())


def _args(annotations: Annotations) -> str:
    # One line of shell words; "eval" or xargs splits it as it was meant.
    return "".join(f"--annotation {shlex.quote(f'{name}={value}')}\n" for name, value in annotations.values.items())
