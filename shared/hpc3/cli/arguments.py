"""What the verbs of consumers share: from arguments to a host and to images."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hpc3.errors import InputError, UsageError

from .images import access_from, every_tag

if TYPE_CHECKING:
    from hpc3.consume.catalog import Catalog
    from hpc3.consume.image import Image
    from hpc3.fingerprint import Fingerprint
    from hpc3.oci.opening import Stores

_MOST_BYTES = 16 * 2**20
_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64", "ppc64le": "linux/ppc64le", "riscv64": "linux/riscv64"}


def add_host_argument(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add ``--host``: a fingerprint's file instead of the running machine."""
    order = "; several may follow, so that other arguments stand before it" if several else ""
    parser.add_argument(
        "--host",
        nargs="+" if several else None,
        default=[] if several else "",
        metavar="FILE",
        help=f"a fingerprint, or cpuinfo, lscpu or nvidia-smi output, instead of this host{order}",
    )


def allow_options_between(parser: argparse.ArgumentParser) -> None:
    """Let options stand between the positional arguments of a verb, the last of which may be empty.

    argparse takes an empty list for it at the first option, and then refuses what follows.
    """
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]


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
    """Reads the images that arguments name; registries are connected to when the first one asks for it.

    Args:
        stores: how they are reached.
        catalog: what the site states of images there overrules what they state; None: there is no catalog.
    """

    def __init__(self, stores: Stores, catalog: Catalog | None = None) -> None:
        self._stores = stores
        self._catalog = catalog
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
            return self._overruled(images[0])
        from hpc3.consume.reading import read_image
        from hpc3.oci.reference import parse_reference

        platform = _PLATFORMS.get(host.cpu.family, "") if host and host.cpu else ""
        if (argument, platform) not in self._read:  # many hosts may be asked about one image
            reference = parse_reference(argument)
            image = read_image(self._stores.open(reference), reference, platform)
            self._read[argument, platform] = self._overruled(image)
        return self._read[argument, platform]

    def all(self, arguments: Sequence[str], *, all_tags: bool = False, jobs: int = 1) -> tuple[Image, ...]:
        """Return every image that the arguments name: all of an index, all in a document.

        Args:
            arguments: references and documents.
            all_tags: whether a reference stands for every tag of its repository.
            jobs: how many references are read at once.

        Raises:
            UsageError: an argument is no image.
            InputError: what is there is not what it should be.
            StoreError: a store fails.
        """
        from concurrent.futures import ThreadPoolExecutor

        named = [name for argument in arguments for name in self._named(argument, all_tags=all_tags)]
        with ThreadPoolExecutor(jobs, thread_name_prefix="hpc3") as pool:
            read = list(pool.map(self._every, named))
        return tuple(self._overruled(image) for images in read for image in images)

    def _overruled(self, image: Image) -> Image:
        external = self._catalog.external(image.digest) if self._catalog and image.digest else {}
        if not external:
            return image
        from hpc3.consume.image import overruled

        return overruled(image, external)

    def _named(self, argument: str, *, all_tags: bool) -> list[str]:
        if not all_tags or _is_document(argument):
            return [argument]
        from hpc3.oci.reference import parse_reference

        return [str(reference) for reference in every_tag(self._stores, parse_reference(argument))]

    def _every(self, argument: str) -> tuple[Image, ...]:
        if _is_document(argument):
            return _in_document(argument)
        from hpc3.consume.reading import read_variants
        from hpc3.oci.reference import parse_reference

        reference = parse_reference(argument)
        return read_variants(self._stores.open(reference), reference)


@contextmanager
def image_arguments(args: argparse.Namespace) -> Iterator[ImageArguments]:
    """Open the way to images, as the options of `configure_access` and `add_catalog_argument` say.

    The user's own catalog is looked into where there is one; one that is named must be there.
    """
    from hpc3.oci.opening import Stores

    asked: str = getattr(args, "catalog", None) or ""
    path = catalog_path(asked)
    with ExitStack() as stack:
        stores = stack.enter_context(Stores(access_from(args)))
        catalog = None
        if path.is_file() or asked:
            from hpc3.consume.catalog import Catalog

            catalog = stack.enter_context(Catalog(path))
        yield ImageArguments(stores, catalog)


def add_catalog_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--catalog``: another file than the user's own."""
    parser.add_argument("--catalog", default="", metavar="FILE", help="default: $HPC3_CATALOG, else one in your home")


def catalog_path(path: str) -> Path:
    """Return where the catalog is: as asked for, ``HPC3_CATALOG``, else below ``XDG_DATA_HOME``."""
    import os

    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return Path(path or os.environ.get("HPC3_CATALOG") or home / "hpc3/catalog.sqlite")


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
