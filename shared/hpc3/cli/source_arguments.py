"""The arguments that every verb on a SOURCE shares, and how it is read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hpc3.errors import UsageError

from .output import talk

if TYPE_CHECKING:  # Spack's command line offers these arguments too, and must not load what reads a source
    from hpc3.sources.source import Source


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add SOURCE, ``--root``, ``-o``, ``--cpu-target`` and ``--userarg``.

    A host may set defaults on the parser before: ``source``, so that SOURCE can be left out, and ``read_source``, its
    own way to read one. Where SOURCE can be left out there is nothing of HPCCM to say.
    """
    has_source = parser.get_default("source") is not None
    parser.set_defaults(read_source=parser.get_default("read_source"))
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        nargs="?" if has_source else None,
        help="a spack.lock, a folder with one, an easyconfig, a record, facts, or a recipe of HPCCM (.py): it is run",
    )
    add_product_arguments(parser)
    if not has_source:
        _add_recipe_run_arguments(parser)


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


def _add_recipe_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--cpu-target`` and ``--userarg``, as HPCCM's own command line has them."""
    parser.add_argument(
        "--cpu-target", metavar="TARGET", default="", help="processor that HPCCM optimizes for, as archspec calls it"
    )
    parser.add_argument(
        "--userarg",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="what HPCCM's recipe finds in USERARG (repeat)",
    )


def source_from_arguments(args: argparse.Namespace) -> Source:
    """Read SOURCE and tell what was said in it but is not followed."""
    source: Source = args.read_source(args.source, args.root) if args.read_source else _read_source(args)
    for warning in source.request.warnings if source.request else ():
        talk(warning, quiet=args.quiet)
    return source


def _read_source(args: argparse.Namespace) -> Source:
    from hpc3.sources import read_source
    from hpc3.sources.source import RecipeArguments

    userarg: dict[str, str] = {}
    for text in args.userarg:
        name, equals, userarg[name] = text.partition("=")
        if not name or not equals:
            raise UsageError(f"--userarg {text}: NAME=VALUE is needed")
    arguments = RecipeArguments(args.cpu_target, userarg) if args.cpu_target or userarg else None
    return read_source(args.source, args.root, arguments)
