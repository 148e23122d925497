"""Manifests, indexes and artifacts: bytes from a hostile place, and what they say. ``edit`` changes them.

Pure: no I/O. Grammar: https://github.com/opencontainers/image-spec (manifest.md, image-index.md, descriptor.md), and
Docker's "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpc3.errors import InputError, printable

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)
CONFIGS = (OCI_CONFIG, DOCKER_CONFIG)
MANIFEST_MEDIA_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX)

#: distribution-spec: registries "SHOULD expect to be able to support manifest pushes of at least 4 megabytes".
MANIFEST_LIMIT = 4 * 1024 * 1024

EMPTY_BLOB = b"{}"

#: Artifact types, and media types, of attached SBOMs (IANA).
CYCLONEDX = "application/vnd.cyclonedx+json"
SPDX = "application/spdx+json"

#: BuildKit's attestations: entries of an index that belong to a sibling, named by these descriptor annotations.
ATTESTATION_TYPE = "vnd.docker.reference.type"
ATTESTATION_SUBJECT = "vnd.docker.reference.digest"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says of a blob or of another manifest.

    Attributes:
        media_type: of the content.
        digest: ``sha256:…`` or ``sha512:…``.
        size: bytes.
        artifact_type: empty for images.
        annotations: the descriptor's own.
        platform: ``os``, ``architecture``, ``variant`` as far as stated.
    """

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_attestation(self) -> bool:
        """Whether it is no image but BuildKit's attestation of a sibling."""
        return ATTESTATION_TYPE in self.annotations

    def as_document(self) -> dict[str, Any]:
        """Return the descriptor as it is written into a manifest."""
        document: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.platform:
            document["platform"] = dict(self.platform)
        return document


@dataclass(frozen=True)
class Manifest:
    """An image manifest, an index or an artifact: its bytes as stored, and what they say.

    Attributes:
        raw: the bytes that the digest is of.
        media_type: one of `MANIFEST_MEDIA_TYPES`.
        document: the parsed JSON object; shared, never changed.
    """

    raw: bytes
    media_type: str
    document: Mapping[str, Any] = field(compare=False, repr=False)

    @property
    def digest(self) -> str:
        """``sha256:…`` of the bytes."""
        return digest_of(self.raw)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests instead of layers."""
        return self.media_type in INDEXES

    @property
    def artifact_type(self) -> str:
        """What the artifact is; images have none. Before OCI 1.1 the config's media type said it."""
        stated = self.document.get("artifactType")
        if stated or self.is_index:
            return str(stated or "")
        config = self.config.media_type
        return "" if config in CONFIGS else config

    @property
    def annotations(self) -> dict[str, str]:
        """The manifest's own annotations."""
        return string_map(self.document.get("annotations"), "annotations")

    @property
    def config(self) -> Descriptor:
        """The descriptor of the config blob; an index has none."""
        return parse_descriptor(self.document.get("config"), "config")

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers, lowest first."""
        return self._descriptors("layers")

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """The entries of an index, in its order, attestations among them."""
        return self._descriptors("manifests")

    @property
    def subject(self) -> Descriptor | None:
        """What a referrer refers to."""
        stated = self.document.get("subject")
        return None if stated is None else parse_descriptor(stated, "subject")

    @property
    def descriptor(self) -> Descriptor:
        """The plain descriptor of this manifest."""
        return Descriptor(self.media_type, self.digest, len(self.raw))

    def _descriptors(self, member: str) -> tuple[Descriptor, ...]:
        entries = self.document.get(member)
        if entries is None:  # Go writes null for an empty list
            entries = []
        if not isinstance(entries, list):
            raise InputError("is not a list", where=f"manifest: {member}")
        return tuple(parse_descriptor(entry, f"{member}[{i}]") for i, entry in enumerate(entries))


def digest_of(raw: bytes) -> str:
    """Return the digest of bytes, ``sha256:…``."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def check_digest(raw: bytes, digest: str, where: str) -> None:
    """Check that the bytes are those that the digest names.

    Raises:
        InputError: they are not, or the digest's algorithm is none that OCI registers.
    """
    if not _DIGEST.fullmatch(digest):
        raise InputError(f"{printable(digest)!r} is no digest", where=where)
    algorithm, _, wanted = digest.partition(":")
    found = hashlib.new(algorithm, raw).hexdigest()
    if found != wanted:
        raise InputError(f"content has digest {algorithm}:{found}, not {digest}", where=where)


