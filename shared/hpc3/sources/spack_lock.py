"""``spack.lock`` to components: the standard library is enough, no Spack is needed.

Read are lockfile versions 4, 5 and 6 (Spack 0.17 to 1.2). The format is what Spack's ``Environment._to_lockfile_dict``
and ``Spec.node_dict_with_hashes`` write; one node is read by `spack_node`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hpc3.errors import InputError
from hpc3.facts import Component, Dependency, Manager

from .documents import (
    Place,
    as_object,
    as_text,
    get_integer,
    get_list,
    get_object,
    get_text,
    parse_json_object,
)
from .spack_node import HASH, NAME, TEXT, VERSION, component_of, dependencies_of, features_of

LOCKFILE_VERSIONS = (4, 5, 6)

_COMMIT = re.compile(r"[0-9a-f]{40}")

#: Edges over which an installed package needs another one; the closure over them is what an image holds.
RUNTIME_EDGES = frozenset(("link", "run"))


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
    edges = {hash_: dependencies_of(node, at) for hash_, (node, at) in nodes.items()}
    _check_edges(edges, nodes)
    chosen = _pick_roots(roots, nodes, tuple(picks), place)
    components = _components(nodes, edges, [root.id for root in chosen])
    return Lock(
        digest="sha256:" + hashlib.sha256(data).hexdigest(),
        version=version,
        manager=_manager(raw, place),
        roots=chosen,
        components=components,
        features=features_of(nodes[hash_] for hash_ in components),
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
    version = get_text(spack, "version", at, VERSION) if "version" in spack else ""
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
            node_place = at / "concrete_specs" / as_text(hash_, at / "concrete_specs", HASH)
            nodes.setdefault(hash_, (as_object(node, node_place), node_place))
        for index, root in enumerate(get_list(environment, "roots", at, default=())):
            root_place = at / "roots" / index
            entry = as_object(root, root_place)
            found = Root(get_text(entry, "hash", root_place, HASH), get_text(entry, "spec", root_place, TEXT))
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
        component_of(hash_, *nodes[hash_], edges[hash_], runtime=hash_ in runtime, root=hash_ in is_root)
        for hash_ in closure(edges, roots, None)
    ]
    return {c.id: c for c in sorted(found, key=lambda c: (c.name, c.version, c.id))}


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
        names[root.id] = get_text(node, "name", at, NAME), get_text(node, "version", at, VERSION)
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
