"""Variants of one application under one tag: an index whose descriptors let one request decide.

The generic image comes first, since engines that know nothing of microarchitectures take the first that fits
(image-spec, image-index.md: "If multiple manifests match a client or runtime's requirements, the first matching entry
SHOULD be used"). A platform variant is stated only where OCI's readers have a name for the very target: a client that
matches variants would else give an image for one processor to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hpc3.errors import InputError, UsageError
from hpc3.oci.edit import new_index
from hpc3.oci.manifest import Descriptor, Manifest, parse_json
from hpc3.oci.opening import Stores
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageNotFound, ImageStore, Publication
from hpc3.vocabulary import key, vocabulary

from .merge import merged_index
from .plan import Plan

_MODE = key("hardware.cpu.optimized.mode")
_TARGET = key("hardware.cpu.optimized.version")
#: archspec target to GOARCH variant: containerd/platforms and BuildKit read these (GOAMD64 levels).
_PLATFORM_VARIANTS = {"x86_64_v2": "v2", "x86_64_v3": "v3", "x86_64_v4": "v4"}


@dataclass(frozen=True)
class _Variant:
    """One image of the index to be."""

    reference: ImageReference
    manifest: Manifest
    entry: Descriptor


def plan_index(stores: Stores, target: ImageReference, references: Sequence[ImageReference]) -> Plan:
    """Read the variants and decide what the index over them holds.

    Raises:
        UsageError: a variant lies elsewhere than the index, or the target is no name.
        InputError: a variant has no selection keys, or two have the same.
    """
    if target.digest and not target.tag:
        raise UsageError("is a digest; an index needs a tag", where=str(target))
    if target.transport == "containers-storage":
        raise UsageError("an index is put where the images are shared", where=str(target), remedy="push them first")
    store = stores.open(target)
    variants = [variant for ref in references for variant in _variants(stores, target, ref)]
    ordered = sorted(variants, key=lambda v: v.entry.annotations[_MODE] != "generic")
    _check_distinct(ordered)
    common = dict(ordered[0].manifest.annotations)
    for variant in ordered[1:]:
        common = {k: v for k, v in common.items() if variant.manifest.annotations.get(k) == v}
    index = new_index([variant.entry for variant in ordered], merged_index({}, common))
    present = _present(store, target)
    if present == index.digest:
        return Plan(target, present, index.digest, None)
    return Plan(target, present, index.digest, Publication(target, index, present))


def _variants(stores: Stores, target: ImageReference, reference: ImageReference) -> list[_Variant]:
    """Return the images that a reference names: one, or those of an index."""
    if replace(reference, tag="", digest="") != replace(target, tag="", digest=""):
        remedy = f"copy it there: skopeo copy --all {reference} {replace(target, digest='')}"
        raise UsageError("does not lie where the index goes", where=str(reference), remedy=remedy)
    store = stores.open(reference)
    manifest = store.resolve(reference)
    if not manifest.is_index:
        return [_variant(store, reference, manifest)]
    entries = [e for e in manifest.children if not e.is_attestation and not e.artifact_type]
    return [_variant(store, reference, store.read_manifest(entry)) for entry in entries]


def _variant(store: ImageStore, reference: ImageReference, manifest: Manifest) -> _Variant:
    if manifest.is_index or manifest.artifact_type:
        raise InputError("is no image", where=f"{reference}: {manifest.digest}")
    known = vocabulary()
    selection = {k: v for k, v in manifest.annotations.items() if k in known and known[k].is_selection}
    if not selection.get(_MODE) or not selection.get(_TARGET):
        raise InputError("says nothing of its CPU target", where=str(reference), remedy="hpc3 apply it first")
    config = parse_json(store.read_blob(manifest.config), f"{reference}: config")
    stated = {"architecture": config.get("architecture"), "os": config.get("os"), "variant": config.get("variant")}
    stated["variant"] = _PLATFORM_VARIANTS.get(selection[_TARGET]) or stated["variant"]
    platform = {name: value for name, value in stated.items() if isinstance(value, str) and value}
    entry = Descriptor(
        manifest.media_type, manifest.digest, len(manifest.raw), "", dict(sorted(selection.items())), platform
    )
    return _Variant(reference, manifest, entry)


def _check_distinct(variants: Sequence[_Variant]) -> None:
    seen: dict[tuple[object, ...], ImageReference] = {}
    for variant in variants:
        identity = (tuple(variant.entry.annotations.items()), tuple(variant.entry.platform.items()))
        if identity in seen:
            raise InputError(
                f"says the same as {seen[identity]}: nobody could choose between them", where=str(variant.reference)
            )
        seen[identity] = variant.reference


def _present(store: ImageStore, target: ImageReference) -> str:
    """Return the digest that the target means now; empty where it means nothing."""
    try:
        return store.resolve(target).digest
    except ImageNotFound:
        return ""
