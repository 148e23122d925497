"""What applying will do to one image: everything is read and decided here, nothing is written.

A plan holds the `Publication` that one call writes, and for people what changes. Where nothing changes there is no
publication, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpc3.errors import InputError, UsageError
from hpc3.oci.edit import annotate_manifest, changes_between, edit_index, label_config, labels_of
from hpc3.oci.manifest import Descriptor, Manifest, digest_of, parse_json
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore, Publication
from hpc3.vocabulary import OCI_PREFIX

from . import completion
from .attach import Attachment, annotations_about, external_annotations, follow_referrers
from .merge import merged_annotations, merged_descriptor, merged_index, merged_labels, reserved_keys
from .wanted import AnnotationsFromSource, checked_annotations, parse_annotations

_NESTING = 8  # indexes in indexes


@dataclass(frozen=True)
class Wish:
    """What is asked for, the same for every image of one run.

    Attributes:
        annotations: to apply; None: each image's own, from the recipe inside it.
        labels: whether labels mirror them, which gives the image a new ID.
        read_layers: whether the root file system is read: for operating system, libc, and the recipe inside.
        compare_recipe: whether the recipe inside must be the one that the annotations were derived from.
        external: attach the annotations as an artifact and leave the image alone.
        platform: ``os/architecture[/variant]`` that picks images of an index; empty: all.
        tag: where the result goes; empty: where it came from.
        attachments: artifacts to attach.
        carry_referrers: whether unsigned artifacts follow to the new digest.
        from_source: derives annotations from the recipe inside an image; None: only its ``annotations.json`` is used.
        roots: which roots of the recipe are meant.
    """

    annotations: Mapping[str, str] | None
    labels: bool = True
    read_layers: bool = False
    compare_recipe: bool = False
    external: bool = False
    platform: str = ""
    tag: str = ""
    attachments: tuple[Attachment, ...] = ()
    carry_referrers: bool = False
    from_source: AnnotationsFromSource | None = None
    roots: Sequence[str] = ()

    @property
    def is_pure(self) -> bool:
        """Whether manifests alone are read and written: three requests for an image in a registry, no blob."""
        return not (self.labels or self.read_layers or self.external or self.attachments or self.carry_referrers)


@dataclass(frozen=True)
class ImageEdit:
    """What changes on one image manifest.

    Attributes:
        before: as it is.
        after: as it will be.
        annotations: changes; a value sets, None removes.
        labels: changes.
        labels_before: as they are; empty when they were not read.
        stated: every annotation that was applied, completed by what the image says.
        blobs: new content: the config with its labels.
        warnings: what a person should know.
    """

    before: Manifest
    after: Manifest
    annotations: Mapping[str, str | None]
    labels: Mapping[str, str | None]
    labels_before: Mapping[str, str]
    stated: Mapping[str, str]
    blobs: tuple[bytes, ...] = ()
    warnings: tuple[str, ...] = ()


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
        return reference
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
        edit = tree.edits.get(manifest.digest) or _edit_image(store, manifest, wish, where, platform)
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
            tree.attested.append(entry.annotations.get("vnd.docker.reference.digest", ""))
        elif not entry.artifact_type and (not entry.platform or _is_meant(entry.platform, platform)):
            yield entry


def _is_meant(stated: Mapping[str, str], wanted: str) -> bool:
    name = _platform_name(stated)
    return not wanted or name == wanted or name.startswith(wanted + "/")


def _platform_name(platform: Mapping[str, str]) -> str:
    return "/".join(platform[part] for part in ("os", "architecture", "variant") if platform.get(part))


def _edit_image(
    store: ImageStore, manifest: Manifest, wish: Wish, where: str, platform: Mapping[str, str]
) -> ImageEdit:
    """Decide what changes on one image; blobs and layers are read only where the wish needs them."""
    needs_config = wish.labels or wish.read_layers
    raw_config = store.read_blob(manifest.config) if needs_config else b""
    config = parse_json(raw_config, f"{where}: config") if needs_config else {}
    labels = labels_of(config)
    architecture = str(config.get("architecture") or platform.get("architecture") or "")
    files = store.read_files(manifest, _paths(wish, architecture)) if wish.read_layers else {}
    stated, warnings = _stated(wish, files, where)
    stated = {**stated, **annotations_about(wish.attachments, stated)}
    completion.check_architecture(stated, architecture, where)
    present = manifest.annotations
    unread = {k: present[k] for k in completion.CONFIG_KEYS if k in present}
    found = completion.from_config(config, labels) if needs_config else unread
    unsaid = {k: v for k, v in found.items() if not k.startswith(OCI_PREFIX) or not present.get(k)}
    stated = completion.completed(stated, {**unsaid, **completion.from_files(files, architecture)}, where)
    if wish.external:
        return ImageEdit(manifest, manifest, {}, {}, labels, checked_annotations(stated, where), (), tuple(warnings))
    wanted = merged_annotations(present, checked_annotations(stated, where))
    annotation_changes = changes_between(present, wanted)
    label_changes = changes_between(labels, merged_labels(labels, wanted)) if wish.labels else {}
    new_config = label_config(raw_config, label_changes, f"{where}: config") if wish.labels else raw_config
    changed = new_config != raw_config
    descriptor = Descriptor(manifest.config.media_type, digest_of(new_config), len(new_config)) if changed else None
    after = annotate_manifest(manifest, annotation_changes, descriptor)
    warnings += [f"{name} steers container runtimes" for name in reserved_keys(present, labels)]
    blobs = (new_config,) if changed else ()
    return ImageEdit(manifest, after, annotation_changes, label_changes, labels, stated, blobs, tuple(warnings))


def _paths(wish: Wish, architecture: str) -> tuple[str, ...]:
    recipe = (*completion.RECIPE_FILES, completion.OWN_ANNOTATIONS)
    compares = wish.annotations is None or wish.compare_recipe
    return (*completion.files_to_read(architecture), *(recipe if compares else ()))


def _stated(wish: Wish, files: Mapping[str, bytes], where: str) -> tuple[dict[str, str], list[str]]:
    """Return the annotations to apply, and warnings."""
    if wish.annotations is None:
        return _from_image(wish, files, where), []
    if not wish.compare_recipe:
        return dict(wish.annotations), []
    if not wish.read_layers:
        return dict(wish.annotations), ["the recipe inside was not compared with the source (--no-layers)"]
    warning = completion.check_recipe(wish.annotations, files, where)
    return dict(wish.annotations), [warning] if warning else []


def _from_image(wish: Wish, files: Mapping[str, bytes], where: str) -> dict[str, str]:
    """Return the annotations that follow from the recipe inside an image."""
    recipe = next((path for path in completion.RECIPE_FILES if path in files), "")
    if recipe and wish.from_source is not None:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="hpc3-") as folder:
            copy = Path(folder) / Path(recipe).name
            copy.write_bytes(files[recipe])
            return checked_annotations(wish.from_source(copy, wish.roots), f"{where}: /{recipe}")
    own = completion.OWN_ANNOTATIONS
    if own not in files:
        known = ", ".join(f"/{path}" for path in (*completion.RECIPE_FILES, own))
        raise InputError("carries no recipe", where=where, remedy=f"looked for {known}")
    stated = parse_annotations(files[own], f"{where}: /{own}")
    if recipe:
        completion.check_recipe(stated, files, where)
    return stated


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
