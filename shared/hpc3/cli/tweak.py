"""``hpc3 tweak``: what an engine must be told so that an image uses this host."""

from __future__ import annotations

import argparse
import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from hpc3.errors import InputError, UsageError, printable

from .arguments import add_catalog_argument, add_host_argument, host_of, image_arguments
from .images import configure_access
from .output import talk, write_product

if TYPE_CHECKING:
    from hpc3.consume.tweak.configuration import Configuration, File

_ENGINES = ("apptainer", "charliecloud", "edf", "enroot", "podman", "podman-hpc", "sarus", "shifter")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="an image, or a file of 'hpc3 inspect' or annotations")
    parser.add_argument("--engine", required=True, choices=_ENGINES, help="the engine to configure")
    add_host_argument(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--install", default="", metavar="DIR", help="write the files below DIR (/ for this host)")
    parser.add_argument("--dry-run", action="store_true", help="with --install: print the difference and write nothing")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of stdout")
    add_catalog_argument(parser)
    configure_access(parser)


def run(args: argparse.Namespace) -> int:
    """Print the configuration, or install its files after printing what changes."""
    from hpc3.consume.tweak.engines import configuration_for

    if args.dry_run and not args.install:
        raise UsageError("--dry-run goes with --install")
    host = host_of(args.host)
    with image_arguments(args) as images:
        configuration = configuration_for(images.one(args.image, host), host, args.engine)
    for note in configuration.notes:
        talk(note, quiet=args.quiet)
    if args.install:
        _install(configuration, Path(args.install), dry_run=args.dry_run)
    elif args.format == "json":
        write_product(_document(configuration), args.output)
    else:
        write_product(_text(configuration), args.output)
    return 0


def _text(configuration: Configuration) -> str:
    """Return the files, each below a line with its path, and the commands."""
    blocks = [f"# /{printable(file.path)}\n{file.text}" for file in configuration.files]
    lines = {"pull": configuration.pull_line, "run": configuration.command_line}
    blocks += [f"# {name}\n{printable(line, 20000)}\n" for name, line in lines.items() if line]
    return "\n".join(blocks)


def _document(configuration: Configuration) -> str:
    document = {
        "engine": configuration.engine,
        "files": [{"path": f.path, "text": f.text, "executable": f.executable} for f in configuration.files],
        "pull": list(configuration.pull),
        "command": list(configuration.command),
        "notes": list(configuration.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _install(configuration: Configuration, root: Path, *, dry_run: bool) -> None:
    """Print the difference to what is there, then write; a file that is the same already is left alone.

    Raises:
        InputError: a file cannot be written.
    """
    if not configuration.files:
        talk(f"{configuration.engine} needs no file for this image on this host")
    for file in configuration.files:
        target = root / file.path
        before = _present(target)
        if before == file.text:
            talk(f"{target} is as it should be")
            continue
        difference = difflib.unified_diff(
            before.splitlines(keepends=True), file.text.splitlines(keepends=True), f"{target} (now)", f"{target} (new)"
        )
        write_product("".join(difference))
        if not dry_run:
            _write(target, file)


def _present(target: Path) -> str:
    try:
        return target.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(target)) from error


def _write(target: Path, file: File) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"its folder cannot be made: {error.strerror}", where=str(target)) from error
    write_product(file.text, str(target))
    if file.executable:
        target.chmod(target.stat().st_mode | 0o111)
