"""Edits of manifests, indexes and image configs, on bytes: what is not ours is kept in meaning, order and indentation.

Everything here is pure. An edit that changes nothing returns its input, so that callers can skip the write. Docker
schema 2 has no annotations: where an edit needs them the manifest becomes OCI, with every media type mapped and no
blob touched (https://github.com/opencontainers/image-spec/blob/main/media-types.md, "Compatibility Matrix").
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from hpc3.errors import InputError, printable

from .manifest import (
    ATTESTATION_SUBJECT,
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    EMPTY_BLOB,
    MANIFEST_LIMIT,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
    parse_json,
    parse_manifest,
    string_map,
)

_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar"

_DOCKER_TO_OCI = {
    DOCKER_MANIFEST: OCI_MANIFEST,
    DOCKER_INDEX: OCI_INDEX,
    DOCKER_CONFIG: OCI_CONFIG,
    **{_DOCKER_LAYER + suffix: _OCI_LAYER + oci for suffix, oci in (("", ""), (".gzip", "+gzip"), (".zstd", "+zstd"))},
    **{_DOCKER_FOREIGN_LAYER + suffix: _OCI_FOREIGN_LAYER + oci for suffix, oci in (("", ""), (".gzip", "+gzip"))},
}

#: What to do with annotations or labels: a value sets the key, None removes it.
Changes = Mapping[str, Optional[str]]


def annotate_manifest(manifest: Manifest, changes: Changes, config: Descriptor | None = None) -> Manifest:
    """Return the image manifest with its annotations changed, and with another config blob where one is given.

    Raises:
        InputError: a Docker schema 2 manifest that holds what OCI has no media type for.
    """
    document = copy.deepcopy(dict(manifest.document))
    if config is not None and (config.digest, config.size) != (manifest.config.digest, manifest.config.size):
        document["config"].update(digest=config.digest, size=config.size)
        document["config"].pop("data", None)  # an embedded copy of the old config
    _change(document, "annotations", changes)
    return _edited(manifest, document)


def edit_index(
    index: Manifest,
    replaced: Mapping[str, Manifest],
    changes: Changes,
    descriptor_changes: Mapping[str, Changes],
) -> Manifest:
    """Return the index with entries re-pointed and annotations changed.

    Args:
        index: an index.
        replaced: old digest to new manifest; attestations of the old follow to the new.
        changes: to the index's own annotations.
        descriptor_changes: old digest to changes of its descriptor's annotations.
    """
    document = copy.deepcopy(dict(index.document))
    for entry in document["manifests"]:
        _change(entry, "annotations", descriptor_changes.get(entry["digest"], {}))
        successor = replaced.get(entry["digest"])
        if successor is not None:
            entry.update(mediaType=successor.media_type, digest=successor.digest, size=len(successor.raw))
            entry.pop("data", None)
        followed = replaced.get((entry.get("annotations") or {}).get(ATTESTATION_SUBJECT, ""))
        if followed is not None:
            entry["annotations"][ATTESTATION_SUBJECT] = followed.digest
    _change(document, "annotations", changes)
    return _edited(index, document)


def label_config(raw: bytes, changes: Changes, where: str = "image config") -> bytes:
    """Return the config blob with its labels changed; the same bytes where nothing changes.

    Raises:
        InputError: it is no image config.
    """
    document = parse_json(raw, where)
    before = copy.deepcopy(document)
    runtime = runtime_of(document, where)
    string_map(runtime.get("Labels"), f"{where}: Labels")
    _change(runtime, "Labels", changes)
    if runtime != (before.get("config") or {}):
        document["config"] = runtime
    return raw if document == before else _serialise(document, raw)


def runtime_of(config: Mapping[str, Any], where: str = "image config") -> dict[str, Any]:
    """Return what a parsed image config says about running it: entrypoint, environment, labels; empty without.

    Raises:
        InputError: it is no object.
    """
    runtime = config.get("config")
    if runtime is None:
        return {}
    if not isinstance(runtime, dict):
        raise InputError("is not an object", where=f"{where}: config")
    return runtime


def labels_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a parsed image config."""
    return string_map(runtime_of(config).get("Labels"), "image config: Labels")


