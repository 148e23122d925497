"""What the verbs about images share: which images, how registries are reached, progress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hpc3.errors import InputError, UsageError
from hpc3.oci.reference import ImageReference, parse_reference

if TYPE_CHECKING:
    from hpc3.oci.connections import Access
    from hpc3.oci.opening import Stores

T = TypeVar("T")

_LIST_LIMIT = 16 * 1024 * 1024


def configure_access(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how registries are reached."""
    group = parser.add_argument_group("registries")
    group.add_argument("--ca", metavar="FILE", default="", help="trust this certificate authority, too")
    group.add_argument("--plain-http", action="store_true", help="allow HTTP without TLS to other machines")
    group.add_argument("--timeout", type=float, default=30.0, metavar="S", help="seconds a server may be silent (30)")
    group.add_argument("--jobs", type=int, default=16, metavar="N", help="how many requests at once (16)")


def configure_images(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which images are meant."""
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help="docker://…, oci:…, oci-archive:…, containers-storage:…"
    )
    parser.add_argument("--list", metavar="FILE", default="", help="more images, one a line; - reads stdin")
    parser.add_argument("--all-tags", action="store_true", help="every tag of each repository or layout named")
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="of an index, only these images")


def access_from(args: argparse.Namespace) -> Access | None:
    """Return how registries are reached; None for the defaults, which spares importing HTTP for local stores.

    Raises:
        UsageError: a number makes no sense.
    """
    if args.jobs < 1 or args.timeout <= 0:
        raise UsageError("--jobs and --timeout must be positive")
    if (args.ca, args.plain_http, args.timeout, args.jobs) == ("", False, 30.0, 16):
        return None
    from hpc3.oci.connections import Access

    return Access(args.ca, args.plain_http, args.timeout, args.jobs)


def references_from(args: argparse.Namespace, stores: Stores) -> list[ImageReference]:
    """Return the images that are meant, each once, in the order given.

    Raises:
        UsageError: none, or one that is no image reference.
    """
    texts = [*args.images, *(_listed(args.list) if args.list else ())]
    references = [parse_reference(text) for text in texts]
    if args.all_tags:
        references = [tagged for reference in references for tagged in every_tag(stores, reference)]
    if not references:
        raise UsageError("names no image", remedy="give IMAGE or --list FILE")
    return list(dict.fromkeys(references))


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Progress]:
    """Show how far many images are, where a person watches."""
    shown = Progress(total, visible=not quiet and total > 1 and sys.stderr.isatty())
    try:
        yield shown
    finally:
        shown.clear()


class Progress:
    """A counter on one line of the terminal."""

    def __init__(self, total: int, *, visible: bool) -> None:
        self._total = total
        self._visible = visible
        self._done = 0

    def over(self, results: Iterable[T]) -> Iterator[T]:
        """Yield the results, counting them; the line is free while a result is reported."""
        self._show()
        for result in results:
            self._done += 1
            self.clear()
            yield result
            self._show()

    def clear(self) -> None:
        """Remove the counter."""
        if self._visible:
            print("\r" + " " * len(self._text()) + "\r", end="", file=sys.stderr, flush=True)

    def _show(self) -> None:
        if self._visible:
            print(f"\r{self._text()}", end="", file=sys.stderr, flush=True)

    def _text(self) -> str:
        return f"{self._done}/{self._total}"


def _listed(path: str) -> Sequence[str]:
    if path == "-":
        text = sys.stdin.read(_LIST_LIMIT)
    else:
        with Path(path).open("rb") as stream:
            raw = stream.read(_LIST_LIMIT)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError("is no text", where=path) from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def every_tag(stores: Stores, reference: ImageReference) -> list[ImageReference]:
    """Return a reference to each tag of the repository, layout or archive that a reference names.

    Raises:
        UsageError: it is in a storage, where a name stands for itself.
        StoreError: the store fails.
    """
    if reference.transport == "containers-storage":
        raise UsageError("a name in containers-storage stands for itself", where=str(reference), remedy="no --all-tags")
    tags = stores.open(reference).list_tags()
    return [replace(reference, tag=tag, digest="") for tag in tags]
