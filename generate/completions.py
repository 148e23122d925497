"""Completions for bash, zsh and fish; shtab writes them."""

from __future__ import annotations

import shtab

from .commands import parsers, whole_parser

#: What a value's name says about it: completed by the names of files, or of folders.
_FILES = frozenset(("FILE", "SOURCE", "SOURCE|FILE", "IMAGE", "IMAGE|FILE", "IMAGE|ROOTFS"))
_FOLDERS = frozenset(("DIR",))


def completion(shell: str) -> str:
    """Return the completion of ``hpc3`` for ``bash``, ``zsh`` or ``fish``."""
    parser = whole_parser()
    for one in parsers(parser):
        for action in one._actions:
            if action.metavar in _FILES | _FOLDERS:
                action.complete = shtab.DIRECTORY if action.metavar in _FOLDERS else shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell) + "\n"
