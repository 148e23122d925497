"""``hpc3 containerize SOURCE``: a conformant, annotated Dockerfile or Apptainer definition."""

from __future__ import annotations

import argparse
from pathlib import Path

from hpc3.containerize import RecipeOptions, recipe_from_source
from hpc3.errors import InputError, UsageError, printable
from hpc3.sources.documents import read_document

from .annotations import tell_missing
from .output import talk, write_product
from .recipe_arguments import add_recipe_arguments
from .source_arguments import add_source_arguments, source_from_arguments

_RECIPE_LIMIT = 16 * 1024 * 1024
_LINE_LIMIT = 65536


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_source_arguments(parser)
    add_recipe_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the recipe, or compare it with a file."""
    options = options_from_arguments(args)
    recipe = recipe_from_source(source_from_arguments(args), options)
    for note in recipe.notes:
        talk(note, quiet=args.quiet)
    if not options.in_build:
        tell_missing(recipe.annotations.missing, quiet=args.quiet)
    if args.check:
        return check_recipe(recipe.text, args.check, quiet=args.quiet)
    write_product(recipe.text, args.output)
    return 0


def options_from_arguments(args: argparse.Namespace) -> RecipeOptions:
    """Return the options of a recipe.

    Raises:
        UsageError: an ``--external`` is not ``NAME=PACKAGES``.
    """
    externals: dict[str, tuple[str, ...]] = {}
    for text in args.external:
        name, equals, packages = text.partition("=")
        if not name or not equals:
            raise UsageError(f"--external {text}: NAME=PACKAGE[,PACKAGE…] is needed")
        externals[name] = tuple(package for package in packages.split(",") if package)
        for package in externals[name]:
            if package.startswith("-") or not package.isprintable() or " " in package:
                raise UsageError(f"--external {text}: {package!r} is no name of a package")
    return RecipeOptions(
        format=args.format or "",
        externals=externals,
        picked=bool(args.root),
        in_build=args.concretize_in_build,
        image=args.image,
    )


def check_recipe(text: str, path: Path, *, quiet: bool) -> int:
    """Print the difference between a file and what it should be; return 1 where there is one."""
    if not path.is_file():
        raise InputError("there is no such file", where=str(path), remedy=f"write it: hpc3 containerize … -o {path}")
    present = read_document(path, _RECIPE_LIMIT).decode("utf-8", "replace")
    if present == text:
        return 0
    import difflib  # here: only a stale recipe needs it

    lines = difflib.unified_diff(
        present.splitlines(keepends=True), text.splitlines(keepends=True), str(path), f"{path} (up to date)"
    )
    # Read by people: what the file holds must not steer their terminal.
    write_product("".join(f"{printable(line[:-1], _LINE_LIMIT)}\n" for line in lines))
    talk(f"{path} is not up to date: write it anew with -o {path}", quiet=quiet)
    return 1
