"""From an image in a store to what ``validate`` and ``verify`` judge."""

from __future__ import annotations

from hpc3.consume.subject import Referrer, Subject, json_object, subject_from_config
from hpc3.oci.inspection import choose_image
from hpc3.oci.manifest import Manifest
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore

_MOST_REFERRERS = 100


def subject_of_image(store: ImageStore, reference: ImageReference, platform: str = "") -> tuple[Manifest, Subject]:
    """Return an image's manifest and its metadata; no layer is read.

    Raises:
        InputError: what is there is not what it should be.
        StoreError: the store fails.
    """
    image = choose_image(store, reference, platform)
    name = str(reference)
    config = json_object(store.read_blob(image.config), f"{name}: config")
    entries = store.list_referrers(image.digest)[:_MOST_REFERRERS] if store.holds_referrers else None
    referrers = None
    if entries is not None:
        manifests = ((entry, store.read_manifest(entry)) for entry in entries)
        referrers = tuple(
            Referrer(entry.artifact_type, entry.digest, tuple(layer.digest for layer in manifest.layers))
            for entry, manifest in manifests
        )
    return image, subject_from_config(config, name, annotations=image.annotations, reference=name, referrers=referrers)
