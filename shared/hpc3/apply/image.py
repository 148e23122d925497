"""What changes on one image manifest: decided from its config, its files and what is wished for; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpc3.errors import CheckFailed, InputError
from hpc3.oci.edit import annotate_manifest, changes_between, environment_of, label_config, labels_of
from hpc3.oci.manifest import Descriptor, Manifest, digest_of, parse_json
from hpc3.oci.store import ImageStore
from hpc3.vocabulary import OCI_PREFIX, vocabulary

from . import completion
from .attach import annotations_about
from .merge import merged_annotations, merged_labels, reserved_keys
from .wanted import Wish, checked_annotations, parse_annotations


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
        places: by key: the file and offset that show a value which nobody stated.
        blobs: new content: the config with its labels.
        warnings: what a person should know.
    """

    before: Manifest
    after: Manifest
    annotations: Mapping[str, str | None]
    labels: Mapping[str, str | None]
    labels_before: Mapping[str, str]
    stated: Mapping[str, str]
    places: Mapping[str, str] = field(default_factory=dict)
    blobs: tuple[bytes, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Image:
    """What was read of an image: as little as the wish needs.

    Attributes:
        manifest: of the image.
        where: what to name in errors.
        config: the config blob; empty when it was not read.
        document: the parsed config; empty when it was not read.
        architecture: of the config, or as the index states it; empty when neither says so.
        files: of the root file system; empty when layers were not read.
    """

    manifest: Manifest
    where: str
    config: bytes
    document: Mapping[str, Any]
    architecture: str
    files: Mapping[str, bytes]

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the config."""
        return labels_of(self.document)

    @property
    def command_path(self) -> str:
        """PATH of the config; empty when it sets none."""
        return environment_of(self.document).get("PATH", "")


def edit_image(store: ImageStore, manifest: Manifest, wish: Wish, where: str, platform: Mapping[str, str]) -> ImageEdit:
    """Decide what changes on one image; blobs and layers are read only where the wish needs them.

    Args:
        store: where it is.
        manifest: of the image.
        wish: what is asked for.
        where: what to name in errors.
        platform: as an index states it; empty elsewhere.

    Raises:
        InputError: the image contradicts the wish, or is not what it should be.
        StoreError: the store fails.
    """
    image = _read_image(store, manifest, wish, where, platform)
    completed, warnings = _completed(image, wish)
    stated, places, doubts = _proven(store, image, wish, completed)
    warnings += doubts
    if wish.external:
        return ImageEdit(manifest, manifest, {}, {}, image.labels, stated, places, (), warnings)
    present, labels = manifest.annotations, image.labels
    wanted = merged_annotations(present, stated)
    annotation_changes = changes_between(present, wanted)
    label_changes = changes_between(labels, merged_labels(labels, wanted)) if wish.labels else {}
    config = label_config(image.config, label_changes, f"{where}: config") if wish.labels else image.config
    is_new = config != image.config
    descriptor = Descriptor(manifest.config.media_type, digest_of(config), len(config)) if is_new else None
    after = annotate_manifest(manifest, annotation_changes, descriptor)
    warnings += tuple(f"{name} steers container runtimes" for name in reserved_keys(present, labels))
    blobs = (config,) if is_new else ()
    return ImageEdit(manifest, after, annotation_changes, label_changes, labels, stated, places, blobs, warnings)


def _read_image(store: ImageStore, manifest: Manifest, wish: Wish, where: str, platform: Mapping[str, str]) -> _Image:
    config = store.read_blob(manifest.config) if wish.reads_config else b""
    document = parse_json(config, f"{where}: config") if config else {}
    architecture = str(document.get("architecture") or platform.get("architecture") or "")
    files = store.read_files(manifest, _paths(wish, architecture)) if wish.read_layers else {}
    return _Image(manifest, where, config, document, architecture, files)


def _completed(image: _Image, wish: Wish) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the annotations to apply, completed by what the image says, and warnings."""
    stated, warnings = _stated(wish, image)
    stated = {**stated, **annotations_about(wish.attachments, stated)}
    completion.check_architecture(stated, image.architecture, image.where)
    present = image.manifest.annotations
    if image.config:
        found = completion.from_config(image.document, image.labels)
        # What OCI's keys say already stays: it may be more exact than the config.
        found = {k: v for k, v in found.items() if not k.startswith(OCI_PREFIX) or not present.get(k)}
    else:
        found = {k: present[k] for k in completion.CONFIG_KEYS if k in present}
    found.update(completion.from_files(image.files, image.architecture))
    return checked_annotations(completion.completed(stated, found, image.where), image.where), tuple(warnings)


def _proven(
    store: ImageStore, image: _Image, wish: Wish, stated: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str], tuple[str, ...]]:
    """Return the annotations with those that the files show besides, where the files show them, and warnings.

    Raises:
        CheckFailed: the files contradict what is stated.
    """
    if wish.prove is None:
        return stated, {}, ()
    proof = wish.prove(store, image.manifest, image.command_path, stated)
    lies = [f"{name} is stated as {stated[name]}, and {proof.contradicted[name]}" for name in proof.contradicted]
    stopping = [line for name, line in zip(proof.contradicted, lies) if name not in wish.despite]
    if stopping:
        remedy = "correct what is wrong, or apply it all the same with --despite KEY"
        raise CheckFailed("; ".join(stopping), where=image.where, remedy=remedy)
    return checked_annotations({**stated, **proof.shown}, image.where), proof.places, tuple(lies)


def _paths(wish: Wish, architecture: str) -> tuple[str, ...]:
    recipe = (*completion.RECIPE_FILES, completion.OWN_ANNOTATIONS)
    compares = (wish.annotations is None and not wish.from_present) or wish.compare_recipe
    return (*completion.files_to_read(architecture), *(recipe if compares else ()))


def _stated(wish: Wish, image: _Image) -> tuple[dict[str, str], list[str]]:
    """Return the annotations to apply, and warnings."""
    files, where = image.files, image.where
    if wish.from_present:
        present = {**image.labels, **image.manifest.annotations}
        return {name: value for name, value in present.items() if name in vocabulary()}, []
    if wish.annotations is None:
        return _from_image(wish, files, where), []
    if not wish.compare_recipe:
        return dict(wish.annotations), []
    if not wish.read_layers:
        return dict(wish.annotations), ["the recipe inside was not compared with the source (--no-layers)"]
    warning = completion.check_recipe(wish.annotations, files, where)
    return dict(wish.annotations), [warning] if warning else []


def _from_image(wish: Wish, files: Mapping[str, bytes], where: str) -> dict[str, str]:
    """Return the annotations that an image carries, or that follow from the recipe inside it.

    Those that the recipe put there say more than the lock (what the person stated, licences, documentation); they count
    if they are of the lock that is there.
    """
    recipe = next((path for path in completion.RECIPE_FILES if path in files), "")
    own = completion.OWN_ANNOTATIONS
    if own in files:
        stated = parse_annotations(files[own], f"{where}: /{own}")
        if recipe:
            completion.check_recipe(stated, files, where)
        return stated
    if not recipe or wish.from_source is None:
        known = ", ".join(f"/{path}" for path in (*completion.RECIPE_FILES, own))
        raise InputError("carries no recipe", where=where, remedy=f"looked for {known}")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="hpc3-") as folder:
        copy = Path(folder) / Path(recipe).name
        copy.write_bytes(files[recipe])
        return checked_annotations(wish.from_source(copy, wish.roots), f"{where}: /{recipe}")
