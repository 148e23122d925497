"""What an argument that may be a file, a folder or an image means: what is there decides, then how it is spelled."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpc3.errors import Hpc3Error, InputError, UsageError
from hpc3.oci.reference import DOCKER_HUB, parse_reference

_TRANSPORT = re.compile(r"(docker:/|(oci|oci-archive|containers-storage|dir|docker-archive|docker-daemon):)")
#: What no image is called: a path that starts where paths do, and names that only files have.
_PATH = re.compile(r"[/~].*|\.\.?(/.*)?|.*\.(json|yaml|yml)|(.*/)?(Dockerfile|Containerfile)[^/]*", re.DOTALL)


def path_given(text: str) -> Path | None:
    """Return the file or folder that an argument means; None where it names an image.

    Raises:
        InputError: it is spelled as a path, and nothing is there.
    """
    if _exists(Path(text)):
        return Path(text)
    if _PATH.fullmatch(text) and not _TRANSPORT.match(text):
        raise InputError("there is no such file or folder", where=text)
    return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def image_given(text: str, path: Path | None) -> str:
    """Return the image reference that an argument means.

    Args:
        text: the argument.
        path: what `path_given` told of it.

    Raises:
        UsageError: it is a folder that holds no OCI layout.
    """
    if path is None:
        return text
    if (path / "oci-layout").is_file():
        return f"oci:{text}"
    raise UsageError(
        "is a folder without an OCI layout",
        where=text,
        remedy=f"an image is written docker://{path.name or 'NAME'}, oci:DIR or oci-archive:FILE",
    )


@contextmanager
def telling_how_read(text: str) -> Iterator[None]:
    """Say of an error how a short name was read: whoever mistyped a file's name would look for a registry's fault."""
    try:
        yield
    except Hpc3Error as error:
        reading = _reading(text, error.where)
        if reading:
            remedy = f"{reading}; no file or folder is called so"
            error.remedy = f"{error.remedy}; {remedy}" if error.remedy else remedy
        raise


def _reading(text: str, fault_at: str) -> str:
    """Return how a name without transport and registry was read; empty where the fault is another image's."""
    if _TRANSPORT.match(text) or text.startswith(f"{DOCKER_HUB}/"):
        return ""
    try:
        reference = parse_reference(text)
    except UsageError:
        return "read as an image"
    is_short = reference.location == DOCKER_HUB and reference.repository in fault_at
    return f"read as {reference}" if is_short else ""
