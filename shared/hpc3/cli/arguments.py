"""What verbs that read images share: from an argument to images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hpc3.errors import InputError, UsageError

if TYPE_CHECKING:
    from hpc3.consume.image import Image
    from hpc3.fingerprint import Fingerprint

_MOST_BYTES = 16 * 2**20


def add_host_argument(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add ``--host``: a fingerprint's file instead of the running machine."""
    parser.add_argument(
        "--host",
        nargs="+" if several else None,
        default=[] if several else "",
        metavar="FILE",
        help="a fingerprint, or cpuinfo, lscpu or nvidia-smi output, instead of this host",
    )


def host_of(path: str) -> Fingerprint:
    """Return the fingerprint in a file, or of this host where there is no path; a nameless one is called by its file.

    Raises:
        InputError: the file is not a fingerprint.
        HostError: this host cannot be read.
    """
    if not path:
        from hpc3.host.fingerprint import read_host

        return read_host()
    from dataclasses import replace

    from .fingerprint import host_from_file

    host = host_from_file(path)
    return host if host.name else replace(host, name=Path(path).stem)


def images_of_argument(argument: str) -> tuple[Image, ...]:
    """Return the images that an argument names: a file of ``hpc3 inspect``, of annotations, an index, or a list.

    Raises:
        InputError: the file is not what it should be.
        UsageError: there is no such file.
    """
    from hpc3.consume.image import images_from_json

    if not Path(argument).is_file():
        raise UsageError("is not a file of 'hpc3 inspect' or of annotations", where=argument)
    return images_from_json(text_of(argument), argument)


def text_of(path: str) -> str:
    """Return the text in a file.

    Raises:
        InputError: it cannot be read, is too large or is not UTF-8.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InputError(f"is larger than {_MOST_BYTES} bytes", where=path)
        return data.decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", where=path) from error
