"""Spack's ``containerize`` with ``--annotate``; without it, Spack's own code runs, unchanged.

Found before Spack's own because `hpc3_spack.get_extension_path` puts this folder first.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from types import ModuleType

import spack.paths

from hpc3_spack.commands import configure_containerize, run_containerize


def _load_own() -> ModuleType:
    """Load Spack's file under a name in Spack's package, so that relative imports would work."""
    path = Path(spack.paths.command_path) / "containerize.py"
    spec = importlib.util.spec_from_file_location("spack.cmd._own_containerize", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_own = _load_own()

# They differ between versions of Spack, which needs all three to list its commands.
description, section, level = _own.description, _own.section, _own.level


def setup_parser(subparser: argparse.ArgumentParser) -> None:
    """Add Spack's arguments and ours."""
    _own.setup_parser(subparser)
    configure_containerize(subparser)


def containerize(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int | None:
    """Do what Spack does, or write a conformant, annotated recipe."""
    return run_containerize(args, lambda: _own.containerize(parser, args))