def environment_of(config: Mapping[str, Any], where: str = "image config") -> dict[str, str]:
    """Return the environment of a parsed image config; of several values of a name the last, as engines do.

    An entry without ``=`` sets nothing.

    Raises:
        InputError: ``Env`` is no list of texts.
    """
    entries = runtime_of(config, where).get("Env") or []
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise InputError("is not a list of NAME=VALUE", where=f"{where}: Env")
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, equals, value in pairs if equals}


def new_index(entries: Iterable[Descriptor], annotations: Mapping[str, str]) -> Manifest:
    """Return an index over ``entries``, in their order."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entry.as_document() for entry in entries],
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    return parse_manifest(_serialise(document, b""))


def new_artifact(
    artifact_type: str, layers: Iterable[Descriptor], subject: Descriptor | None, annotations: Mapping[str, str]
) -> Manifest:
    """Return the manifest of an artifact, with the empty config of OCI 1.1.

    Args:
        artifact_type: what it is, a media type.
        layers: its blobs.
        subject: the image that it refers to.
        annotations: the artifact's own; registries copy them into referrers lists, so they stay small.
    """
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": Descriptor(OCI_EMPTY, digest_of(EMPTY_BLOB), len(EMPTY_BLOB)).as_document(),
        "layers": [layer.as_document() for layer in layers],
    }
    if subject is not None:
        document["subject"] = Descriptor(subject.media_type, subject.digest, subject.size).as_document()
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    return parse_manifest(_serialise(document, b""))


def referrer_entry(referrer: Manifest) -> Descriptor:
    """Return the descriptor under which lists of referrers show an artifact."""
    plain = referrer.descriptor
    return Descriptor(plain.media_type, plain.digest, plain.size, referrer.artifact_type, referrer.annotations)


def repoint_subject(referrer: Manifest, subject: Descriptor) -> Manifest:
    """Return the referrer, referring to ``subject``; everything else stays."""
    document = copy.deepcopy(dict(referrer.document))
    document["subject"] = Descriptor(subject.media_type, subject.digest, subject.size).as_document()
    return _edited(referrer, document)


def changes_between(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    """Return the changes that lead from one set of annotations to another, sorted by key."""
    keys = sorted(before.keys() | after.keys())
    return {key: after.get(key) for key in keys if before.get(key) != after.get(key)}


def _change(document: dict[str, Any], member: str, changes: Changes) -> None:
    present = document.get(member) or {}
    merged = {key: value for key, value in present.items() if changes.get(key, value) is not None}
    for key, value in sorted(changes.items()):  # what is there keeps its place, what is new comes sorted
        if value is not None:
            merged[key] = value
    if merged != present:
        document[member] = merged
        if not merged:
            del document[member]


def _edited(manifest: Manifest, document: dict[str, Any]) -> Manifest:
    if document == manifest.document:
        return manifest
    if manifest.media_type in _DOCKER_TO_OCI:
        _to_oci(document)
        document["mediaType"] = _DOCKER_TO_OCI[manifest.media_type]
    media_type = document.get("mediaType", "") or manifest.media_type
    raw = _serialise(document, manifest.raw)
    if len(raw) > MANIFEST_LIMIT:
        raise InputError(f"would grow larger than {MANIFEST_LIMIT} bytes", where="manifest")
    return Manifest(raw, media_type, document)


def _to_oci(document: dict[str, Any]) -> None:
    """Map the media types of a Docker schema 2 document; children of an index stay what they are."""
    for entry in [document.get("config"), *document.get("layers", [])]:
        if entry is None:
            continue
        known = entry["mediaType"]
        if known.startswith("application/vnd.docker.") and known not in _DOCKER_TO_OCI:
            raise InputError(f"OCI has no equal of {printable(known)}", where="manifest")
        entry["mediaType"] = _DOCKER_TO_OCI.get(known, known)


def _serialise(document: Mapping[str, Any], like: bytes) -> bytes:
    """Return the JSON text, indented as ``like`` is."""
    match = re.match(rb"\{\r?\n([ \t]*)", like)
    if match:
        return json.dumps(document, ensure_ascii=False, indent=match[1].decode()).encode()
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
