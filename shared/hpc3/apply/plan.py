"""What applying will do to one reference: everything is read and decided here, nothing is written.

A plan holds the `Publication` that one call writes, and for people what changes. Where nothing changes there is no
publication, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from hpc3.errors import InputError, UsageError
from hpc3.oci.edit import changes_between, edit_index
from hpc3.oci.manifest import ATTESTATION_SUBJECT, Descriptor, Manifest
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore, Publication

from .attach import external_annotations, follow_referrers
from .image import ImageEdit, edit_image
from .merge import merged_descriptor, merged_index
from .wanted import Wish

_NESTING = 8  # indexes in indexes


@dataclass(frozen=True)
class Plan:
    """What applying will do.

    Attributes:
        target: the name that will mean the result.
        before: digest that the reference means now.
        after: digest that it will mean.
        publication: what to write; None: everything is there already.
        edits: the images that were looked at.
        warnings: what a person should know, each once.
    """

    target: ImageReference
    before: str
    after: str
    publication: Publication | None
    edits: tuple[ImageEdit, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class _Tree:
    """An index and what it lists while they are edited; a single image is a tree without indexes."""

    edits: dict[str, ImageEdit] = field(default_factory=dict)
    replaced: dict[str, Manifest] = field(default_factory=dict)
    attested: list[str] = field(default_factory=list)


def plan_apply(store: ImageStore, reference: ImageReference, wish: Wish) -> Plan:
    """Read an image and decide what applying the wish to it will write.

    Raises:
        UsageError: the wish does not fit the reference.
        InputError: the image contradicts the wish, or is not what it should be.
        StoreError: the store fails.
    """
    target = _target(reference, wish)
    if (wish.attachments or wish.external) and not store.holds_referrers:
        raise UsageError("cannot hold artifacts", where=str(reference), remedy="attach them where you push it")
    head = store.resolve(reference)
    tree = _Tree()
    after = _edited_tree(store, head, wish, tree, str(reference), {}, 0)
    if not tree.edits:
        raise UsageError(f"has no image for {wish.platform or 'any platform'}", where=str(reference))
    referrers, blobs, warnings = _referrers(store, head, after, wish, tree)
    edits = tuple(tree.edits.values())
    warnings = [note for edit in edits for note in edit.warnings] + warnings
    moved = [digest for digest in tree.attested if digest in tree.replaced]
    if reference.transport == "containers-storage" and not wish.labels and after != head:
        warnings.append("every name of this image ID in the storage shows the new annotations")
    warnings += [f"BuildKit's attestation still names {digest}: strict verifiers will refuse it" for digest in moved]
    publication = None
    if after != head or referrers or wish.tag:
        children = [m for digest, m in tree.replaced.items() if digest != head.digest]
        blobs = [blob for edit in edits for blob in edit.blobs] + blobs
        replaces = "" if wish.tag else head.digest
        publication = Publication(
            target, after, replaces, tuple(dict.fromkeys(blobs)), tuple(dict.fromkeys(children)), tuple(referrers)
        )
    return Plan(target, head.digest, after.digest, publication, edits, tuple(dict.fromkeys(warnings)))


def _target(reference: ImageReference, wish: Wish) -> ImageReference:
    if not wish.tag:
        if reference.digest and not reference.tag:
            raise UsageError("is a digest, which always means the same bytes", where=str(reference), remedy="--tag NEW")
        return replace(reference, digest="")  # NAME:TAG@DIGEST moves the tag, if it means the digest
    return reference.with_tag(wish.tag)


def _edited_tree(
    store: ImageStore, manifest: Manifest, wish: Wish, tree: _Tree, where: str, platform: Mapping[str, str], depth: int
) -> Manifest:
    """Return the manifest as it will be; what lies below it goes into ``tree``, children before parents."""
    if depth > _NESTING:
        raise InputError("is an index nested too deeply", where=where)
    if not manifest.is_index:
        if manifest.artifact_type:
            raise UsageError(f"is an artifact ({manifest.artifact_type}), no image", where=where)
        edit = tree.edits.get(manifest.digest) or edit_image(store, manifest, wish, where, platform)
        tree.edits[manifest.digest] = edit
        after = edit.after
    else:
        after = _edited_index(store, manifest, wish, tree, where, depth)
    if after != manifest:
        tree.replaced[manifest.digest] = after
    return after


def _edited_index(store: ImageStore, index: Manifest, wish: Wish, tree: _Tree, where: str, depth: int) -> Manifest:
    descriptors: dict[str, Mapping[str, str | None]] = {}
    stated: list[Mapping[str, str]] = []
    for entry in _images(index, wish.platform, tree):
        child = store.read_manifest(entry)
        place = f"{where}: {_platform_name(entry.platform) or entry.digest}"
        after = _edited_tree(store, child, wish, tree, place, entry.platform, depth + 1)
        if not child.is_index and not wish.external:
            edit = tree.edits[child.digest]
            stated.append(edit.stated)
            wanted = merged_descriptor(entry.annotations, after.annotations)
            descriptors[entry.digest] = changes_between(entry.annotations, wanted)
    common = {k: v for k, v in stated[0].items() if all(s.get(k) == v for s in stated)} if stated else {}
    changes = changes_between(index.annotations, merged_index(index.annotations, common)) if stated else {}
    return edit_index(index, tree.replaced, changes if not wish.platform else {}, descriptors)


def _images(index: Manifest, platform: str, tree: _Tree) -> Iterator[Descriptor]:
    """Yield the entries that are images or indexes of them, and are meant."""
    for entry in index.children:
        if entry.is_attestation:
            tree.attested.append(entry.annotations.get(ATTESTATION_SUBJECT, ""))
        elif not entry.artifact_type and (not entry.platform or _is_meant(entry.platform, platform)):
            yield entry


def _is_meant(stated: Mapping[str, str], wanted: str) -> bool:
    name = _platform_name(stated)
    return not wanted or name == wanted or name.startswith(wanted + "/")


def _platform_name(platform: Mapping[str, str]) -> str:
    return "/".join(platform[part] for part in ("os", "architecture", "variant") if platform.get(part))


def _referrers(
    store: ImageStore, head: Manifest, after: Manifest, wish: Wish, tree: _Tree
) -> tuple[list[Manifest], list[bytes], list[str]]:
    """Return the artifacts to publish, their blobs, and warnings about those that stay behind."""
    referrers: list[Manifest] = []
    blobs: list[bytes] = []
    warnings: list[str] = []
    subjects = {edit.before.digest: (edit.before, edit.after) for edit in tree.edits.values()}
    subjects[head.digest] = (head, after)
    for before, now in subjects.values():
        attachments = list(wish.attachments)
        if wish.external and before.digest in tree.edits:
            attachments.append(external_annotations(tree.edits[before.digest].stated))
        if now != before and not wish.is_pure:
            kinds = [attachment.artifact_type for attachment in attachments]
            followers = follow_referrers(store, before, now, carry=wish.carry_referrers, replaced=kinds)
            referrers += followers.carried
            warnings += followers.warnings
        present = {e.digest for e in store.list_referrers(now.digest)} if attachments and now == before else set()
        for attachment in attachments:
            artifact = attachment.manifest(now.descriptor)
            if artifact.digest not in present:
                referrers.append(artifact)
                blobs += attachment.blobs
    return referrers, blobs, warnings
