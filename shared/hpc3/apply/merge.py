"""What is on an image after annotations were applied: which keys stay, go and change. Pure.

Our keys on the image were inherited from its base or come from an earlier run: what is not stated again goes, except
what the vocabulary lets images inherit (``os.*``, ``system.libc.*``, ``userland.shell``) as long as nothing that is
stated contradicts it. Foreign keys stay. Labels mirror the annotations that the vocabulary places there.
"""

from __future__ import annotations

from collections.abc import Mapping

from hpc3.vocabulary import OCI_PREFIX, PREFIX, is_reserved, key, vocabulary

#: Keys that say one thing together: where one of them changes, the others no longer hold.
_FAMILIES = (key("os."), key("system.libc."))
#: buildah writes these empty for ``FROM scratch``.
_BASE_KEYS = (OCI_PREFIX + "base.name", OCI_PREFIX + "base.digest")
#: What an index says of all its images.
_INDEX_KEYS = (
    key("schema.version"),
    OCI_PREFIX + "title",
    OCI_PREFIX + "version",
    OCI_PREFIX + "licenses",
    OCI_PREFIX + "documentation",
)


def merged_annotations(present: Mapping[str, str], stated: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations of a manifest after ``stated`` was applied to ``present``."""
    kept = {k: v for k, v in present.items() if _stays(k, present, stated)}
    return {**kept, **stated}


def merged_labels(labels: Mapping[str, str], annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a config that agree with the annotations of its manifest.

    Args:
        labels: present.
        annotations: as they are after merging.
    """
    known = vocabulary()
    mirrored = {k: v for k, v in annotations.items() if k in known and known[k].is_label}
    kept = {k: v for k, v in labels.items() if not k.startswith(PREFIX)}
    # Readers of labels and readers of annotations must not learn different things from one image.
    corrected = {k: annotations[k] for k in kept if k in known and k in annotations}
    return {**kept, **corrected, **mirrored}


def merged_descriptor(present: Mapping[str, str], annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations of an index entry: foreign ones, and the manifest's selection keys."""
    known = vocabulary()
    selection = {k: v for k, v in annotations.items() if k in known and known[k].is_selection}
    return {**{k: v for k, v in present.items() if not k.startswith(PREFIX)}, **selection}


def merged_index(present: Mapping[str, str], stated: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations of an index whose every image has ``stated``."""
    own = {k: v for k, v in stated.items() if k in _INDEX_KEYS}
    return {**{k: v for k, v in present.items() if not k.startswith(PREFIX)}, **own}


def reserved_keys(*maps: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys that steer runtimes, sorted: they are left alone and reported."""
    return tuple(sorted({name for keys in maps for name in keys if is_reserved(name)}))


def _stays(name: str, present: Mapping[str, str], stated: Mapping[str, str]) -> bool:
    if name in _BASE_KEYS and not present[name]:
        return False
    if not name.startswith(PREFIX):
        return True
    known = vocabulary().get(name)
    if known is None or known.merge != "inherit":
        return False
    family = next((f for f in _FAMILIES if name.startswith(f)), name)
    return all(stated.get(k, v) == v for k, v in present.items() if k.startswith(family))
