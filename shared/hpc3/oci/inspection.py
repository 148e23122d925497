"""What is on an image: annotations and where each comes from, labels, config, referrers, contradictions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hpc3.errors import UsageError

from .edit import labels_of
from .manifest import Descriptor, Manifest, parse_json
from .reference import ImageReference
from .store import ImageStore

_NESTING = 8  # indexes in indexes
#: From weakest to strongest: what readers of several places believe (image-spec, conversion.md, lets labels win for
#: runtimes; that both differ is a contradiction either way, and listed).
_PLACES = ("label", "index", "descriptor", "annotation")


@dataclass(frozen=True)
class FoundImage:
    """An image, and what indexes say of it.

    Attributes:
        manifest: the image's own.
        index: annotations of the indexes that lead to it, the inner one's stronger.
        entry: the descriptor that leads to it; None where the reference names the image itself.
        others: how many entries of indexes were not read so far.
    """

    manifest: Manifest
    index: Mapping[str, str] = field(default_factory=dict)
    entry: Descriptor | None = None
    others: int = 0


@dataclass(frozen=True)
class Inspection:
    """What is on an image.

    Attributes:
        reference: as asked for.
        digest: of what the reference means, which may be an index.
        annotations: what holds, from all places.
        provenance: key to the place that its value is from: ``annotation``, ``descriptor``, ``index``, ``label``.
        contradictions: key to place to value, where places disagree.
        labels: of the config; None when it was not read.
        config: how the image runs and when it was made; None when it was not read.
        referrers: artifacts and signatures; None when they were not looked for.
        image: digest of the image manifest that was chosen in an index; else equal to ``digest``.
        images: what an index lists; empty for an image.
    """

    reference: ImageReference
    digest: str
    annotations: Mapping[str, str]
    provenance: Mapping[str, str]
    contradictions: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, str] | None
    config: Mapping[str, Any] | None
    referrers: tuple[Descriptor, ...] | None
    image: str
    images: tuple[Descriptor, ...] = field(default=())

    def as_document(self) -> dict[str, Any]:
        """Return the inspection as JSON objects; what was not read is null."""
        document: dict[str, Any] = {
            "reference": str(self.reference),
            "digest": self.digest,
            "annotations": dict(sorted(self.annotations.items())),
            "provenance": dict(sorted(self.provenance.items())),
            "labels": None if self.labels is None else dict(sorted(self.labels.items())),
            "config": None if self.config is None else dict(self.config),
            "referrers": None if self.referrers is None else [entry.as_document() for entry in self.referrers],
            "contradictions": [{"key": k, "values": dict(v)} for k, v in sorted(self.contradictions.items())],
        }
        if self.images:
            document["image"] = self.image
            document["images"] = [entry.as_document() for entry in self.images]
        return document


def inspect_image(
    store: ImageStore, reference: ImageReference, *, platform: str = "", manifests_only: bool = False
) -> Inspection:
    """Read what is on an image.

    Args:
        store: where it is.
        reference: what names it.
        platform: ``os/architecture[/variant]`` that picks an image of an index; empty: the first, as engines do.
        manifests_only: read neither config nor referrers: one request for an image in a registry.

    Raises:
        UsageError: the index holds no image for the platform.
        InputError: what is there is not what it should be.
        StoreError: the store fails.
    """
    head = store.resolve(reference)
    found = next(_found(store, head, reference, platform))
    image = found.manifest
    by_place: dict[str, Mapping[str, str]] = {"index": found.index, "annotation": image.annotations}
    if found.entry is not None:
        by_place["descriptor"] = found.entry.annotations
    config = labels = referrers = None
    if not manifests_only:
        referrers = store.list_referrers(head.digest)
        if image.digest != head.digest:
            referrers += store.list_referrers(image.digest)
        if not image.artifact_type:
            document = parse_json(store.read_blob(image.config), f"{reference}: config")
            labels = labels_of(document)
            config = _behaviour(document)
            by_place["label"] = labels
    annotations, provenance = _effective(by_place)
    return Inspection(
        reference,
        head.digest,
        annotations,
        provenance,
        _contradictions(by_place),
        labels,
        config,
        referrers,
        image.digest,
        head.children if head.is_index else (),
    )


def choose_image(store: ImageStore, reference: ImageReference, platform: str = "") -> Manifest:
    """Return the image manifest that a reference means; of an index the first one, as `find_images` yields them.

    Raises:
        UsageError: as `find_images` does.
    """
    return next(find_images(store, reference, platform)).manifest


def find_images(store: ImageStore, reference: ImageReference, platform: str = "") -> Iterator[FoundImage]:
    """Yield the images that a reference means, those of an index in its order; each is read when it is asked for.

    Args:
        store: where they are.
        reference: what names them.
        platform: ``os/architecture[/variant]`` that picks images of an index; empty: all.

    Raises:
        UsageError: the index holds no image for the platform, or is nested too deeply.
    """
    return _found(store, store.resolve(reference), reference, platform)


def _found(store: ImageStore, head: Manifest, reference: ImageReference, platform: str) -> Iterator[FoundImage]:
    pending: list[tuple[Descriptor | None, Mapping[str, str], int]] = [(None, {}, 0)]
    seen: set[str] = set()  # an index may name the same things again and again, and so may those
    is_found = False
    while pending:
        entry, annotations, depth = pending.pop()
        manifest = head if entry is None else store.read_manifest(entry)
        if not manifest.is_index:
            is_found = True
            yield FoundImage(manifest, annotations, entry, len(pending))
            continue
        if depth == _NESTING:
            raise UsageError("is an index nested too deeply", where=str(reference))
        children = {child.digest: child for child in manifest.children if _is_candidate(child, platform)}
        new = [child for digest, child in children.items() if digest not in seen]
        seen.update(children)
        inner = {**annotations, **manifest.annotations}
        pending.extend((child, inner, depth + 1) for child in reversed(new))
    if not is_found:
        raise UsageError(f"has no image for {platform or 'any platform'}", where=str(reference))


def _behaviour(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an image config without its history, its layers and its labels, which are told apart."""
    behaviour = {k: v for k, v in config.items() if k not in ("history", "rootfs")}
    if isinstance(behaviour.get("config"), dict):
        behaviour["config"] = {k: v for k, v in behaviour["config"].items() if k != "Labels"}
    return behaviour


