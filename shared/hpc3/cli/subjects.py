"""From an image in a store to what ``validate`` and ``verify`` judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hpc3.consume.subject import Referrer, Subject, json_object, subject_from_config
from hpc3.oci.inspection import choose_image
from hpc3.oci.manifest import Manifest
from hpc3.oci.opening import Stores
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
    return image, _subject(store, reference, image, _config(store, reference, image))


def subject_on_base(stores: Stores, reference: ImageReference, platform: str = "", base: str = "") -> Subject:
    """Return an image's metadata, and what of it is its base's.

    Args:
        stores: where both are.
        reference: of the image.
        platform: ``os/architecture[/variant]`` that picks an image of an index.
        base: reference of the base image; empty: as the image names it.

    Raises:
        UsageError: ``base`` is no reference.
        InputError: what is there is not what it should be.
        StoreError: the store fails.
    """
    from hpc3.consume.base_image import inherited_values

    store = stores.open(reference)
    image = choose_image(store, reference, platform)
    document = _config(store, reference, image)
    inherited = inherited_values(stores, reference, image, document, base)
    return replace(_subject(store, reference, image, document), inherited=inherited)


def _config(store: ImageStore, reference: ImageReference, image: Manifest) -> Mapping[str, Any]:
    return json_object(store.read_blob(image.config), f"{reference}: config")


def _subject(store: ImageStore, reference: ImageReference, image: Manifest, document: Mapping[str, Any]) -> Subject:
    name = str(reference)
    entries = store.list_referrers(image.digest)[:_MOST_REFERRERS] if store.holds_referrers else None
    referrers = None
    if entries is not None:
        manifests = ((entry, store.read_manifest(entry)) for entry in entries)
        referrers = tuple(
            Referrer(entry.artifact_type, entry.digest, tuple(layer.digest for layer in manifest.layers))
            for entry, manifest in manifests
        )
    return subject_from_config(document, name, annotations=image.annotations, reference=name, referrers=referrers)
