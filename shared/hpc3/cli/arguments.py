"""What the verbs of consumers share: from arguments to a host and to images."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hpc3.errors import InputError, UsageError

from .images import access_from

if TYPE_CHECKING:
    from hpc3.consume.image import Image
    from hpc3.fingerprint import Fingerprint
    from hpc3.oci.opening import Stores

_MOST_BYTES = 16 * 2**20
_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64", "ppc64le": "linux/ppc64le", "riscv64": "linux/riscv64"}


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


class ImageArguments:
    """Reads the images that arguments name; registries are connected to when the first one asks for it."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._read: dict[tuple[str, str], Image] = {}

    def one(self, argument: str, host: Fingerprint | None = None) -> Image:
        """Return the image that an argument names; of an index in a store that for the host's platform.

        Raises:
            UsageError: it names several, or none.
            InputError: what is there is not what it should be.
            StoreError: the store fails.
        """
        if _is_document(argument):
            images = _in_document(argument)
            if len(images) != 1:
                raise UsageError("holds several images", where=argument, remedy="choose one with 'hpc3 find'")
            return images[0]
        from hpc3.consume.reading import read_image
        from hpc3.oci.reference import parse_reference

        platform = _PLATFORMS.get(host.cpu.family, "") if host and host.cpu else ""
        if (argument, platform) not in self._read:  # many hosts may be asked about one image
            reference = parse_reference(argument)
            self._read[argument, platform] = read_image(self._stores.open(reference), reference, platform)
        return self._read[argument, platform]

    def all(self, arguments: Sequence[str]) -> tuple[Image, ...]:
        """Return every image that the arguments name: all of an index, all in a document.

        Raises:
            UsageError: an argument is no image.
            InputError: what is there is not what it should be.
            StoreError: a store fails.
        """
        return tuple(image for argument in arguments for image in self._every(argument))

    def _every(self, argument: str) -> tuple[Image, ...]:
        if _is_document(argument):
            return _in_document(argument)
        from hpc3.consume.reading import read_variants
        from hpc3.oci.reference import parse_reference

        reference = parse_reference(argument)
        return read_variants(self._stores.open(reference), reference)


@contextmanager
def image_arguments(args: argparse.Namespace) -> Iterator[ImageArguments]:
    """Open the way to images, as the options of `configure_access` say."""
    from hpc3.oci.opening import Stores

    with Stores(access_from(args)) as stores:
        yield ImageArguments(stores)


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


def _is_document(argument: str) -> bool:
    return argument.endswith(".json") or Path(argument).is_file()


def _in_document(argument: str) -> tuple[Image, ...]:
    from hpc3.consume.image import images_from_json

    return images_from_json(text_of(argument), argument)
