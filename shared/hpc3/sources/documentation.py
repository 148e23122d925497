"""Documentation annotations from markdown files beside the source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hpc3.errors import InputError

from .documents import read_document

#: Documentation keys of the vocabulary and the files that hold their text; the first that exists is taken.
_FILES = {
    "readme": ("README.md", "README"),
    "howto.run": ("HOWTO-run.md", "HOWTO.run.md", "HOWTO.md"),
    "howto.build": ("HOWTO-build.md", "HOWTO.build.md"),
    "tweaks": ("TWEAKS.md",),
}

#: More is never read; what fits into an annotation is decided by the vocabulary.
_LIMIT = 1024 * 1024


def documentation_beside(folder: Path) -> Mapping[str, str]:
    """Return the markdown texts of a folder by documentation key.

    Raises:
        InputError: a file is too large, unreadable or not UTF-8.
    """
    found: dict[str, str] = {}
    for key, names in _FILES.items():
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            continue
        try:
            found[key] = read_document(path, _LIMIT).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"is not text: byte {error.start} is not UTF-8", where=str(path)) from error
    return found
