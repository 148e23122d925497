"""What HPCCM answered: typed, and checked as a stranger's document is, for a recipe can write what it likes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpc3.errors import InputError

from .documents import Place, as_object, as_text, get_list, get_object, get_text, kind_of, parse_json_object

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_RELEASE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~-]{0,63}")
_KIND = re.compile(r"block|primitive|runtime|text")
#: Lines as a recipe holds them: no control characters, no halves of a surrogate pair.
_LINES = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]*")
_TARGET = re.compile(r"[a-z0-9_]{1,64}")

#: Layers of all stages; a recipe of HPCCM's own has 20.
_MOST_LAYERS = 10_000


@dataclass(frozen=True)
class Layer:
    """One layer of a stage, as the recipe added it.

    Attributes:
        kind: ``block``: a building block; ``primitive``; ``runtime``: the runtime part of blocks of another stage, as
            text; ``text``: anything else.
        name: name of the class, such as ``openmpi``.
        runtime: whether the recipe asked for its runtime part, which is copied into another stage.
        attributes: the parameters that HPCCM's release has for it, defaults included.
        text: its part of the Dockerfile.
    """

    kind: str
    name: str
    runtime: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def word(self, attribute: str) -> str:
        """Return a parameter that is a string; empty where it is none."""
        value = self.attributes.get(attribute)
        return value if isinstance(value, str) else ""

    def words(self, *attributes: str) -> tuple[str, ...]:
        """Return the strings of parameters that are lists of them."""
        values = (self.attributes.get(attribute) for attribute in attributes)
        return tuple(item for value in values if isinstance(value, list) for item in value if isinstance(item, str))


@dataclass(frozen=True)
class Answer:
    """What HPCCM makes of a recipe.

    Attributes:
        hpccm: HPCCM's release.
        architecture: of the processor, as HPCCM calls it (``x86_64``, ``aarch64``).
        cpu_target: archspec's name of the processor that is optimized for; empty: none.
        dockerfile: HPCCM's Dockerfile.
        definition: its definition file; empty: there is none.
        definition_fault: why there is none.
        included: recipe files that the recipe includes, as it names them.
        stages: the layers of each stage that is not empty; the last stage is the image.
    """

    hpccm: str
    architecture: str
    cpu_target: str
    dockerfile: str
    definition: str
    definition_fault: str
    included: tuple[str, ...]
    stages: tuple[tuple[Layer, ...], ...]

    def image_stages(self) -> tuple[int, ...]:
        """Return the numbers of the stages that the image is made of: the last, and those that it starts from."""
        names = {_base(stage).word("as"): number for number, stage in enumerate(self.stages)}
        chain = [len(self.stages) - 1]
        while (before := names.get(_base(self.stages[chain[-1]]).word("image"), chain[-1])) < chain[-1]:
            chain.append(before)
        return tuple(chain)

    def base_image(self) -> str:
        """Return the image that the image's first stage starts from."""
        return _base(self.stages[self.image_stages()[-1]]).word("image")


def _base(stage: Sequence[Layer]) -> Layer:
    return next((layer for layer in stage if layer.name == "baseimage"), Layer("primitive", "baseimage"))


def parse_answer(data: bytes, recipe: str) -> Answer:
    """Return the answer for a recipe's file name.

    Raises:
        InputError: HPCCM refused the recipe, or the answer is not what it should be.
    """
    place = Place(recipe)
    document = parse_json_object(data, place)
    if document.get("fault") is not None:
        raise InputError(f"HPCCM says: {' '.join(str(document['fault']).split())}", where=recipe)
    stages = tuple(_stage(stage, place / "stages" / n) for n, stage in enumerate(get_list(document, "stages", place)))
    if not stages or not any(layer.name == "baseimage" for layer in stages[-1]):
        raise InputError("adds no baseimage to Stage0 or Stage1: it is no recipe of HPCCM", where=recipe)
    if sum(map(len, stages)) > _MOST_LAYERS:
        raise InputError(f"has more than {_MOST_LAYERS:,} layers", where=recipe)
    return Answer(
        hpccm=get_text(document, "hpccm", place, _RELEASE),
        architecture=get_text(document, "architecture", place, _NAME),
        cpu_target="" if document.get("cpu_target") is None else get_text(document, "cpu_target", place, _TARGET),
        dockerfile=get_text(document, "dockerfile", place, _LINES),
        definition=as_text(document.get("definition", ""), place / "definition", _LINES),
        definition_fault=as_text(document.get("definition_fault", ""), place / "definition_fault", None),
        included=tuple(as_text(name, place / "included", None) for name in get_list(document, "included", place)),
        stages=stages,
    )


def _stage(value: object, place: Place) -> tuple[Layer, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise place.error(f"a list is needed, not {kind_of(value)}")
    return tuple(_layer(as_object(layer, place / n), place / n) for n, layer in enumerate(value))


def _layer(layer: Mapping[str, Any], place: Place) -> Layer:
    return Layer(
        kind=get_text(layer, "kind", place, _KIND),
        name=get_text(layer, "name", place, _NAME),
        runtime=layer.get("runtime") is True,
        attributes=get_object(layer, "attributes", place),
        text=get_text(layer, "text", place, None),
    )
