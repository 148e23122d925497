"""One node of a lock to a component; the differences between lockfile versions are here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from hpc3.errors import InputError
from hpc3.facts import Component, Dependency, External

from .documents import Place, as_object, as_text, get_list, get_object, get_text, kind_of

# Spack's own grammars (spack.spec_parser), with bounds: what does not match was not written by Spack.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
HASH = re.compile(r"[a-z0-9]{7,64}")
VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+~/-]{0,254}")
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{0,4096}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

_FLAGS = frozenset(("cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs"))


def component_of(
    hash_: str, node: Mapping[str, Any], place: Place, edges: tuple[Dependency, ...], *, runtime: bool, root: bool
) -> Component:
    """Return a node as a component.

    Args:
        hash_: under which the node is listed.
        node: as the lock has it.
        place: where, for errors.
        edges: what `dependencies_of` returns for it.
        runtime: whether a root needs it at run time.
        root: whether it is a root.

    Raises:
        InputError: a field is missing or is not what Spack writes.
    """
    if "hash" in node and node["hash"] != hash_:
        raise (place / "hash").error("is not the hash under which the node is listed")
    arch = get_object(node, "arch", place)
    variants = as_object(node.get("parameters", {}), place / "parameters")
    namespace = node.get("namespace")
    return Component(
        id=hash_,
        name=get_text(node, "name", place, NAME),
        version=get_text(node, "version", place, VERSION),
        namespace=as_text(namespace, place / "namespace", _NAMESPACE) if namespace is not None else "",
        target=_target(arch, place / "arch"),
        os=get_text(arch, "platform_os", place / "arch", _WORD),
        external=_external(node, place),
        compiler=_compiler_of_node(node, place),
        variants=_variants(variants, place / "parameters"),
        patches=tuple(
            as_text(patch, place / "patches" / index, _SHA256)
            for index, patch in enumerate(get_list(node, "patches", place, default=()))
        ),
        dependencies=edges,
        runtime=runtime,
        root=root,
    )


def dependencies_of(node: Mapping[str, Any], place: Place) -> tuple[Dependency, ...]:
    """Return what a node depends on, sorted.

    Raises:
        InputError: an edge is not what Spack writes; whether its hash is that of a node is not looked at.
    """
    at = place / "dependencies"
    edges = [_edge(edge, at / index) for index, edge in enumerate(get_list(node, "dependencies", place, default=()))]
    return tuple(sorted(edges, key=lambda edge: (edge.id, edge.types)))


def features_of(nodes: Iterable[tuple[Mapping[str, Any], Place]]) -> Mapping[str, tuple[str, ...]]:
    """Return the CPU features that a lock lists, by target; generic targets have none in it.

    Args:
        nodes: nodes that are components, each with its place.

    Raises:
        InputError: they are no list of words.
    """
    found: dict[str, tuple[str, ...]] = {}
    for node, place in nodes:
        target = node["arch"]["target"]
        if isinstance(target, dict) and target["name"] not in found:
            at = place / "arch" / "target"
            listed = get_list(target, "features", at, default=())
            words = (as_text(name, at / "features" / index, _WORD) for index, name in enumerate(listed))
            found[target["name"]] = tuple(sorted(words))
    return found


def _target(arch: Mapping[str, Any], place: Place) -> str:
    """Generic targets are strings; specific ones are objects with a name, features and parents."""
    target = arch.get("target")
    if isinstance(target, dict):
        return get_text(target, "name", place / "target", _WORD)
    return as_text(target, place / "target", _WORD)


def _external(node: Mapping[str, Any], place: Place) -> External | None:
    if node.get("external") is None:
        return None
    at = place / "external"
    external = as_object(node["external"], at)
    modules = external.get("module") or ()
    listed = [modules] if isinstance(modules, str) else modules
    if not isinstance(listed, (list, tuple)):
        raise (at / "module").error(f"a list is needed, not {kind_of(modules)}")
    path = external.get("path")
    return External(
        path=as_text(path, at / "path", TEXT) if path is not None else "",
        modules=tuple(as_text(module, at / "module" / index, TEXT) for index, module in enumerate(listed)),
    )


def _compiler_of_node(node: Mapping[str, Any], place: Place) -> str:
    """Up to lockfile 5 the compiler is an attribute of the node; from 6 on it is a dependency with virtual ``c``."""
    at = place / "compiler"
    compiler = node.get("compiler")
    if compiler is None:
        return ""
    fields = as_object(compiler, at)
    return f"{get_text(fields, 'name', at, NAME)}@{get_text(fields, 'version', at, VERSION)}"


def _variants(parameters: Mapping[str, Any], place: Place) -> Mapping[str, object]:
    return {
        as_text(name, place, NAME): _variant(name, value, place)
        for name, value in parameters.items()
        if _is_variant(name, value)
    }


def _is_variant(name: str, value: object) -> bool:
    # Flags stand among the variants, mostly empty; patches stand here and as a field of the node.
    return name != "patches" and not (name in _FLAGS and value in ([], None))


def _variant(name: str, value: object, place: Place) -> object:
    if isinstance(value, (bool, int)) or value is None:
        return value
    at = place / name
    if isinstance(value, list):
        return tuple(as_text(item, at / index, TEXT) for index, item in enumerate(value))
    return as_text(value, at, TEXT)


def _edge(value: object, place: Place) -> Dependency:
    """Lockfile 4 has ``type`` beside the hash; from 5 on ``parameters`` holds ``deptypes`` and ``virtuals``."""
    edge = as_object(value, place)
    if "parameters" in edge:
        fields, at = get_object(edge, "parameters", place), place / "parameters"
        types = get_list(fields, "deptypes", at)
    else:
        fields, at = edge, place
        types = get_list(fields, "type", at)
    virtuals = get_list(fields, "virtuals", at, default=())
    # No grammar for the hash: it must be that of a node, whose grammar was checked.
    return Dependency(get_text(edge, "hash", place, None), _words(types, at), _words(virtuals, at))


def _words(values: Iterable[object], place: Place) -> tuple[str, ...]:
    try:
        return _checked_words(tuple(values))
    except (InputError, TypeError):
        raise place.error(f"is ill-formed: {values!r}"[:200]) from None


@lru_cache(maxsize=4096)
def _checked_words(values: tuple[object, ...]) -> tuple[str, ...]:
    # Few combinations occur, in many thousand edges: they are checked, and kept in memory, once.
    return tuple(sorted(as_text(value, Place(""), NAME) for value in values))
