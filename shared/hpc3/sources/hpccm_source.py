"""A recipe of HPCCM as a source."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hpc3.request import HpccmRequest

from .documentation import documentation_beside
from .documents import read_document
from .hpccm_answer import Answer, Layer, parse_answer
from .hpccm_environment import Left, left_by
from .hpccm_facts import facts_from_answer
from .hpccm_recipe import ask_hpccm
from .source import RecipeArguments, Source

_RECIPE_LIMIT = 1024 * 1024


def read_recipe(path: Path, picks: Sequence[str] = (), arguments: RecipeArguments | None = None) -> Source:
    """Run a recipe by HPCCM, and read what comes of it.

    Raises:
        InputError: there is no such file; HPCCM is not found, or refuses it; what comes of it is not what it should be.
    """
    recipe = read_document(path, _RECIPE_LIMIT)
    arguments = arguments or RecipeArguments()
    answer = parse_answer(ask_hpccm(path, arguments), path.name)
    digest = f"sha256:{hashlib.sha256(recipe).hexdigest()}"
    return Source(
        facts_from_answer(answer, path.name, digest, picks, documentation_beside(path.parent)),
        _request(answer, path.name, arguments),
        files={path.name: recipe},
    )


def _request(answer: Answer, recipe: str, arguments: RecipeArguments) -> HpccmRequest:
    left = left_by(answer.dockerfile)
    return HpccmRequest(
        recipe=recipe,
        version=answer.hpccm,
        arguments=str(arguments),
        dockerfile=answer.dockerfile,
        definition=answer.definition,
        definition_fault=answer.definition_fault,
        environment=left.environment,
        user=left.user,
        warnings=tuple(_warnings(answer, recipe, left)),
    )


def _warnings(answer: Answer, recipe: str, left: Left) -> Iterator[str]:
    if answer.included:
        yield f"{recipe} includes {', '.join(answer.included)}: neither the digest nor the image has them"
    if not any(_names_architecture(layer) for stage in answer.stages for layer in stage):
        yield f"no baseimage of {recipe} names its _arch: HPCCM takes that of this machine, {answer.architecture}"
    if re.search(r"^(ENTRYPOINT|CMD)\b", answer.dockerfile, re.MULTILINE):
        yield f"{recipe} sets what containers start: it is not followed, an image runs what it is asked for"
    if left.user:
        yield f"{recipe} sets the user {left.user}: it is not followed, engines run an image as whoever starts it"
    for name in left.unclear:
        yield f"login shells do not get {name}: its value in the recipe is made from other variables"


def _names_architecture(layer: Layer) -> bool:
    return layer.name == "baseimage" and bool(layer.word("arch"))
