"""What is judged: the metadata of an image, wherever it was read from.

A plain value, so that the rules need no store: an annotation file, an image configuration, a Dockerfile and a
registry all give one.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpc3.errors import InputError
from hpc3.facts import Unknown
from hpc3.oci.edit import environment_of, runtime_of
from hpc3.oci.manifest import parse_json

#: Shapes in an image configuration: image-spec, config.md, and what Docker adds. Docker reads a text as a list of one.
_LIST, _OBJECT, _TEXT = ((list,), "a list of texts"), ((dict,), "an object"), ((str,), "a text")
_WORDS = ((list, str), "a list of texts")
_SHAPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "Cmd": _WORDS,
    "Entrypoint": _WORDS,
    "Env": _LIST,
    "Healthcheck": _OBJECT,
    "OnBuild": _LIST,
    "User": _TEXT,
    "Volumes": _OBJECT,
    "WorkingDir": _TEXT,
}

INPUT_LIMIT = 8 << 20  # no registry takes a manifest of half that size


@dataclass(frozen=True)
class Referrer:
    """An artifact that refers to the image: its type, its own digest, and the digests of its layers (the blobs)."""

    artifact_type: str
    digest: str
    blobs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """The metadata of one image. What the source cannot hold is None: rules about it do not apply.

    Attributes:
        name: what findings call it.
        annotations: of the manifest.
        labels: of the configuration.
        config: the OCI image configuration's ``config`` object (Entrypoint, Cmd, Env, …).
        platform: ``os``, ``architecture``, ``variant`` of the configuration.
        base: base image of a Dockerfile, whose configuration is inherited and not known; empty elsewhere.
        reference: as the user gave it, with the tag.
        tag: of the reference; empty where it has none.
        referrers: artifacts attached to the image.
        inherited: annotations and labels of the base image, or why they cannot be told.
        places: key to where it is written, for findings in files (``Dockerfile:12``).
        index: annotations of the index that the image was found in.
        descriptor: annotations of that index's descriptor of the image.
        described: the platform that this descriptor states, as ``platform``.
    """

    name: str
    annotations: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    config: Mapping[str, Any] | None = None
    platform: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    reference: str = ""
    tag: str = ""
    referrers: tuple[Referrer, ...] | None = None
    inherited: Mapping[str, str] | Unknown = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    index: Mapping[str, str] = field(default_factory=dict)
    descriptor: Mapping[str, str] = field(default_factory=dict)
    described: Mapping[str, str] = field(default_factory=dict)

    def stated(self) -> Mapping[str, str]:
        """Return what is stated by key: the annotation, or else the label."""
        return {**(self.labels or {}), **(self.annotations or {})}

    def environment(self) -> dict[str, str]:
        """Return the environment of the configuration; an entry without ``=`` is left out."""
        return environment_of({"config": self.config})

    def place(self, name: str) -> str:
        """Return where a key, or a part of the configuration, is written."""
        return self.places.get(name, f"{self.name}: {name}")


def annotations_from_json(text: bytes, where: str) -> dict[str, str]:
    """Return the flat object of strings in ``text``, as ``annotations --format json`` prints it.

    Raises:
        InputError: it is not JSON, or not such an object.
    """
    return _annotations(json_object(text, where), where)


def subject_from_json(text: bytes, where: str) -> Subject:
    """Return the subject in a JSON file: annotations, an OCI image configuration, an image manifest; told by shape.

    Raises:
        InputError: it is none of these.
    """
    document = json_object(text, where)
    if "manifests" in document:
        raise InputError("is an index, which holds images", where=where, remedy="give one of them, or the reference")
    if isinstance(document.get("rootfs"), dict) or {"architecture", "os"} <= document.keys():
        return subject_from_config(document, where)
    if "schemaVersion" in document:
        if "artifactType" in document:
            raise InputError("is an artifact, no image", where=where)
        annotations = document.get("annotations") or {}
        return Subject(where, annotations=_strings(annotations, f"{where}: annotations"))
    return Subject(where, annotations=_annotations(document, where))


def subject_from_config(
    document: Mapping[str, Any],
    name: str,
    annotations: Mapping[str, str] | None = None,
    reference: str = "",
    referrers: tuple[Referrer, ...] | None = None,
    tag: str = "",
) -> Subject:
    """Return the subject that an OCI image configuration (the whole blob) describes, with what lies around it.

    Raises:
        InputError: ``config`` or something in it has not the specification's shape: no engine would start the image.
    """
    config = runtime_of(document, name)
    for member, (kinds, shape) in _SHAPES.items():
        value = config.get(member)
        is_texts = not isinstance(value, list) or all(isinstance(entry, str) for entry in value)
        if value is not None and not (isinstance(value, kinds) and is_texts):
            raise InputError(f"is not {shape}", where=f"{name}: config.{member}")
    platform = {k: document[k] for k in ("os", "architecture", "variant") if isinstance(document.get(k), str)}
    return Subject(
        name,
        annotations=annotations,
        labels=_strings(config.get("Labels") or {}, f"{name}: config.Labels"),
        config=config,
        platform=platform,
        reference=reference,
        tag=tag,
        referrers=referrers,
    )


def json_object(text: bytes, where: str) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Raises:
        InputError: it is larger than `INPUT_LIMIT`, no JSON, or no object.
    """
    if len(text) > INPUT_LIMIT:
        raise InputError(f"is larger than {INPUT_LIMIT >> 20} MiB", where=where)
    return parse_json(text.removeprefix(codecs.BOM_UTF8), where)


def _annotations(document: dict[str, Any], where: str) -> dict[str, str]:
    for name, value in document.items():
        if not isinstance(value, str):
            raise InputError(
                f"the value of {name!r} is not a string", where=where, remedy="give a flat object of strings"
            )
    return document


def _strings(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise InputError("is not an object of strings", where=where)
    return value
