"""Read images from a store as consumers see them; an annotated image in a registry costs two requests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hpc3.errors import InputError, UsageError
from hpc3.oci.edit import environment_of, labels_of
from hpc3.oci.manifest import Descriptor, Manifest, parse_json, string_map
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore
from hpc3.vocabulary import key

from .image import Image, image_of

#: An artifact that states annotations for an image that cannot be changed; its one layer is a flat JSON object. The
#: same as ``hpc3 apply --external`` attaches (a test holds the two together: siblings do not import each other).
ANNOTATIONS_TYPE = "application/vnd.hpc3.annotations.v1+json"
_NESTING = 8


def read_image(store: ImageStore, reference: ImageReference, platform: str = "") -> Image:
    """Return one image: its manifest and its config, and artifacts that refer to it where these say too little.

    Args:
        store: where it is.
        reference: what names it.
        platform: ``os/architecture`` that picks an image of an index; empty: the first.

    Raises:
        UsageError: the index holds no image for the platform.
        InputError: what is there is not what it should be.
        StoreError: the store fails.
    """
    head = store.resolve(reference)
    places: dict[str, Mapping[str, str]] = {}
    manifest = head
    for _ in range(_NESTING):
        if not manifest.is_index:
            return _image(store, reference, manifest, places)
        places["index"] = {**places.get("index", {}), **manifest.annotations}
        entry = next((e for e in manifest.children if _fits(e, platform)), None)
        if entry is None:
            raise UsageError(f"has no image for {platform or 'any platform'}", where=str(reference))
        places["descriptor"] = entry.annotations
        manifest = store.read_manifest(entry)
    raise InputError("is an index nested too deeply", where=str(reference))


def read_variants(store: ImageStore, reference: ImageReference) -> tuple[Image, ...]:
    """Return all images that a reference means; see `images_of_manifest`.

    Raises:
        InputError: what is there is not what it should be.
        StoreError: the store fails.
    """
    return images_of_manifest(store, reference, store.resolve(reference))


def images_of_manifest(store: ImageStore, reference: ImageReference, head: Manifest) -> tuple[Image, ...]:
    """Return all images of an index by their descriptors, without a request; of anything else the image itself.

    A descriptor that says nothing of the processor is not enough: its image is then read too.

    Raises:
        InputError: what is there is not what it should be.
        StoreError: the store fails.
    """
    if not head.is_index:
        return (_image(store, reference, head, {}),)
    return tuple(_variants(store, reference, head))


def whole_images(
    store: ImageStore, reference: ImageReference, head: Manifest, known: Collection[str] = ()
) -> tuple[Image, ...]:
    """Return all images that a manifest means, each read in full; those whose digest is in ``known`` are left out.

    Raises:
        InputError: what is there is not what it should be.
        StoreError: the store fails.
    """
    if not head.is_index:
        return () if head.digest in known else (_image(store, reference, head, {}),)
    images = []
    for entry in head.children:
        if _fits(entry, "") and entry.digest not in known:
            places = {"index": head.annotations, "descriptor": entry.annotations}
            images.append(_image(store, reference.with_digest(entry.digest), store.read_manifest(entry), places))
    return tuple(images)


def _variants(store: ImageStore, reference: ImageReference, head: Manifest) -> Iterator[Image]:
    for entry in head.children:
        if not _fits(entry, ""):
            continue
        places: dict[str, Mapping[str, str]] = {"index": head.annotations, "descriptor": entry.annotations}
        named = reference.with_digest(entry.digest)
        if key("hardware.cpu.optimized.version") in entry.annotations:
            image = image_of(places, str(named), entry.digest, entry.platform.get("architecture", ""))
            yield replace(image, is_partial=True)
        else:
            yield _image(store, named, store.read_manifest(entry), places)


def _image(
    store: ImageStore, reference: ImageReference, manifest: Manifest, places: Mapping[str, Mapping[str, str]]
) -> Image:
    where = str(reference)
    config: Mapping[str, Any] = {}
    if not manifest.artifact_type:
        config = parse_json(store.read_blob(manifest.config), f"{where}: config")
    labels = labels_of(config)
    said = {**places, "annotation": manifest.annotations, "label": labels}
    if not any(key("hardware.cpu.optimized.version") in values for values in said.values()):
        said["referrer"] = _stated_by_referrers(store, manifest)
    architecture = config.get("architecture", "")
    return image_of(
        said,
        where,
        manifest.digest,
        architecture if isinstance(architecture, str) else "",
        environment_of(config, where),
        labels,
        sum(layer.size for layer in manifest.layers),
    )


def _stated_by_referrers(store: ImageStore, manifest: Manifest) -> dict[str, str]:
    """Return what artifacts say about the image; of several that speak of one key the first listed counts."""
    said: dict[str, str] = {}
    for artifact in store.list_referrers(manifest.digest):
        if artifact.artifact_type != ANNOTATIONS_TYPE:
            continue
        layers = store.read_manifest(artifact).layers
        for layer in layers[:1]:
            values = string_map(parse_json(store.read_blob(layer), artifact.digest), artifact.digest)
            said = {**values, **said}
    return said


def _fits(entry: Descriptor, platform: str) -> bool:
    if entry.is_attestation or entry.artifact_type:
        return False
    parts = (entry.platform.get(part) for part in ("os", "architecture", "variant"))
    name = "/".join(part for part in parts if part)
    return not platform or not name or name == platform or name.startswith(f"{platform}/")
