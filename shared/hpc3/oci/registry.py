"""Images in a registry (https://github.com/opencontainers/distribution-spec), layers left where they are.

Not on ``oras``: every part of oras-py 0.2.43 that would be used here would have to be replaced. It parses manifests and
so loses their bytes and digest; cannot put an index or a Docker manifest; lists no referrers and hashes a subject from
re-serialised JSON; keeps one bearer token per client, so that reading and then writing fails; waits 131 s on a refused
connection and without end on a silent one; reads one credential file of five; and ``import oras`` alone takes longer
than the whole of annotating an image (measured: 190 to 1500 ms). What would be left of it is the HTTP, which
``connections`` has from the standard library. oras is a peer in the tests: it must read what is written here.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from hpc3.errors import InputError, StoreError

from .edit import new_index, referrer_entry
from .http_client import Answer
from .manifest import (
    MANIFEST_LIMIT,
    MANIFEST_MEDIA_TYPES,
    OCI_INDEX,
    Descriptor,
    Manifest,
    check_digest,
    digest_of,
    parse_json,
    parse_manifest,
)
from .reference import ImageReference
from .registry_client import RegistryClient
from .store import BLOB_LIMIT, ImageNotFound, Publication, tag_moved

if TYPE_CHECKING:
    from .root_file_system import RootFileSystem

_ACCEPT = ", ".join(MANIFEST_MEDIA_TYPES)
_PAGES = 10_000
#: Tags that stand for something else: referrers of registries without the API, and cosign's.
_NO_IMAGE_TAG = re.compile(r"sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{118,128})(?:\.(?:sig|att|sbom))?")
#: cosign's tags beside an image, and the media type that stands for each here.
_COSIGN_TAGS = {
    ".sig": "application/vnd.dev.cosign.artifact.sig.v1+json",
    ".att": "application/vnd.dev.cosign.artifact.att.v1+json",
    ".sbom": "application/vnd.dev.cosign.artifact.sbom.v1+json",
}


class RegistryStore:
    """One repository of a registry."""

    holds_referrers = True

    def __init__(self, client: RegistryClient, repository: str) -> None:
        self._client = client
        self._repository = repository
        self._where = f"{client.host}/{repository}"

    def resolve(self, reference: ImageReference) -> Manifest:
        """Return what the reference names now."""
        manifest = self._get_manifest(reference.digest or reference.tag)
        if manifest is None:
            raise ImageNotFound("is not in the registry", where=str(reference))
        return manifest

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest by digest."""
        manifest = self._get_manifest(descriptor.digest)
        if manifest is None:
            raise StoreError(f"lacks the manifest {descriptor.digest}", where=self._where)
        return manifest

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """Return a blob, its size and digest checked."""
        where = f"{self._where}: blob {descriptor.digest}"
        if descriptor.size > BLOB_LIMIT:
            raise InputError(f"is larger than {BLOB_LIMIT} bytes", where=where)
        answer = self._request("GET", f"blobs/{descriptor.digest}", ok=(200,), limit=descriptor.size)
        check_digest(answer.body, descriptor.digest, where)
        return answer.body

    def read_files(self, image: Manifest, paths: Collection[str]) -> Mapping[str, bytes]:
        """Return files of the image's root file system."""
        from .layers import read_files  # the tar and zip readers, which manifests do without

        return read_files(image.layers, self._open_layer, paths)

    def open_root(self, image: Manifest) -> AbstractContextManager[RootFileSystem]:
        """Give access to every file of the image, layer by layer."""
        from .root_file_system import root_of_layers

        return root_of_layers(image.layers, self._open_layer)

    def list_tags(self) -> tuple[str, ...]:
        """Return the tags of the repository that name images, sorted."""
        tags: set[str] = set()
        path = "tags/list?n=1000"
        for _ in range(_PAGES):
            answer = self._request("GET", path, ok=(200,))
            listed = parse_json(answer.body, f"{self._where}: tags").get("tags") or []
            if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
                raise InputError("is no list of tags", where=f"{self._where}: tags")
            tags.update(tag for tag in listed if not _NO_IMAGE_TAG.fullmatch(tag))
            path = self._next_page(answer)
            if not path:
                return tuple(sorted(tags))
        raise InputError("has too many pages", where=f"{self._where}: tags")

    def list_referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return what refers to a digest: by the API, by the fallback tag, and cosign's tags."""
        found = self._referrers_by_api(digest)
        if found is None:
            fallback = self._get_manifest(_fallback_tag(digest))
            found = fallback.children if fallback is not None and fallback.is_index else ()
        return (*found, *self._cosign_tags(digest))

    def publish(self, publication: Publication) -> None:
        """Upload what is missing, and as the last step move the tag.

        Referrers go first: a registry accepts a subject that does not exist yet (distribution-spec, "Pushing Manifests
        with Subject"), and the move of the tag stays the one step that shows anything.
        """
        for blob in publication.blobs:
            self._upload(blob)
        for manifest in publication.manifests:
            self._put_manifest(manifest, manifest.digest)
        for referrer in publication.referrers:
            self._put_referrer(referrer)
        target = publication.target
        if publication.replaces:
            present = self._digest_now(target.tag)
            if present != publication.replaces:
                raise tag_moved(target, publication.replaces, present)
        self._put_manifest(publication.head, target.tag)

    def _request(
        self, method: str, path: str, *, ok: Collection[int], headers: Mapping[str, str] | None = None,
        body: bytes | None = None, limit: int = MANIFEST_LIMIT,
    ) -> Answer:  # fmt: skip
        return self._client.request(method, self._repository, path, ok=ok, headers=headers, body=body, limit=limit)

    def _get_manifest(self, name: str) -> Manifest | None:
        answer = self._request("GET", f"manifests/{name}", ok=(200, 404), headers={"Accept": _ACCEPT})
        if answer.status == 404:
            return None
        where = f"{self._where}: manifest {name}"
        for stated in (name if ":" in name else "", answer.headers.get("docker-content-digest", "")):
            if stated:
                check_digest(answer.body, stated, where)
        return parse_manifest(answer.body, answer.headers.get("content-type", ""), where)

    def _digest_now(self, tag: str) -> str:
        """Return what a tag means, without reading it where the registry says so; empty where it means nothing."""
        answer = self._request("HEAD", f"manifests/{tag}", ok=(200, 404), headers={"Accept": _ACCEPT})
        stated = answer.headers.get("docker-content-digest", "")
        if answer.status == 404 or stated:
            return stated if answer.status == 200 else ""
        manifest = self._get_manifest(tag)
        return manifest.digest if manifest is not None else ""

    def _put_manifest(self, manifest: Manifest, name: str) -> Answer:
        headers = {"Content-Type": manifest.media_type}
        answer = self._request("PUT", f"manifests/{name}", ok=(200, 201, 202), headers=headers, body=manifest.raw)
        stored = answer.headers.get("docker-content-digest", "")
        if stored.startswith("sha256:") and stored != manifest.digest:
            raise StoreError(f"stored {stored}, not {manifest.digest}", where=f"{self._where}: manifest {name}")
        return answer

    def _put_referrer(self, referrer: Manifest) -> None:
        answer = self._put_manifest(referrer, referrer.digest)
        if "oci-subject" in answer.headers or referrer.subject is None:
            return
        # No referrers API: the client keeps the list (distribution-spec, "Referrers Tag Schema").
        tag = _fallback_tag(referrer.subject.digest)
        present = self._get_manifest(tag)
        if present is not None and not present.is_index:
            raise StoreError("is no index, so that nothing can be attached", where=f"{self._where}:{tag}")
        entries = present.children if present is not None else ()
        if all(entry.digest != referrer.digest for entry in entries):
            self._put_manifest(new_index((*entries, referrer_entry(referrer)), {}), tag)

    def _upload(self, blob: bytes) -> None:
        digest = digest_of(blob)
        if self._request("HEAD", f"blobs/{digest}", ok=(200, 404)).status == 200:
            return
        begun = self._request("POST", "blobs/uploads/", ok=(202,), headers={"Content-Length": "0"}, body=b"")
        location = begun.headers.get("location", "")
        if not location:
            raise StoreError("names no place for an upload", where=self._where)
        place = f"{location}{'&' if '?' in location else '?'}{urllib.parse.urlencode({'digest': digest})}"
        headers = {"Content-Type": "application/octet-stream"}
        self._request("PUT", place, ok=(201,), headers=headers, body=blob)

    def _open_layer(self, layer: Descriptor) -> Iterator[bytes]:
        return self._client.stream(self._repository, f"blobs/{layer.digest}")

    def _referrers_by_api(self, digest: str) -> tuple[Descriptor, ...] | None:
        """Return what the referrers API lists; None where the registry has no such API."""
        found: list[Descriptor] = []
        path = f"referrers/{digest}"
        for _ in range(_PAGES):
            answer = self._request("GET", path, ok=(200, 400, 404, 405), headers={"Accept": OCI_INDEX})
            if answer.status != 200 or not answer.headers.get("content-type", "").startswith(OCI_INDEX):
                return None
            found += parse_manifest(answer.body, OCI_INDEX, f"{self._where}: referrers").children
            path = self._next_page(answer)
            if not path:
                return tuple(found)
        raise InputError("has too many pages", where=f"{self._where}: referrers")

    def _cosign_tags(self, digest: str) -> Iterator[Descriptor]:
        for suffix, artifact_type in _COSIGN_TAGS.items():
            path = f"manifests/{digest.replace(':', '-')}{suffix}"
            answer = self._request("HEAD", path, ok=(200, 404), headers={"Accept": _ACCEPT})
            stated = answer.headers.get("docker-content-digest", "")
            if answer.status == 200 and stated:
                size = answer.headers.get("content-length", "")
                media_type = answer.headers.get("content-type", "")
                yield Descriptor(media_type, stated, int(size) if size.isdigit() else 0, artifact_type)

    def _next_page(self, answer: Answer) -> str:
        """Return the address of the next page (RFC 8288), which the registry itself must serve."""
        match = re.match(r'<([^>]+)>\s*;\s*rel="?next"?', answer.headers.get("link", ""))
        if not match:
            return ""
        parts = urllib.parse.urlsplit(match[1])
        return urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))


def _fallback_tag(digest: str) -> str:
    """Return the tag under which a registry without referrers API keeps the list (at most 128 characters)."""
    return digest.replace(":", "-")[:128]
