"""Image references in the spelling of containers/image: a transport, a place, and what there names the image.

Grammar (containers-transports(5), distribution/reference)::

    docker://HOST[:PORT]/NAME[:TAG][@DIGEST]      also bare: NAME, HOST/NAME, …
    oci:DIR[:NAME]            oci:DIR@DIGEST
    oci-archive:FILE[:NAME]   oci-archive:FILE@DIGEST
    containers-storage:[[DRIVER@ROOT+RUNROOT]]NAME[:TAG][@DIGEST]

Bare names follow Docker: without a host it is ``docker.io``, there without a folder ``library/``, without a tag
``latest``. In layouts NAME is what ``org.opencontainers.image.ref.name`` holds: a tag, or a whole image name as podman
writes it. ``oci:DIR@DIGEST`` is ours: containers/image cannot name an image in a layout by digest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hpc3.errors import UsageError, printable

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"

_HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
_NAME_LIMIT = 255

_NAMED = re.compile(rf"(?P<name>[^@]+?)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?")
_REF_COMPONENT = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"  # image-spec, annotations.md: ref.name
_REF_NAME = rf"{_REF_COMPONENT}(?:/{_REF_COMPONENT})*"
_PLACE = re.compile(rf"(?P<path>[^:@]+)(?::(?P<tag>{_TAG}|{_REF_NAME})|@(?P<digest>{_DIGEST}))?")
_STORAGE = re.compile(r"(?P<spec>\[[^\]\n]*\])?(?P<rest>.+)")


@dataclass(frozen=True)
class ImageReference:
    """Where an image is and what names it there; ``str()`` is the canonical spelling and parses to an equal value.

    Attributes:
        transport: ``docker``, ``oci``, ``oci-archive`` or ``containers-storage``.
        location: registry host with port, path of the layout or archive, or the storage's ``[DRIVER@ROOT+RUNROOT]``.
        repository: name without tag, for storage with its host; empty for layouts and archives.
        tag: empty where a digest alone names the image, and in layouts and archives that hold one image; there it may
            be a whole name.
        digest: ``sha256:…``, or empty.
    """

    transport: str
    location: str
    repository: str = ""
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        if self.transport == "docker":
            return f"docker://{self.location}/{self.repository}{tag}{digest}"
        return f"{self.transport}:{self.location}{self.repository}{tag}{digest}"

    @property
    def short_tag(self) -> str:
        """The tag alone, also where a layout holds a whole name, as podman writes it; empty where that has none."""
        name = self.tag.partition("@")[0].rpartition("/")[2]
        before, colon, after = name.partition(":")
        return after if colon else "" if "/" in self.tag else before

    def with_tag(self, tag: str) -> ImageReference:
        """Return the reference to ``tag`` at the same place.

        Raises:
            UsageError: ``tag`` is not a tag.
        """
        if not re.fullmatch(_TAG, tag):
            raise UsageError(f"{printable(tag)!r} is not a tag", remedy="letters, digits, '_', '.', '-'; at most 128")
        return replace(self, tag=tag, digest="")

    def with_digest(self, digest: str) -> ImageReference:
        """Return the reference to ``digest`` at the same place."""
        return replace(self, tag="", digest=digest)


def parse_reference(text: str) -> ImageReference:
    """Parse an image reference.

    Raises:
        UsageError: it is none, or its transport is not one of the four.
    """
    transport, separator, rest = text.partition(":")
    if separator and transport == "docker" and rest.startswith("//"):
        return _parse_named(text, rest[2:])
    if separator and transport in ("oci", "oci-archive"):
        return _parse_place(text, transport, rest)
    if separator and transport == "containers-storage":
        return _parse_storage(text, rest)
    if separator and transport in ("dir", "docker-archive", "docker-daemon", "ostree", "sif", "tarball"):
        raise _fault(text, f"{transport}: cannot hold annotations", "copy it to oci: or oci-archive: with skopeo")
    return _parse_named(text, text)


def _parse_named(text: str, rest: str) -> ImageReference:
    match = _NAMED.fullmatch(rest)
    if not match:
        raise _fault(text, "is no image reference")
    host, repository = _split_host(text, match["name"])
    tag = match["tag"] or ("" if match["digest"] else DEFAULT_TAG)
    return ImageReference("docker", host, repository, tag, match["digest"] or "")


def _split_host(text: str, name: str) -> tuple[str, str]:
    """Return host and repository of a name as Docker reads it: a first part with ``.`` or ``:`` is a host."""
    first, slash, remainder = name.partition("/")
    is_host = slash and (any(c in first for c in ".:[") or first == "localhost" or first != first.lower())
    host, repository = (first, remainder) if is_host else (DOCKER_HUB, name)
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    if not re.fullmatch(_HOST, host):
        raise _fault(text, "has no valid registry host")
    if repository != repository.lower():
        raise _fault(text, "has capital letters in its name", "repository names are lower case")
    if not re.fullmatch(_REPOSITORY, repository) or len(f"{host}/{repository}") > _NAME_LIMIT:
        raise _fault(text, "has no valid repository name")
    return host, repository


def _parse_place(text: str, transport: str, rest: str) -> ImageReference:
    match = _PLACE.fullmatch(rest)
    if not match or "\0" in rest:
        raise _fault(text, f"is not {transport}:PATH[:NAME]", "a path must not contain ':' or '@'")
    return ImageReference(transport, match["path"], "", match["tag"] or "", match["digest"] or "")


def _parse_storage(text: str, rest: str) -> ImageReference:
    match = _STORAGE.fullmatch(rest)
    if not match:
        raise _fault(text, "is not containers-storage:NAME")
    named = _parse_named(text, match["rest"])
    return replace(
        named,
        transport="containers-storage",
        location=match["spec"] or "",
        repository=f"{named.location}/{named.repository}",
    )


def _fault(text: str, what: str, remedy: str = "") -> UsageError:
    return UsageError(what, where=printable(text), remedy=remedy)
