"""What HPCCM makes of a recipe: run by the Python that has HPCCM, in a process of its own.

``python hpccm_question.py ANSWER RECIPE ARGUMENTS``, where ARGUMENTS is a JSON object ``{"cpu_target": …, "userarg":
{…}}``, runs the recipe as ``hpccm --recipe`` does and writes the answer as JSON: HPCCM's release, its Dockerfile and
definition file, and the layers of each stage; or ``{"fault": …}``.

All that depends on HPCCM's private names is in this file: the stages are HPCCM's own, noted as it makes them, and a
block's parameters lie in attributes such as ``_openmpi__version``. An attribute that a release does not have is left
out of the answer.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

NO_HPCCM = 7

#: Bytes of any file that the recipe's process writes.
_FILE_LIMIT = 64 * 1024 * 1024

#: What is told of a layer, where it has it.
_ATTRIBUTES = (
    "annotations",
    "apt",
    "arch",
    "as",
    "base_annotation",
    "branch",
    "commit",
    "from",
    "image",
    "metadata",
    "ospackages",
    "package",
    "prefix",
    "repository",
    "src",
    "url",
    "version",
    "yum",
)

#: Multi-stage definition files are of this version of Singularity and newer.
_SINGULARITY = "3.2"


class Notes:
    """What is noted while HPCCM runs a recipe.

    Attributes:
        stages: HPCCM's stages, in the order in which it made them.
        runtime: blocks whose runtime part was asked for, by identity; they are kept, so that no other takes the place.
        copies: texts of runtime parts, as they were added to another stage.
        included: recipe files that the recipe includes.
    """

    def __init__(self) -> None:
        self.stages: list[Any] = []
        self.runtime: dict[int, Any] = {}
        self.copies: set[str] = set()
        self.included: list[str] = []


def main(answer: str, recipe: str, arguments: str) -> int:
    """Write the answer; return `NO_HPCCM` where this Python has no HPCCM."""
    if importlib.util.find_spec("hpccm") is None:
        return NO_HPCCM
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_LIMIT, _FILE_LIMIT))
    try:
        document = answer_for(recipe, json.loads(arguments))
    except (Exception, SystemExit) as error:  # whatever a recipe raises, and its exit, is the answer
        document = {"fault": f"{type(error).__name__}: {error}"}
    Path(answer).write_text(json.dumps(document), "utf-8")
    return 0


def answer_for(recipe: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what HPCCM makes of a recipe."""
    hpccm = importlib.import_module("hpccm")
    config = importlib.import_module("hpccm.config")
    notes = Notes()
    _note_stages(hpccm, notes)
    _note_runtime(notes)
    _note_includes(hpccm, notes)
    dockerfile = _text(hpccm, recipe, arguments, hpccm.container_type.DOCKER)
    stages = [[_layer(layer, notes) for layer in _private(stage, "layers")] for stage in notes.stages]
    document = {
        "hpccm": importlib.import_module("hpccm.version").__version__,
        "architecture": config.get_cpu_architecture(),
        "cpu_target": config.g_cpu_target,
        "dockerfile": dockerfile,
        "included": notes.included,
        "stages": [stage for stage in stages if stage],
    }
    try:
        definition = {"definition": _text(hpccm, recipe, arguments, hpccm.container_type.SINGULARITY)}
    except (Exception, SystemExit) as error:
        definition = {"definition_fault": f"{type(error).__name__}: {error}"}
    return {**document, **definition}


def _text(hpccm: ModuleType, recipe: str, arguments: Mapping[str, Any], form: Any) -> str:
    text: str = hpccm.recipe(
        recipe,
        cpu_target=arguments["cpu_target"] or None,
        ctype=form,
        raise_exceptions=True,
        singularity_version=_SINGULARITY,
        userarg=dict(arguments["userarg"]),
    )
    return text


def _note_stages(hpccm: ModuleType, notes: Notes) -> None:
    """Let HPCCM make stages that are noted: ``hpccm.recipe`` returns text alone."""
    plain: Any = hpccm.Stage

    class Stage(plain):  # type: ignore[misc]
        def __init__(self, **parameters: Any) -> None:
            super().__init__(**parameters)
            notes.stages.append(self)

        def runtime(self, *arguments: Any, **parameters: Any) -> Any:
            return _noted_copy(notes, super().runtime(*arguments, **parameters))

    sys.modules["hpccm.recipe"].Stage = Stage  # type: ignore[attr-defined]


def _note_runtime(notes: Notes) -> None:
    """Let each block tell when its runtime part is asked for: that part goes into another stage as text."""
    for block in vars(importlib.import_module("hpccm.building_blocks")).values():
        if isinstance(block, type) and "runtime" in vars(block):
            block.runtime = _noting(block.runtime, notes)  # type: ignore[attr-defined]


def _noting(runtime: Callable[..., Any], notes: Notes) -> Callable[..., Any]:
    def noting(self: Any, *arguments: Any, **parameters: Any) -> Any:
        notes.runtime[id(self)] = self
        return _noted_copy(notes, runtime(self, *arguments, **parameters))

    return noting


def _noted_copy(notes: Notes, text: Any) -> Any:
    notes.copies.add(str(text))
    return text


def _note_includes(hpccm: ModuleType, notes: Notes) -> None:
    """Let ``hpccm.include`` tell what it reads; it looks at its caller's names, so they are handed on."""
    module = sys.modules["hpccm.recipe"]
    plain = module.include

    def include(recipe_file: str, _globals: Any = None, _locals: Any = None, **parameters: Any) -> None:
        caller = sys._getframe(1)
        if parameters.get("prepend_path", True):  # the recipe itself comes without
            notes.included.append(str(recipe_file))
        plain(recipe_file, _globals=_globals or caller.f_globals, _locals=_locals or caller.f_locals, **parameters)

    module.include = include  # type: ignore[attr-defined]
    hpccm.include = include  # type: ignore[attr-defined]


def _layer(layer: Any, notes: Notes) -> dict[str, Any]:
    package = type(layer).__module__.rpartition(".")[0]
    kinds = {"hpccm.building_blocks": "block", "hpccm.primitives": "primitive"}
    text = str(layer)
    return {
        "kind": kinds.get(package, "runtime" if text in notes.copies else "text"),
        "name": type(layer).__name__,
        "runtime": id(layer) in notes.runtime,
        "attributes": dict(_attributes(layer)),
        "text": text,
    }


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    for name in _ATTRIBUTES:
        value = _plain(_private(layer, name))
        if value is not None:
            yield name, value


def _private(layer: Any, name: str) -> Any:
    """Return a private attribute as Python names it, in the class or one above it, or the public one; None: none."""
    for class_ in type(layer).__mro__:
        mangled = f"_{class_.__name__.lstrip('_')}__{name}"
        if hasattr(layer, mangled):
            return getattr(layer, mangled)
    return getattr(layer, name, None)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; None for what it has not."""
    if isinstance(value, (bool, str, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return None


if __name__ == "__main__":
    del sys.path[0]  # this file's folder, whose modules are not for a recipe
    sys.exit(main(*sys.argv[1:]))
