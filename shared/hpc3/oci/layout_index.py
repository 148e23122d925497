"""The ``index.json`` of a layout, which an archive carries too: which entry a name means, and how a name moves.

Pure. A name is the annotation ``org.opencontainers.image.ref.name`` on an entry (image-spec, image-layout.md).
Referrers are entries without a name, as ORAS writes them.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hpc3.errors import InputError, UsageError, printable

from .edit import referrer_entry
from .manifest import OCI_INDEX, Descriptor, Manifest, parse_json, parse_manifest
from .reference import ImageReference
from .store import ImageNotFound, Publication, tag_moved

INDEX_FILE = "index.json"
LAYOUT_FILE = "oci-layout"
LAYOUT_CONTENT = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"


def parse_layout_index(raw: bytes, where: str) -> Manifest:
    """Parse ``index.json``.

    Raises:
        InputError: it is none.
    """
    index = parse_manifest(raw, "", where)
    if index.media_type != OCI_INDEX:
        raise InputError("is no OCI index", where=where)
    return index


def check_layout_file(raw: bytes, where: str) -> None:
    """Check the file ``oci-layout``.

    Raises:
        InputError: it states no version that we know.
    """
    if parse_json(raw, where).get("imageLayoutVersion") != "1.0.0":
        raise InputError("states no imageLayoutVersion 1.0.0", where=where)


def blob_file(digest: str) -> str:
    """Return the path of a blob in a layout."""
    return f"blobs/{digest.replace(':', '/')}"


def names_in(index: Manifest) -> tuple[str, ...]:
    """Return the names of the images in a layout, sorted."""
    return tuple(sorted({entry.annotations[REF_NAME] for entry in index.children if REF_NAME in entry.annotations}))


def entry_named(index: Manifest, reference: ImageReference) -> Descriptor:
    """Return the entry that the reference means.

    Raises:
        ImageNotFound: it means none.
        UsageError: it means several.
    """
    found = _matching(index, reference)
    if len({index.children[i].digest for i in found}) == 1:
        return index.children[found[0]]
    names = ", ".join(names_in(index)) or "none has a name"
    remedy = f"there are: {printable(names)}"
    if not found:
        raise ImageNotFound("names no image", where=str(reference), remedy=remedy)
    raise UsageError("names several images", where=str(reference), remedy=remedy)


def moved_index(index: Manifest, publication: Publication) -> bytes:
    """Return ``index.json`` with the name of the publication meaning its head, and its referrers listed.

    Raises:
        StoreError: the name means another image than the publication replaces.
        InputError: the name occurs twice.
        UsageError: artifacts for an image without a name, which nobody could tell from them.
    """
    target, head = publication.target, publication.head
    if publication.referrers and not target.tag:
        raise UsageError("has no name, and artifacts beside it would hide it", where=str(target), remedy="--tag NAME")
    document: dict[str, Any] = copy.deepcopy(dict(index.document))
    entries = document["manifests"] = document.get("manifests") or []
    found = _matching(index, target)
    if len(found) > 1:
        raise InputError("the name occurs twice in index.json", where=str(target))
    present = index.children[found[0]].digest if found else ""
    if publication.replaces and present != publication.replaces:
        raise tag_moved(target, publication.replaces, present)
    if found:
        entries[found[0]].update(mediaType=head.media_type, digest=head.digest, size=len(head.raw))
    else:
        name = {"annotations": {REF_NAME: target.tag}} if target.tag else {}
        entries.append({**head.descriptor.as_document(), **name})
    listed = {entry["digest"] for entry in entries}
    for referrer in publication.referrers:
        if referrer.digest not in listed:
            entries.append(referrer_entry(referrer).as_document())
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _matching(index: Manifest, reference: ImageReference) -> list[int]:
    """Return the places of the entries that a reference means; without a name: of all images."""
    entries = list(enumerate(index.children))
    if reference.tag:
        return [i for i, entry in entries if entry.annotations.get(REF_NAME) == reference.tag]
    if reference.digest:
        return [i for i, entry in entries if entry.digest == reference.digest]
    return [i for i, entry in entries if not entry.artifact_type]
