"""Attach an exported document to its image, so that whoever finds the image finds it."""

from __future__ import annotations

from dataclasses import dataclass

from hpc3.errors import UsageError
from hpc3.oci.edit import new_artifact
from hpc3.oci.manifest import EMPTY_BLOB, Descriptor, Manifest, digest_of
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore, Publication


@dataclass(frozen=True)
class ArtifactKind:
    """How a format is attached: type of the artifact and media type of its one layer."""

    artifact_type: str
    layer_type: str


def attach_document(store: ImageStore, reference: ImageReference, document: bytes, kind: ArtifactKind) -> str:
    """Attach a document to what a reference means and return the digest of the artifact.

    To an index it is attached, and to each of its images: readers resolve a name to either (NFD to the index, unless
    it is told a platform).

    Raises:
        UsageError: the store holds no referrers.
        StoreError: the store fails.
    """
    if not store.holds_referrers:
        raise UsageError("holds no artifacts", where=str(reference), remedy="push it to a registry or a layout first")
    head = store.resolve(reference)
    layer = Descriptor(kind.layer_type, digest_of(document), len(document))
    children = [entry for entry in head.children if not entry.is_attestation] if head.is_index else []
    subjects = [head.descriptor, *children]
    artifacts: list[Manifest] = [new_artifact(kind.artifact_type, [layer], subject, {}) for subject in subjects]
    blobs = (EMPTY_BLOB, document)
    store.publish(Publication(reference, head, replaces=head.digest, blobs=blobs, referrers=tuple(artifacts)))
    return artifacts[0].digest
