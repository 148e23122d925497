"""What an image has from its base: read from the base itself, where the store that holds the image holds it too.

An image names its base by ``org.opencontainers.image.base.name`` and ``base.digest`` (image-spec, annotations.md), and
what they lead to counts only if the image's layers and history begin with its own: a tag may have moved, and buildah's
``--layers`` writes the digest of an intermediate step. Another registry than the image's own is never asked: no image
chooses whom we talk to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hpc3.errors import Hpc3Error, InputError, UsageError
from hpc3.facts import Unknown
from hpc3.oci.edit import labels_of
from hpc3.oci.inspection import choose_image, platform_name
from hpc3.oci.manifest import Manifest, parse_json
from hpc3.oci.opening import Stores
from hpc3.oci.reference import ImageReference, parse_reference
from hpc3.vocabulary import OCI_PREFIX

_BASE_NAME, _BASE_DIGEST = OCI_PREFIX + "base.name", OCI_PREFIX + "base.digest"

_LABEL = re.compile(r"(?:^|\s)LABEL\s")  # in "LABEL a=b" (BuildKit) and "/bin/sh -c #(nop) LABEL a=b" (buildah, Docker)


def inherited_values(
    stores: Stores, reference: ImageReference, image: Manifest, document: Mapping[str, Any], base: str = ""
) -> Mapping[str, str] | Unknown:
    """Return the base's annotations and labels, without the labels that the image's own build steps state again.

    Args:
        stores: where the base is looked for.
        reference: of the image.
        image: its manifest.
        document: its configuration, the whole blob.
        base: reference of the base as the user gave it; empty: as the image names it.

    Raises:
        UsageError: ``base`` is no reference.
        InputError: the image that ``base`` names cannot be read, or is not what the image was built on.
    """
    stated = {**labels_of(document), **image.annotations}
    candidates: tuple[ImageReference, ...]
    if base:
        candidates = (parse_reference(base),)
    elif _BASE_NAME not in stated:
        return Unknown("the image does not name its base")
    elif not stated[_BASE_NAME]:
        return {}  # buildah's way to say FROM scratch
    else:
        try:
            candidates = _candidates(reference, stated[_BASE_NAME], stated.get(_BASE_DIGEST, ""))
        except UsageError as error:
            return Unknown(str(error))
    reason = ""
    for candidate in candidates:
        found = _read_base(stores, candidate, document, "" if base else stated[_BASE_NAME])
        if not isinstance(found, Unknown):
            return found
        reason = reason or found.reason
    if base:
        raise InputError(reason, where=base)
    return Unknown(reason)


def _candidates(reference: ImageReference, name: str, digest: str) -> tuple[ImageReference, ...]:
    """Return where the base may be in the image's own store: by its name, then by its digest.

    Raises:
        UsageError: the name is none, or of another registry.
    """
    if reference.transport == "docker":
        named = parse_reference(f"docker://{name}")
        if named.location != reference.location:
            raise UsageError(f"its base {name} is in another registry, which is not asked")
    elif reference.transport == "containers-storage":
        named = parse_reference(f"containers-storage:{reference.location}{name}")
    else:
        named = replace(reference, tag=name, digest="")
    by_digest = named.with_digest(digest) if digest and not named.digest else None
    return (named, by_digest) if by_digest else (named,)


def _read_base(
    stores: Stores, candidate: ImageReference, document: Mapping[str, Any], name: str
) -> Mapping[str, str] | Unknown:
    """Return what a candidate states; one that names ``name`` as its own base is a step of the same build."""
    try:
        store = stores.open(candidate)
        image = choose_image(store, candidate, platform_name(document))
        base = parse_json(store.read_blob(image.config), f"{candidate}: config")
    except Hpc3Error as error:
        return Unknown(f"its base cannot be read: {error}")
    stated = {**labels_of(base), **image.annotations}
    if not _stands_on(document, base) or (name and stated.get(_BASE_NAME) == name):
        return Unknown(f"the image does not begin with the layers and steps of {candidate}")
    own = [step for step in _steps(document)[len(_steps(base)) :] if _LABEL.search(step)]
    return {key: value for key, value in stated.items() if not any(_states(step, key) for step in own)}


def _stands_on(document: Mapping[str, Any], base: Mapping[str, Any]) -> bool:
    """Whether an image has the base's layers and build steps first, and something of its own after them."""
    layers, steps = _layers(base), _steps(base)
    own = (_layers(document)[len(layers) :], _steps(document)[len(steps) :])
    return (
        bool(layers)
        and (layers, steps) == (_layers(document)[: len(layers)], _steps(document)[: len(steps)])
        and any(own)
    )


def _layers(document: Mapping[str, Any]) -> list[str]:
    """Return the digests of the layers, lowest first."""
    rootfs = document.get("rootfs")
    digests = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    return [digest for digest in digests if isinstance(digest, str)] if isinstance(digests, list) else []


def _steps(document: Mapping[str, Any]) -> list[str]:
    """Return the build steps that made the image, as its builders wrote them."""
    history = document.get("history")
    entries = history if isinstance(history, list) else []
    return [f"{e.get('created', '')} {e.get('created_by', '')}" for e in entries if isinstance(e, dict)]


def _states(step: str, name: str) -> bool:
    return bool(re.search(rf"[\s\"']{re.escape(name)}[\"']?[=\s]", step))
