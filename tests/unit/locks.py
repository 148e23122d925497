"""Locks for tests: small synthetic ones in every lockfile version, and the real ones."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import peers

#: Committed environments: concretized by real Spack, named ``<version>/<name>``.
COMMITTED = peers.REPOSITORY / "tests" / "data" / "spack"
#: More of them beside the checkout.
BESIDE = peers.SHARED / "data" / "spack"


#: Every real environment, and what its lock holds: roots, nodes that they reach, nodes of the runtime closure.
#: Counted by other means than the reader's.
COUNTS = {
    "v0.23.1/gromacs-openmpi-zen3": (1, 45, 26),
    "v0.23.1/hdf5-nompi-v3": (1, 19, 5),
    "v0.23.1/osu-openmpi-ucx": (1, 41, 25),
    "v0.23.1/zlib-generic": (1, 4, 3),
    "v1.1.0/gromacs-mpich-cuda-skx": (1, 49, 16),
    "v1.1.0/gromacs-openmpi-zen3": (1, 49, 27),
    "v1.1.0/hdf5-aarch64-neoverse": (1, 48, 26),
    "v1.1.0/hdf5-nompi-v3": (1, 21, 5),
    "v1.1.0/mpi-hello": (1, 7, 4),
    "v1.1.0/multi-mpi-multi-target": (3, 86, 39),
    "v1.1.0/osu-external-openmpi": (1, 7, 4),
    "v1.1.0/osu-openmpi-ucx": (1, 45, 26),
    "v1.1.0/osu-rocm-gfx90a": (1, 118, 82),
    "v1.1.0/py-torch-cuda": (1, 114, 72),
    "v1.1.0/zlib-generic": (1, 6, 3),
}


def environment_folder(name: str) -> Path:
    """Return the folder of a real environment, or skip the test."""
    for top in (COMMITTED, BESIDE):
        if (top / name / "spack.lock").is_file():
            return top / name
    pytest.skip(f"the environments in ../shared/data/spack are not there: {name}")


def name_of(name: str) -> str:
    """Return ``<version>-<name>`` of a real environment: for test ids and golden files."""
    return name.replace("/", "-")


def hash_of(name: str) -> str:
    """Return the hash under which `make_lock` lists a node: in Spack's form, derived from the node's key."""
    return base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()[:32]


@dataclass(frozen=True)
class Edge:
    """An edge to the node with key ``to``."""

    to: str
    types: tuple[str, ...] = ("link",)
    virtuals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A node; ``extra`` replaces or adds fields of its JSON object, ``key`` tells nodes of one name apart."""

    name: str
    version: str = "1.0"
    target: object = "x86_64_v3"
    os: str = "debian12"
    edges: tuple[Edge, ...] = ()
    variants: Mapping[str, object] = field(default_factory=dict)
    external: str = ""
    compiler: tuple[str, str] = ("gcc", "12.2.0")
    key: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return hash_of(self.key or self.name)


def node(name: str, version: str = "1.0", *edges: Edge | str, **fields: Any) -> Node:
    """Return a node; an edge that is only a name is a link edge."""
    listed = tuple(edge if isinstance(edge, Edge) else Edge(edge) for edge in edges)
    return Node(name, version, edges=listed, **fields)


def build(to: str, *virtuals: str) -> Edge:
    """Return a build edge."""
    return Edge(to, ("build",), virtuals)


def mpi(to: str) -> Edge:
    """Return the edge to an MPI."""
    return Edge(to, ("build", "link"), ("mpi",))


def lock_document(
    *nodes: Node, version: int = 6, roots: Sequence[str] | None = None, spack: str = "1.1.0"
) -> dict[str, Any]:
    """Return a lock as JSON types; roots are keys of nodes, by default the first one."""
    keys = {n.key or n.name: n for n in nodes}
    chosen = [nodes[0].key or nodes[0].name] if roots is None and nodes else list(roots or ())
    return {
        "_meta": {
            "file-type": "spack-lockfile",
            "lockfile-version": version,
            "specfile-version": {4: 3, 5: 4}.get(version, 5),
        },
        "spack": {"version": spack, "type": "git", "commit": "2e907202bcc8209a6a62243aab50c179b524cc3b"},
        "roots": [{"hash": hash_of(key), "spec": key} for key in chosen],
        "concrete_specs": {n.id: _node_document(n, keys, version) for n in nodes},
    }


def make_lock(*nodes: Node, version: int = 6, roots: Sequence[str] | None = None, spack: str = "1.1.0") -> bytes:
    """Return the bytes of a lock of nodes, in lockfile version 4, 5 or 6."""
    return lock_bytes(lock_document(*nodes, version=version, roots=roots, spack=spack))


def lock_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a lock's bytes, as compact as Spack writes them."""
    return json.dumps(document, separators=(",", ":")).encode()


def _node_document(n: Node, keys: Mapping[str, Node], version: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": n.name,
        "version": n.version,
        "arch": {"platform": "linux", "platform_os": n.os, "target": n.target},
        "namespace": "builtin",
        "parameters": {**n.variants, "cflags": [], "cppflags": [], "ldflags": []},
        "package_hash": "x" * 52 + "====",
        "hash": n.id,
    }
    if version < 6:
        document["compiler"] = {"name": n.compiler[0], "version": n.compiler[1]}
    if n.external:
        document["external"] = {"path": n.external, "module": None, "extra_attributes": {}}
    if n.edges:
        document["dependencies"] = list(_edge_documents(n.edges, keys, version))
    document.update(n.extra)
    return document


def _edge_documents(edges: Iterable[Edge], keys: Mapping[str, Node], version: int) -> Iterable[dict[str, Any]]:
    for edge in edges:
        name = keys[edge.to].name if edge.to in keys else edge.to
        if version == 4:
            yield {"name": name, "hash": hash_of(edge.to), "type": list(edge.types)}
        else:
            parameters = {"deptypes": list(edge.types), "virtuals": list(edge.virtuals)}
            yield {"name": name, "hash": hash_of(edge.to), "parameters": parameters}
