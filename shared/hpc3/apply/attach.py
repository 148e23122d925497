"""Artifacts that refer to an image: its SBOM, its recipe, annotations kept outside; and what becomes of those there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpc3.errors import InputError, StoreError
from hpc3.oci.edit import new_artifact, repoint_subject
from hpc3.oci.manifest import CYCLONEDX, EMPTY_BLOB, SPDX, Descriptor, Manifest, digest_of, parse_json
from hpc3.oci.store import BLOB_LIMIT, ImageStore
from hpc3.vocabulary import OCI_PREFIX, key

RECIPE = "application/vnd.hpc3.recipe.v1"
ANNOTATIONS = "application/vnd.hpc3.annotations.v1+json"

_TITLE = OCI_PREFIX + "title"  # the file name under which ORAS writes a pulled layer
_RECIPE_MEDIA_TYPES = {".yaml": "application/yaml", ".lock": "application/json", ".json": "application/json"}
_RECIPE_IN_FOLDER = ("spack.yaml", "spack.lock")
#: What vouches for the old digest and cannot vouch for a new one: cosign, sigstore, notation, in-toto statements.
_SIGNED = (
    "application/vnd.dev.cosign.",
    "application/vnd.dev.sigstore.",
    "application/vnd.cncf.notary.",
    "application/vnd.in-toto",
)


@dataclass(frozen=True)
class Attachment:
    """An artifact to be: its type and its files.

    Attributes:
        artifact_type: media type that says what it is.
        files: media type, file name and content of each.
    """

    artifact_type: str
    files: tuple[tuple[str, str, bytes], ...]

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """What a store must hold before the artifact's manifest."""
        return (EMPTY_BLOB, *(content for _, _, content in self.files))

    def manifest(self, subject: Descriptor) -> Manifest:
        """Return the artifact's manifest, referring to ``subject``."""
        layers = [Descriptor(kind, digest_of(raw), len(raw), "", {_TITLE: name}) for kind, name, raw in self.files]
        return new_artifact(self.artifact_type, layers, subject, {})


def read_sbom(path: Path) -> Attachment:
    """Read an SBOM, CycloneDX or SPDX as JSON.

    Raises:
        InputError: it is neither.
    """
    raw = _read(path)
    document = parse_json(raw, str(path))
    if document.get("bomFormat") == "CycloneDX":
        return Attachment(CYCLONEDX, ((CYCLONEDX, path.name, raw),))
    if str(document.get("spdxVersion", "")).startswith("SPDX-"):
        return Attachment(SPDX, ((SPDX, path.name, raw),))
    raise InputError("is neither CycloneDX nor SPDX 2 as JSON", where=str(path))


def read_recipe(paths: Sequence[Path]) -> Attachment:
    """Read the files of a recipe: ``spack.yaml`` and ``spack.lock``, easyconfigs, a record; of a folder Spack's two.

    Raises:
        InputError: a folder holds neither file, or two files have one name.
    """
    files: list[Path] = []
    for path in paths:
        inside = [path / name for name in _RECIPE_IN_FOLDER if (path / name).is_file()] if path.is_dir() else [path]
        if not inside:
            raise InputError("holds neither spack.yaml nor spack.lock", where=str(path))
        files += inside
    if len({file.name for file in files}) != len(files):
        raise InputError("two recipe files have one name", where=", ".join(str(file) for file in files))
    ordered = sorted(files, key=lambda file: file.name)
    kinds = [_RECIPE_MEDIA_TYPES.get(file.suffix, "text/plain") for file in ordered]
    return Attachment(RECIPE, tuple((kind, file.name, _read(file)) for kind, file in zip(kinds, ordered)))


def external_annotations(annotations: Mapping[str, str]) -> Attachment:
    """Return annotations as an artifact, for images that must keep their digest."""
    raw = json.dumps(dict(sorted(annotations.items())), indent=2, ensure_ascii=False).encode() + b"\n"
    return Attachment(ANNOTATIONS, ((ANNOTATIONS, "annotations.json", raw),))


def annotations_about(attachments: Iterable[Attachment], stated: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that name attached blobs by digest.

    Raises:
        InputError: the recipe is not the one that the stated annotations were derived from.
    """
    about: dict[str, str] = {}
    for attachment in attachments:
        digests = {name: digest_of(raw) for _, name, raw in attachment.files}
        if attachment.artifact_type in (CYCLONEDX, SPDX):
            about[key("sbom.digest")] = next(iter(digests.values()))
            about[key("sbom.mediatype")] = attachment.artifact_type
        elif attachment.artifact_type == RECIPE:
            recipe = key("software.recipe.digest")
            wanted = stated.get(recipe)
            if wanted and wanted not in digests.values():
                raise InputError(
                    f"no file of the recipe has digest {wanted}, from which the annotations were derived",
                    where=", ".join(digests),
                )
            if not wanted and "spack.lock" in digests:
                about[recipe] = digests["spack.lock"]
    return about


@dataclass(frozen=True)
class Followers:
    """What becomes of the artifacts of an image whose digest changes.

    Attributes:
        carried: artifacts anew, referring to the new digest.
        warnings: what stays with the old digest.
    """

    carried: tuple[Manifest, ...] = ()
    warnings: tuple[str, ...] = ()


def follow_referrers(
    store: ImageStore, before: Manifest, after: Manifest, *, carry: bool, replaced: Iterable[str]
) -> Followers:
    """Decide for each artifact of ``before`` whether it follows to ``after``.

    Args:
        store: where they are.
        before: the image as it was.
        after: the image as it will be.
        carry: whether artifacts that are not signed follow.
        replaced: artifact types that are attached anew and need no carrying.
    """
    present = store.list_referrers(before.digest)
    signed = [entry for entry in present if entry.artifact_type.startswith(_SIGNED)]
    plain = [entry for entry in present if entry not in signed and entry.artifact_type not in set(replaced)]
    warnings = [f"a signature ({e.artifact_type}) stays with {before.digest}: sign again" for e in signed]
    if plain and not carry:
        kinds = ", ".join(sorted({entry.artifact_type or entry.media_type for entry in plain}))
        warnings.append(f"{kinds} stays with {before.digest}: --carry-referrers takes it along")
        plain = []
    carried = [repoint_subject(_referrer(store, entry, before), after.descriptor) for entry in plain]
    return Followers(tuple(carried), tuple(warnings))


def _referrer(store: ImageStore, entry: Descriptor, subject: Manifest) -> Manifest:
    manifest = store.read_manifest(entry)
    if manifest.subject is None or manifest.subject.digest != subject.digest:
        raise StoreError(f"lists {entry.digest} as referring to {subject.digest}, and it does not")
    return manifest


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        raw = stream.read(BLOB_LIMIT + 1)
    if len(raw) > BLOB_LIMIT:
        raise InputError(f"is larger than {BLOB_LIMIT} bytes", where=str(path))
    return raw
