"""``spack.lock`` to components: the standard library is enough, no Spack is needed.

Read are lockfile versions 4, 5 and 6 (Spack 0.17 to 1.2). The format is what Spack's ``Environment._to_lockfile_dict``
and ``Spec.node_dict_with_hashes`` write; the differences that matter are in ``_edge`` and ``_compiler_of_node``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hpc3.errors import InputError
from hpc3.facts import Component, Dependency, External, Manager

from .documents import (
    Place,
    as_object,
    as_text,
    get_integer,
    get_list,
    get_object,
    get_text,
    kind_of,
    parse_json_object,
)

LOCKFILE_VERSIONS = (4, 5, 6)

#: Edges over which an installed package needs another one; the closure over them is what an image holds.
RUNTIME_EDGES = frozenset(("link", "run"))

# Spack's own grammars (spack.spec_parser), with bounds: what does not match was not written by Spack.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_HASH = re.compile(r"[a-z0-9]{7,64}")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+~/-]{0,254}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{0,4096}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")

_FLAGS = frozenset(("cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs"))


@dataclass(frozen=True)
class Root:
    """One root of the lock: the hash it was concretized to, and what the user wrote."""

    id: str
    spec: str


@dataclass(frozen=True)
class Lock:
    """A lock as it was read.

    Attributes:
        digest: ``sha256:…`` of the file's bytes.
        version: lockfile version.
        manager: Spack's version and, where it ran from git, its commit.
        roots: in the file's order, each hash once; those of included environments follow.
        components: every node that the roots reach, by hash, sorted by (name, version, hash).
        features: CPU features by target, as the lock lists them; generic targets have none in it.
        specs: what the user wrote for every root, picked or not.
    """

    digest: str
    version: int
    manager: Manager
    roots: tuple[Root, ...]
    components: Mapping[str, Component]
    features: Mapping[str, tuple[str, ...]]
    specs: tuple[str, ...]


def lock_from_bytes(data: bytes, document: str = "spack.lock", picks: Iterable[str] = ()) -> Lock:
    """Read a lock.

    Args:
        data: the file's bytes.
        document: the file's name, for errors.
        picks: roots to keep, each ``NAME``, ``NAME@VERSION`` or ``/HASH`` (a beginning is enough); none: all.

    Raises:
        InputError: the lock is not what Spack writes, is of an unknown version, has a dangling hash, a cycle or no
            roots, or a pick names no root.
    """
    place = Place(document)
    raw = parse_json_object(data, place)
    version = _lockfile_version(raw, place)
    nodes, roots = _merge_included(raw, place)
    edges = {hash_: _dependencies(node, at) for hash_, (node, at) in nodes.items()}
    _check_edges(edges, nodes)
    chosen = _pick_roots(roots, nodes, tuple(picks), place)
    components = _components(nodes, edges, [root.id for root in chosen])
    return Lock(
        digest="sha256:" + hashlib.sha256(data).hexdigest(),
        version=version,
        manager=_manager(raw, place),
        roots=chosen,
        components=components,
        features=_features(nodes, components),
        specs=tuple(root.spec for root in roots),
    )


def _lockfile_version(raw: Mapping[str, Any], place: Place) -> int:
    meta = get_object(raw, "_meta", place)
    if meta.get("file-type") != "spack-lockfile":
        raise (place / "_meta" / "file-type").error("is not 'spack-lockfile': this is no lock of Spack's")
    version = get_integer(meta, "lockfile-version", place / "_meta")
    if version not in LOCKFILE_VERSIONS:
        known = ", ".join(map(str, LOCKFILE_VERSIONS))
        raise (place / "_meta" / "lockfile-version").error(
            f"is {version}; known are {known}", "concretize again with Spack 0.21 or newer"
        )
    return version


def _manager(raw: Mapping[str, Any], place: Place) -> Manager:
    spack = as_object(raw.get("spack", {}), place / "spack")
    at = place / "spack"
    version = get_text(spack, "version", at, _VERSION) if "version" in spack else ""
    commit = get_text(spack, "commit", at, _COMMIT) if "commit" in spack else ""
    return Manager("spack", version, commit)


_Nodes = dict[str, tuple[Mapping[str, Any], Place]]


def _merge_included(raw: Mapping[str, Any], place: Place) -> tuple[_Nodes, list[Root]]:
    """Return all nodes and roots, those of ``include_concrete`` (lockfile 5 and up) and what it includes too.

    The keys of ``include_concrete`` are paths of the build host: they are never shown.
    """
    nodes: _Nodes = {}
    roots: dict[str, Root] = {}
    pending = [(raw, place)]
    while pending:
        environment, at = pending.pop(0)
        for hash_, node in as_object(environment.get("concrete_specs", {}), at / "concrete_specs").items():
            node_place = at / "concrete_specs" / as_text(hash_, at / "concrete_specs", _HASH)
            nodes.setdefault(hash_, (as_object(node, node_place), node_place))
        for index, root in enumerate(get_list(environment, "roots", at, default=())):
            root_place = at / "roots" / index
            entry = as_object(root, root_place)
            found = Root(get_text(entry, "hash", root_place, _HASH), get_text(entry, "spec", root_place, _TEXT))
            roots.setdefault(found.id, found)
        included = as_object(environment.get("include_concrete", {}), at / "include_concrete")
        for index, (_, inner) in enumerate(sorted(included.items())):
            inner_place = at / "include_concrete" / index
            pending.append((as_object(inner, inner_place), inner_place))
    if not roots:
        raise (place / "roots").error("the environment has no roots", "add specs and run 'spack concretize'")
    return nodes, list(roots.values())


_Edges = Mapping[str, tuple[Dependency, ...]]


def _components(nodes: _Nodes, edges: _Edges, roots: list[str]) -> Mapping[str, Component]:
    """Return the components that the roots reach, each made once, when it is known what it is to them."""
    runtime = closure(edges, roots, RUNTIME_EDGES)
    is_root = frozenset(roots)
    found = [
        _component(hash_, *nodes[hash_], edges[hash_], runtime=hash_ in runtime, root=hash_ in is_root)
        for hash_ in closure(edges, roots, None)
    ]
    return {c.id: c for c in sorted(found, key=lambda c: (c.name, c.version, c.id))}


def _component(
    hash_: str, node: Mapping[str, Any], place: Place, edges: tuple[Dependency, ...], *, runtime: bool, root: bool
) -> Component:
    if "hash" in node and node["hash"] != hash_:
        raise (place / "hash").error("is not the hash under which the node is listed")
    arch = get_object(node, "arch", place)
    variants = as_object(node.get("parameters", {}), place / "parameters")
    namespace = node.get("namespace")
    return Component(
        id=hash_,
        name=get_text(node, "name", place, _NAME),
        version=get_text(node, "version", place, _VERSION),
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


def _target(arch: Mapping[str, Any], place: Place) -> str:
    """Generic targets are strings; specific ones are objects with a name, features and parents."""
    target = arch.get("target")
    if isinstance(target, dict):
        return get_text(target, "name", place / "target", _WORD)
    return as_text(target, place / "target", _WORD)


def _features(nodes: _Nodes, reached: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for hash_ in reached:
        node, place = nodes[hash_]
        target = node["arch"]["target"]
        if isinstance(target, dict) and target["name"] not in found:
            at = place / "arch" / "target" / "features"
            listed = get_list(target, "features", place / "arch" / "target", default=())
            found[target["name"]] = tuple(sorted(as_text(name, at / index, _WORD) for index, name in enumerate(listed)))
    return found


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
        path=as_text(path, at / "path", _TEXT) if path is not None else "",
        modules=tuple(as_text(module, at / "module" / index, _TEXT) for index, module in enumerate(listed)),
    )


def _compiler_of_node(node: Mapping[str, Any], place: Place) -> str:
    """Up to lockfile 5 the compiler is an attribute of the node; from 6 on it is a dependency with virtual ``c``."""
    at = place / "compiler"
    compiler = node.get("compiler")
    if compiler is None:
        return ""
    fields = as_object(compiler, at)
    return f"{get_text(fields, 'name', at, _NAME)}@{get_text(fields, 'version', at, _VERSION)}"


def _variants(parameters: Mapping[str, Any], place: Place) -> Mapping[str, object]:
    return {
        as_text(name, place, _NAME): _variant(name, value, place)
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
        return tuple(as_text(item, at / index, _TEXT) for index, item in enumerate(value))
    return as_text(value, at, _TEXT)


def _dependencies(node: Mapping[str, Any], place: Place) -> tuple[Dependency, ...]:
    at = place / "dependencies"
    edges = [_edge(edge, at / index) for index, edge in enumerate(get_list(node, "dependencies", place, default=()))]
    return tuple(sorted(edges, key=lambda edge: (edge.id, edge.types)))


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
    return tuple(sorted(as_text(value, Place(""), _NAME) for value in values))


def _check_edges(edges: _Edges, nodes: _Nodes) -> None:
    """Raise where an edge leads nowhere or in a circle."""
    for hash_, dependencies in edges.items():
        for edge in dependencies:
            if edge.id not in edges:
                raise (nodes[hash_][1] / "dependencies").error(f"names {edge.id}, which the lock does not hold")
    done: set[str] = set()
    for start in edges:
        path: dict[str, None] = {}
        stack = [(start, False)]
        while stack:
            hash_, left = stack.pop()
            if left:
                path.pop(hash_)
                done.add(hash_)
            elif hash_ in path:
                raise (nodes[hash_][1] / "dependencies").error("the node depends on itself, through others or directly")
            elif hash_ not in done:
                path[hash_] = None
                stack.append((hash_, True))
                stack.extend((edge.id, False) for edge in edges[hash_])


def _pick_roots(roots: list[Root], nodes: _Nodes, picks: tuple[str, ...], place: Place) -> tuple[Root, ...]:
    names: dict[str, tuple[str, str]] = {}
    for root in roots:
        if root.id not in nodes:
            raise (place / "roots").error(f"names {root.id}, which the lock does not hold")
        node, at = nodes[root.id]
        names[root.id] = get_text(node, "name", at, _NAME), get_text(node, "version", at, _VERSION)
    chosen: set[str] = set()
    for pick in picks:
        found = {root.id for root in roots if _is_picked(root.id, *names[root.id], pick)}
        if not found:
            there = ", ".join(f"{names[root.id][0]}/{root.id[:7]}" for root in roots)
            raise InputError(f"no root is {pick!r}; the roots are {there}", where=str(place / "roots"))
        chosen |= found
    return tuple(root for root in roots if not picks or root.id in chosen)


def _is_picked(hash_: str, name: str, version: str, pick: str) -> bool:
    if pick.startswith("/"):
        return len(pick) > 1 and hash_.startswith(pick[1:])
    return pick in (name, f"{name}@{version}")


def closure(edges: _Edges, start: Iterable[str], types: frozenset[str] | None) -> set[str]:
    """Return the ids that ``start`` reaches over edges of any of ``types`` (None: over every edge)."""
    reached: set[str] = set()
    pending = list(start)
    while pending:
        id_ = pending.pop()
        if id_ not in reached:
            reached.add(id_)
            pending.extend(edge.id for edge in edges[id_] if types is None or not types.isdisjoint(edge.types))
    return reached
