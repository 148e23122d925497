"""From an image in a store to what ``validate`` and ``verify`` judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from hpc3.consume.subject import Referrer, Subject, json_object, subject_from_config
from hpc3.errors import InputError, UsageError
from hpc3.oci.inspection import FoundImage, find_images, is_for, platform_name
from hpc3.oci.manifest import Manifest
from hpc3.oci.opening import Stores
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore

_MOST_REFERRERS = 100
_MOST_IMAGES = 64


def subject_of_image(store: ImageStore, reference: ImageReference, platform: str = "") -> tuple[Manifest, Subject, int]:
    """Return an image's manifest, its metadata, and how many others the index holds; no layer is read.

    Raises:
        UsageError: there is no image for the platform.
        InputError: what is there is not what it should be.
        StoreError: the store fails.
    """
    found = next(find_images(store, reference, platform))
    document = _config(store, reference, found, platform)
    return found.manifest, _subject(store, str(reference), reference, found, document), found.others


def subjects_on_base(
    stores: Stores, reference: ImageReference, platform: str = "", base: str = ""
) -> tuple[Subject, ...]:
    """Return the metadata of the image, or of every image of an index, and what of it is its base's.

    Args:
        stores: where they are.
        reference: of the image or the index.
        platform: ``os/architecture[/variant]`` that picks images of an index.
        base: reference of the base image; empty: as the image names it.

    Raises:
        UsageError: ``base`` is no reference, there is no image for the platform, or there are too many.
        InputError: what is there is not what it should be, or ``base`` is not what the image was built on.
        StoreError: the store fails.
    """
    from hpc3.consume.base_image import inherited_values

    store = stores.open(reference)
    images = list(islice(find_images(store, reference, platform), _MOST_IMAGES + 1))
    if len(images) > _MOST_IMAGES:
        raise UsageError(f"holds more than {_MOST_IMAGES} images", where=str(reference), remedy="use --platform")
    subjects = []
    for found in images:
        document = _config(store, reference, found, platform)
        inherited = inherited_values(stores, reference, found.manifest, document, base)
        name = str(reference) if len(images) == 1 else f"{reference} ({_short_name(found, images)})"
        subjects.append(replace(_subject(store, name, reference, found, document), inherited=inherited))
    return tuple(subjects)


def _short_name(found: FoundImage, images: list[FoundImage]) -> str:
    """Return what tells an image from the others of its index: its platform, or its digest where two have one."""
    names = [platform_name(image.entry.platform) if image.entry else "" for image in images]
    name = names[images.index(found)]
    return name if name and names.count(name) == 1 else found.manifest.digest


def _config(store: ImageStore, reference: ImageReference, found: FoundImage, platform: str) -> Mapping[str, Any]:
    if found.manifest.artifact_type:
        raise InputError(f"is no image, but an artifact ({found.manifest.artifact_type})", where=str(reference))
    document = json_object(store.read_blob(found.manifest.config), f"{reference}: config")
    if found.entry is None and not is_for(document, platform):
        raise UsageError(f"is an image for {platform_name(document)}, not {platform}", where=str(reference))
    return document


def _subject(
    store: ImageStore, name: str, reference: ImageReference, found: FoundImage, document: Mapping[str, Any]
) -> Subject:
    image = found.manifest
    entries = store.list_referrers(image.digest)[:_MOST_REFERRERS] if store.holds_referrers else None
    referrers = None
    if entries is not None:
        manifests = ((entry, store.read_manifest(entry)) for entry in entries)
        referrers = tuple(
            Referrer(entry.artifact_type, entry.digest, tuple(layer.digest for layer in manifest.layers))
            for entry, manifest in manifests
        )
    subject = subject_from_config(document, name, image.annotations, str(reference), referrers, reference.short_tag)
    entry = found.entry
    return replace(
        subject,
        index=found.index,
        descriptor=entry.annotations if entry else {},
        described=entry.platform if entry else {},
    )
