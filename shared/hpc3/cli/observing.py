"""What the verbs that look into files share: ``verify`` and ``apply --verify``."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hpc3.errors import UsageError

if TYPE_CHECKING:
    from hpc3.evidence.tree import Tree
    from hpc3.observed import Observed
    from hpc3.oci.manifest import Manifest
    from hpc3.oci.store import ImageStore


def configure_observation(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how thoroughly code is read."""
    parser.add_argument("--no-isa", action="store_true", help="do not disassemble: leave the CPU target unproven")
    parser.add_argument("--processes", type=int, default=0, metavar="N", help="that disassemble (default: CPUs)")


def need_readers(args: argparse.Namespace) -> None:
    """Check that the readers of binaries are installed.

    Raises:
        UsageError: they are not.
    """
    from importlib.util import find_spec

    modules = ("elftools", *(() if args.no_isa else ("capstone", "iced_x86")))
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        what = f"reading binaries needs {' and '.join(missing)}, not installed here"
        raise UsageError(what, remedy="pip install 'hpc3[verify]'")


def observe_image(store: ImageStore, image: Manifest, command_path: str, args: argparse.Namespace) -> Observed:
    """Return what the files of an image show; ``command_path`` is PATH of its configuration.

    Raises:
        InputError: a layer is not what it should be.
        StoreError: the store fails.
    """
    from hpc3.evidence.layer_tree import LayerTree
    from hpc3.evidence.tree import DirectoryTree

    with store.open_root(image) as root:
        tree: Tree = DirectoryTree(root) if isinstance(root, Path) else LayerTree(root)
        return observe_files(tree, command_path, args)


def observe_files(tree: Tree, command_path: str, args: argparse.Namespace) -> Observed:
    """Return what the files of a tree show, with progress on a terminal."""
    gc.enable()  # reading a hundred thousand files makes cycles (`hpc3.cli` begins without the collector)
    from hpc3.evidence.scan import observe_tree

    if args.no_isa:
        return observe_tree(tree, command_path=command_path)
    from hpc3.evidence.disassembly import Disassembly

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
