"""What leaves the command line: the product to stdout or a file, talk to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from hpc3.errors import InputError, printable


def write_product(product: str | bytes, path: str = "") -> None:
    """Write the product to ``path``, or to stdout for ``""`` and ``-``.

    A file appears whole or not at all: it is written beside its place and moved there, and keeps the mode that an
    ordinary new file would have.

    Raises:
        InputError: the file cannot be written.
    """
    data = product.encode("utf-8") if isinstance(product, str) else product
    if path in ("", "-"):
        if sys.stdout is None:  # Python's way to say that it is closed
            raise InputError("is closed", where="standard output")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        _replace(Path(path), data)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=path) from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"cannot be written: {error}", where=path) from error


def talk(line: str, *, quiet: bool = False) -> None:
    """Tell a person something on stderr that is not the product."""
    if not quiet and sys.stderr is not None:  # print would take stdout instead
        print(f"hpc3: {printable(line)}", file=sys.stderr)


def _replace(target: Path, data: bytes) -> None:
    if target.exists() and not target.is_file():  # /dev/stdout, a pipe: there is nothing to replace
        target.write_bytes(data)
        return
    import tempfile  # here: most runs print, and it brings a tenth of a run's imports along

    target = target.resolve()  # a link stays a link, and what it names may be on another file system
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:200]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
