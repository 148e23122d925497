"""``hpc3 fingerprint``: what this host is, or the weakest common host of several."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from hpc3.errors import InputError, UsageError, printable
from hpc3.fingerprint import Fingerprint, host_line

from .output import talk, write_product


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--merge", nargs="+", metavar="FILE", help="the weakest common host of these fingerprints")
    what.add_argument(
        "--from",
        nargs="+",
        dest="texts",
        metavar="FILE",
        help="cpuinfo, lscpu and nvidia-smi output of one machine, or its fingerprint",
    )
    parser.add_argument(
        "--format", choices=("json", "text"), default="json", help="text: one line, for a login banner (default: json)"
    )
    parser.add_argument("--name", default="", help="what to call the host (default: anonymous)")
    parser.add_argument("--family", default="", help="with --from: what 'uname -m' says there, where no file tells it")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of stdout")


def run(args: argparse.Namespace) -> int:
    """Print the fingerprint."""
    from hpc3.host.document import fingerprint_to_json

    if args.family and not args.texts:
        raise UsageError("--family goes with --from")
    host = _fingerprint(args)
    product = f"{printable(host_line(host))}\n" if args.format == "text" else fingerprint_to_json(host)
    write_product(product, args.output)
    return 0


def host_from_file(path: str) -> Fingerprint:
    """Return the fingerprint in a file: the JSON form, or another machine's cpuinfo, lscpu or nvidia-smi output.

    Raises:
        InputError: it cannot be read, or is none of them.
    """
    from hpc3.host.foreign import fingerprint_from_text

    return fingerprint_from_text(_text(path), path)


def _fingerprint(args: argparse.Namespace) -> Fingerprint:
    if args.merge:
        from hpc3.host.merge import differences, weakest_common_host

        hosts = [(path, host_from_file(path)) for path in args.merge]
        for difference in differences(hosts):
            talk(str(difference), quiet=args.quiet)
        return weakest_common_host(hosts, args.name)
    if args.texts:
        from hpc3.host.foreign import fingerprint_from_texts, is_fingerprint

        if len(args.texts) == 1 and is_fingerprint(_text(args.texts[0])):
            host = host_from_file(args.texts[0])
            return replace(host, name=args.name) if args.name else host
        return fingerprint_from_texts({path: _text(path) for path in args.texts}, args.name, args.family)
    from hpc3.host.fingerprint import read_host

    return read_host(args.name)


def _text(path: str) -> str:
    from hpc3.host.foreign import MOST_BYTES

    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    if len(data) > MOST_BYTES:
        raise InputError(f"is larger than {MOST_BYTES} bytes", where=path)
    return data.decode("utf-8", "replace")
