"""``hpc3 easybuild-hooks``: the path of the hooks file, for ``eb --hooks="$(hpc3 easybuild-hooks)"``."""

from __future__ import annotations

import argparse

from hpc3.sources.easyconfig import plugin_folder

from .output import write_product


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the verb has no arguments of its own."""


def run(_args: argparse.Namespace) -> int:
    """Print the path."""
    write_product(f"{plugin_folder() / 'hooks.py'}\n")
    return 0
