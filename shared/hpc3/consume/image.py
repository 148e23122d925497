"""An image as consumers see it: what it states, where each statement was read, and what contradicts it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hpc3.errors import InputError
from hpc3.oci.edit import environment_of
from hpc3.vocabulary import key, vocabulary

from .infer import inferred_statements
from .precedence import Contradiction, Statement, settle

#: Where a statement may be read, the most trusted first: a site's own catalog overrules the image; an artifact that
#: refers to it overrules its manifest (``annotation``), that its descriptor in an index, that the index itself; and
#: what is inferred from the environment or the tag never overrules anything.
PLACES = ("external", "referrer", "annotation", "descriptor", "index", "label", "inferred")

_MOST_CHARACTERS = 4 * 2**20
_MOST_KEYS = 4096


@dataclass(frozen=True)
class Image:
    """What one image (one platform manifest) states.

    Attributes:
        reference: as a person would pull it; may be empty.
        digest: ``sha256:…`` of its manifest; may be empty.
        architecture: of the image config (``amd64``); empty when not known.
        statements: vocabulary key to the statement that counts.
        environment: the image config's environment.
        labels: the image config's labels.
        contradictions: statements that do not fit together.
        ill_formed: key to what is wrong with a value that was therefore not used.
        size: bytes to pull; None when not known.
        is_partial: whether only an index was read, which says of an image what selects it and no more.
    """

    reference: str = ""
    digest: str = ""
    architecture: str = ""
    statements: Mapping[str, Statement] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    contradictions: tuple[Contradiction, ...] = ()
    ill_formed: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    is_partial: bool = False

    def value(self, name: str) -> str:
        """Return the value of the key ``name`` (without our prefix), or an empty string where it is not stated."""
        statement = self.statements.get(key(name))
        return statement.value if statement else ""

    def values(self, name: str) -> tuple[str, ...]:
        """Return the entries of a comma-separated value; ``()`` where it is not stated."""
        return tuple(entry for entry in self.value(name).split(",") if entry)

    @property
    def title(self) -> str:
        """What to call it: software and version, else the reference, else the digest."""
        software = " ".join(part for part in (self.value("software.name"), self.value("software.version")) if part)
        return software or self.reference or self.digest or "image"

    @property
    def pinned(self) -> str:
        """What to pull so that it is this very image: the repository and the digest; tags move."""
        repository, slash, name = self.reference.partition("@")[0].rpartition("/")
        name = name.partition(":")[0]
        return f"{repository}{slash}{name}@{self.digest}" if self.digest and name else self.digest or self.reference


def image_from_json(text: str, where: str) -> Image:
    """Return the image that a document describes.

    Args:
        text: what ``hpc3 inspect`` prints, or a flat object of annotations (``hpc3 annotations --format json``).
        where: the file's name, for errors.

    Raises:
        InputError: it is neither.
    """
    return image_from_document(_parsed(text, where), where)


def image_from_document(document: object, where: str) -> Image:
    """Return the image in a parsed document; see `image_from_json`.

    Raises:
        InputError: it is not such a document.
    """
    if not isinstance(document, dict):
        raise InputError("is not an object", where=where, remedy="give what 'hpc3 inspect' prints")
    if not isinstance(document.get("annotations"), dict):
        return image_of(places={"annotation": _texts(document, where)}, reference="")
    annotations = _texts(document["annotations"], f"{where}: annotations")
    provenance = _texts(document.get("provenance") or {}, f"{where}: provenance")
    places: dict[str, dict[str, str]] = {}
    for name, value in annotations.items():
        place = provenance.get(name, "annotation")
        places.setdefault(place if place in PLACES else "annotation", {})[name] = value
    for place, values in _disagreements(document.get("contradictions"), where).items():
        places.setdefault(place, {}).update(values)
    config = document.get("config") or {}
    if not isinstance(config, dict):
        raise InputError("is not an object", where=f"{where}: config")
    labels = _texts(document.get("labels") or {}, f"{where}: labels")
    # A label says something of its own only where no other place was preferred to it.
    places["label"] = {**{k: v for k, v in labels.items() if k in vocabulary()}, **places.get("label", {})}
    return image_of(
        places=places,
        reference=_text(document.get("reference", ""), f"{where}: reference"),
        digest=_text(document.get("digest", ""), f"{where}: digest"),
        architecture=_text(config.get("architecture"), f"{where}: config.architecture"),
        environment=environment_of(config, f"{where}: config"),
        labels=labels,
        size=document.get("size") if isinstance(document.get("size"), int) else None,
    )


def images_from_index(document: Mapping[str, Any], reference: str, where: str) -> tuple[Image, ...]:
    """Return the images of an OCI index by what its descriptors say: one request decides among all of them.

    Args:
        document: the index.
        reference: what it was read from; each image is named by it and its own digest.
        where: the file's name, for errors.

    Raises:
        InputError: a descriptor is not one.
    """
    manifests = document.get("manifests")
    if not isinstance(manifests, list) or len(manifests) > _MOST_KEYS:
        raise InputError(f"is not an index of at most {_MOST_KEYS} manifests", where=where)
    images = []
    for number, descriptor in enumerate(manifests):
        at = f"{where}: manifests[{number}]"
        if not isinstance(descriptor, dict):
            raise InputError("is not a descriptor", where=at)
        platform = descriptor.get("platform") or {}
        architecture = _text(_member(platform, "architecture"), f"{at}.platform.architecture")
        if architecture == "unknown":  # build attestations hide here
            continue
        digest = _text(descriptor.get("digest", ""), f"{at}.digest")
        stated = _texts(descriptor.get("annotations") or {}, f"{at}.annotations")
        name = reference.partition("@")[0]
        image = image_of({"descriptor": stated}, f"{name}@{digest}" if name else "", digest, architecture)
        images.append(replace(image, is_partial=True))
    return tuple(images)


def images_from_json(text: str, where: str) -> tuple[Image, ...]:
    """Return all images in a document: one image, a list of them, or an OCI index.

    Raises:
        InputError: it is none of these.
    """
    document = _parsed(text, where)
    if isinstance(document, list):
        return tuple(image_from_document(entry, f"{where}[{number}]") for number, entry in enumerate(document))
    if isinstance(document, dict) and "manifests" in document:
        return images_from_index(document, "", where)
    return (image_from_document(document, where),)


def annotations_from_json(text: str, where: str) -> dict[str, str]:
    """Return a flat object of annotations.

    Raises:
        InputError: it is not one.
    """
    return _texts(_parsed(text, where), where)


def image_of(
    places: Mapping[str, Mapping[str, str]],
    reference: str = "",
    digest: str = "",
    architecture: str = "",
    environment: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    size: int | None = None,
) -> Image:
    """Return the image whose places state the given keys; what its environment and tag imply is added as inferred.

    Args:
        places: a member of `PLACES` to the keys and values that were read there; unknown keys are passed over.
        reference: as a person would pull it.
        digest: of its manifest.
        architecture: of its config, as OCI spells it.
        environment: of its config.
        labels: of its config, all of them.
        size: bytes to pull.
    """
    environment, labels = environment or {}, labels or {}
    inferred = {**inferred_statements(reference, environment, labels), **places.get("inferred", {})}
    read = [(place, inferred if place == "inferred" else places.get(place, {})) for place in PLACES]
    settled = settle(read, environment, labels)
    return Image(
        reference=reference,
        digest=digest,
        architecture=architecture,
        statements=settled.statements,
        environment=environment,
        labels=labels,
        contradictions=settled.contradictions,
        ill_formed=settled.ill_formed,
        size=size,
    )


def _parsed(text: str, where: str) -> object:
    if len(text) > _MOST_CHARACTERS:
        raise InputError(f"is longer than {_MOST_CHARACTERS} characters", where=where)
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", where=where) from error


def _disagreements(contradictions: object, where: str) -> dict[str, dict[str, str]]:
    """Return place to key to value for every key that ``hpc3 inspect`` found to differ between places."""
    found: dict[str, dict[str, str]] = {}
    for entry in contradictions if isinstance(contradictions, list) else []:
        values = _texts(_member(entry, "values") or {}, f"{where}: contradictions")
        for place, value in values.items():
            if place in PLACES:
                found.setdefault(place, {})[_text(_member(entry, "key"), f"{where}: contradictions")] = value
    return found


def overruled(image: Image, external: Mapping[str, str]) -> Image:
    """Return the image as a site's catalog sees it: what the site states comes before all that the image states.

    Raises:
        InputError: a statement of the site is ill-formed; the site can and should repair it.
    """
    statements = dict(image.statements)
    for name, value in external.items():
        known = vocabulary().get(name)
        fault = known.fault(value) if known else "is no key of the vocabulary"
        if fault:
            raise InputError(f"{name}: {fault}", where="catalog")
        statements[name] = Statement(value, "external")
    return replace(image, statements=dict(sorted(statements.items())))


def _member(value: object, name: str) -> Any:
    return value.get(name, "") if isinstance(value, dict) else ""


def _texts(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST_KEYS:
        raise InputError(f"is not an object of at most {_MOST_KEYS} texts", where=where)
    return {_text(name, where): _text(entry, f"{where}: {name}") for name, entry in value.items()}


def _text(value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError("is not a text", where=where)
    return value