def parse_json(raw: bytes, where: str) -> dict[str, Any]:
    """Parse a JSON object from a hostile place: no key twice, no number that JSON lacks, not too deep.

    Raises:
        InputError: it is not such an object.
    """
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")  # lone surrogates, 1e999
    except RecursionError as error:
        raise InputError("is nested too deeply", where=where) from error
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", where=where) from error
    if not isinstance(document, dict):
        raise InputError("is not a JSON object", where=where)
    return document


def parse_manifest(raw: bytes, declared: str = "", where: str = "manifest") -> Manifest:
    """Parse a manifest or an index.

    Args:
        raw: its bytes.
        declared: the media type that the server or the descriptor states; empty when nobody did.
        where: what to name in errors.

    Raises:
        InputError: too large, not JSON, ambiguous, or of another media type than declared.
    """
    if len(raw) > MANIFEST_LIMIT:
        raise InputError(f"is larger than {MANIFEST_LIMIT} bytes", where=where)
    document = parse_json(raw, where)
    if document.get("schemaVersion") != 2:
        raise InputError("schemaVersion is not 2", where=where, remedy="Docker schema 1 must be pulled and pushed anew")
    has_children, has_layers = "manifests" in document, "layers" in document or "config" in document
    if has_children == has_layers:
        # One that is both means different things to different readers (CVE-2021-41190).
        raise InputError("is neither a manifest nor an index, or both", where=where)
    declared = declared.partition(";")[0].strip().lower()
    if declared in ("application/json", "application/octet-stream", "text/plain"):
        declared = ""  # what file servers say of anything: no statement
    stated = document.get("mediaType", "")
    media_type = stated or declared or (OCI_INDEX if has_children else OCI_MANIFEST)
    if stated and declared and stated != declared:
        raise InputError(f"says it is {printable(str(stated))}, was given as {printable(declared)}", where=where)
    if media_type not in (INDEXES if has_children else MANIFESTS):
        raise InputError(f"has media type {printable(str(media_type))}, which is no image's", where=where)
    return _checked(Manifest(raw, media_type, document), where)


def parse_descriptor(document: object, where: str) -> Descriptor:
    """Parse a descriptor.

    Raises:
        InputError: it is none.
    """
    if not isinstance(document, dict):
        raise InputError("is not a descriptor", where=where)
    media_type, digest, size = document.get("mediaType"), document.get("digest"), document.get("size")
    if not isinstance(media_type, str) or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InputError("has no media type or no digest", where=where)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InputError("has no size", where=where)
    platform = document.get("platform") or {}
    if not isinstance(platform, dict):
        raise InputError("is not an object", where=f"{where}.platform")
    return Descriptor(
        media_type,
        digest,
        size,
        str(document.get("artifactType") or ""),
        string_map(document.get("annotations"), f"{where}.annotations"),
        {k: v for k, v in platform.items() if isinstance(v, str)},
    )


def _checked(manifest: Manifest, where: str) -> Manifest:
    """Read every part once, so that no property fails later."""
    try:
        _ = manifest.annotations, manifest.subject
        _ = manifest.children if manifest.is_index else (manifest.config, manifest.layers)
    except InputError as error:
        raise InputError(error.what, where=f"{where}: {error.where}") from error
    return manifest


def string_map(document: object, where: str) -> dict[str, str]:
    """Return a JSON object of strings; null and absent are empty.

    Raises:
        InputError: it is none.
    """
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise InputError("does not map strings to strings", where=where)
    return dict(document)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key occurs twice")
    return document


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
