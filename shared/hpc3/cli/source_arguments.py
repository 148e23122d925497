"""The arguments that every verb on a SOURCE shares, and how it is read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .output import talk

if TYPE_CHECKING:  # Spack's command line offers these arguments too, and must not load what reads a source
    from hpc3.sources.source import Source


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add SOURCE, ``--root`` and ``-o``.

    A host may set defaults on the parser before: ``source``, so that SOURCE can be left out, and ``read_source``, its
    own way to read one.
    """
    if parser.get_default("read_source") is None:
        parser.set_defaults(read_source=_read_source)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        nargs=None if parser.get_default("source") is None else "?",
        help="a spack.lock, a folder with one, an easyconfig, a record or facts",
    )
    add_product_arguments(parser)


def add_product_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--root`` and ``-o``: what of a source, and where to."""
    parser.add_argument(
        "--root",
        metavar="NAME",
        action="append",
        default=[],
        help="keep this root: NAME, NAME@VERSION or /HASH (repeat)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", default="", help="write to FILE instead of stdout")


def source_from_arguments(args: argparse.Namespace) -> Source:
    """Read SOURCE and tell what was said in it but is not followed."""
    source: Source = args.read_source(args.source, args.root)
    for warning in source.request.warnings if source.request else ():
        talk(warning, quiet=args.quiet)
    return source


def _read_source(path: Path, picks: Sequence[str]) -> Source:
    from hpc3.sources import read_source

    return read_source(path, picks)