def _is_candidate(entry: Descriptor, platform: str) -> bool:
    if entry.is_attestation or entry.artifact_type:
        return False
    return is_for(entry.platform, platform)


def is_for(stated: Mapping[str, Any], platform: str) -> bool:
    """Whether what is stated of an image allows ``os/architecture[/variant]``; nothing stated allows all."""
    name = platform_name(stated)
    return not platform or not name or f"{name}/".startswith(f"{_without_default(platform)}/")


def platform_name(platform: Mapping[str, Any]) -> str:
    """Return ``os/architecture[/variant]`` as far as it is stated, without a variant that the architecture implies."""
    parts = (platform.get(part) for part in ("os", "architecture", "variant"))
    return _without_default("/".join(part for part in parts if part and isinstance(part, str)))


def _without_default(name: str) -> str:
    # as containerd's platforms.Normalize does
    return re.sub(r"/(arm64/v?8|amd64/v?1)$", lambda match: "/" + match.group(1).partition("/")[0], name)


def _effective(by_place: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    annotations: dict[str, str] = {}
    provenance: dict[str, str] = {}
    for place in _PLACES:
        for key, value in by_place.get(place, {}).items():
            annotations[key], provenance[key] = value, place
    return annotations, provenance


def _contradictions(by_place: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the keys that say different things in different places.

    An index speaks of all its images, so that its own annotations contradict nothing.
    """
    told: dict[str, dict[str, str]] = {}
    for place in ("annotation", "descriptor", "label"):
        for key, value in by_place.get(place, {}).items():
            told.setdefault(key, {})[place] = value
    return {key: values for key, values in told.items() if len(set(values.values())) > 1}
