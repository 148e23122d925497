"""What is wished for: annotations from a file, checked against the vocabulary, and what else to do with images."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpc3.errors import InputError, UsageError, printable
from hpc3.oci.manifest import Manifest, parse_json
from hpc3.oci.store import ImageStore
from hpc3.vocabulary import PREFIX, holds_control, is_reserved, vocabulary

from .attach import Attachment

#: Derives annotations from a SOURCE on disk; arguments: its path, the names of the roots that are meant.
AnnotationsFromSource = Callable[[Path, Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True)
class Proof:
    """What the files of an image say of its annotations.

    Attributes:
        shown: annotations that nobody stated and the files show.
        places: where, by key: file and offset.
        contradicted: one line by key: what the files show instead, and where.
    """

    shown: Mapping[str, str]
    places: Mapping[str, str]
    contradicted: Mapping[str, str]


#: Holds what is stated against an image's files; arguments: its store, its manifest, PATH of its config, annotations.
Prover = Callable[[ImageStore, Manifest, str, Mapping[str, str]], Proof]

_FILE_LIMIT = 512 * 1024 * 1024  # a spack.lock of a whole site; annotations are a millionth of it
_FOREIGN_LIMIT = 65536  # characters of a value whose key is not ours


@dataclass(frozen=True)
class Wish:
    """What is asked for, the same for every image of one run.

    Attributes:
        annotations: to apply; None: each image's own, from the recipe inside it.
        from_present: whether they are those that are on each image already.
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
        prove: holds the annotations against the image's files, and adds what they show; None: the files are not asked.
        despite: keys that are applied even where the files contradict them.
    """

    annotations: Mapping[str, str] | None
    from_present: bool = False
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
    prove: Prover | None = None
    despite: Collection[str] = ()

    @property
    def is_pure(self) -> bool:
        """Whether manifests alone are read and written: three requests for an image in a registry, no blob."""
        return not (self.reads_config or self.external or self.attachments or self.carry_referrers)

    @property
    def reads_config(self) -> bool:
        """Whether the image config is read."""
        return self.labels or self.read_layers or self.from_present or self.prove is not None


def read_wanted(
    path: Path, roots: Sequence[str], from_source: AnnotationsFromSource | None
) -> tuple[dict[str, str], bool]:
    """Read what ``--from`` names; return the annotations and whether they were derived from a SOURCE.

    A file that holds a flat JSON object of strings is what ``hpc3 annotations --format json`` prints; everything else
    is a SOURCE.

    Raises:
        InputError: it is neither, or an annotation is ill-formed.
    """
    flat = _flat_object(path)
    if flat is None and from_source is None:
        raise InputError("is no flat JSON object of annotations", where=str(path))
    if flat is None and from_source is not None:
        flat = dict(from_source(path, roots))
        return checked_annotations(flat, str(path)), True
    if roots:
        raise UsageError("--root picks from a SOURCE, and this is a file of annotations", where=str(path))
    return checked_annotations(flat or {}, str(path)), False


def parse_annotations(raw: bytes, where: str) -> dict[str, str]:
    """Parse a flat JSON object of annotations.

    Raises:
        InputError: it is none, or an annotation is ill-formed.
    """
    document = parse_json(raw, where)
    if not all(isinstance(value, str) for value in document.values()):
        raise InputError("does not map keys to strings", where=where)
    return checked_annotations(document, where)


def checked_annotations(annotations: Mapping[str, str], where: str) -> dict[str, str]:
    """Return the annotations sorted by key, each well-formed.

    Raises:
        InputError: a reserved or unknown key, or an ill-formed value.
    """
    for key, value in annotations.items():
        place = f"{where}: {printable(key)}"
        known = vocabulary().get(key)
        if is_reserved(key):
            raise InputError("steers container runtimes and is never written", where=place)
        if known is None and key.startswith(PREFIX):
            raise InputError("is not in the vocabulary", where=place)
        fault = known.fault(value) if known is not None else _foreign_fault(key, value)
        if fault:
            raise InputError(fault, where=place)
    return dict(sorted(annotations.items()))


def _foreign_fault(key: str, value: str) -> str:
    if not key or not key.isprintable() or " " in key:
        return "is no key"
    if len(value) > _FOREIGN_LIMIT:
        return f"longer than {_FOREIGN_LIMIT} characters"
    return "has control characters" if holds_control(value) else ""


def _flat_object(path: Path) -> dict[str, str] | None:
    """Return the file's content where it is a flat JSON object of strings."""
    if path.is_dir():
        return None
    with path.open("rb") as stream:
        raw = stream.read(_FILE_LIMIT)
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        return None
    return {str(key): value for key, value in parse_json(raw, str(path)).items()}
