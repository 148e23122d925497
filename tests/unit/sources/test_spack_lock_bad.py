"""Locks that are not what they should be: one line that names file and place, never another exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpc3.annotations import annotations_for
from hpc3.errors import InputError
from hpc3.sources import read_source
from hpc3.sources.spack_facts import facts_from_lock
from hpc3.sources.spack_lock import lock_from_bytes
from hpc3.vocabulary import vocabulary
from unit.conftest import Refused
from unit.locks import build, environment_folder, hash_of, lock_bytes, lock_document, make_lock, mpi, node
from unit.mutations import mutations, paths, without

SMALL = lock_document(
    node("app", "1.0", build("gcc", "c"), mpi("openmpi"), variants={"mpi": True, "jobs": 4, "values": ["a"]}),
    node("openmpi", "5.0.6", external="/usr", target={"name": "zen3", "features": ["sse"]}),
    node("gcc", "12.2.0", external="/usr"),
)


def read_fully(data: bytes) -> None:
    """Read a lock as far as annotations, each of which must be well-formed whatever the lock says."""
    annotations = annotations_for(facts_from_lock(lock_from_bytes(data)))
    table = vocabulary()
    assert all(table[name].fault(value) == "" for name, value in annotations.values.items())


def reads_or_is_refused(data: bytes) -> bool:
    """Whether a lock is read; where not, the error must be one plain line that names the file."""
    try:
        read_fully(data)
    except InputError as error:
        line = str(error)
        assert line.startswith("spack.lock"), ascii(line)
        assert line.isprintable(), ascii(line)
        assert len(line) < 3000
        return False
    return True


def test_small_lock_is_good() -> None:
    assert reads_or_is_refused(lock_bytes(SMALL))


@pytest.mark.parametrize("version", [4, 5, 6])
def test_any_wrong_value_anywhere(version: int) -> None:
    document = lock_document(
        node("app", "1.0", mpi("openmpi"), variants={"mpi": True, "jobs": 4, "values": ["a"]},
             extra={"patches": ["a" * 64]}),
        node("openmpi", "5.0.6", external="/usr", target={"name": "zen3", "features": ["sse"]}),
        version=version,
    )  # fmt: skip
    document["include_concrete"] = {"/host/env": {key: document[key] for key in ("roots", "concrete_specs")}}
    outcomes = {reads_or_is_refused(lock_bytes(mutated)) for _, _, mutated in mutations(document)}
    assert outcomes == {True, False}


@pytest.mark.parametrize("name", ["v1.1.0/mpi-hello", "v0.23.1/zlib-generic"])
def test_any_missing_value_in_a_real_lock(name: str) -> None:
    document = json.loads((environment_folder(name) / "spack.lock").read_bytes())
    for path in paths(document):
        if path:
            reads_or_is_refused(lock_bytes(without(document, path)))


@pytest.mark.parametrize("twentieth", range(20))
def test_cut_off(environment: Path, twentieth: int, refused: Refused) -> None:
    data = (environment / "spack.lock").read_bytes()
    with refused("spack.lock"):
        lock_from_bytes(data[: len(data) * twentieth // 20])


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"\x7fELF\x02\x01\x01\x00", "is not JSON"),
        (bytes(range(256)), "is not text: byte 128"),
        (b"\xff\xfe{\x00}\x00", "is not text: byte 0"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"[]", "an object is needed, not a list"),
        (b"null", "an object is needed, not nothing"),
        (b"7", "an object is needed, not a number"),
        (b'"x"', "an object is needed, not a string"),
        (b"{} {}", "is not JSON: line 1, column 4"),
        (b'{"a": ' * 100_000, "is nested too deeply"),
        (b"[" * 1_000_000, "is nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}", ""),
        (b"spack:\n  specs: []\n", "is not JSON: line 1, column 1"),
    ],
    ids=str,
)
def test_no_json_object(data: bytes, word: str, refused: Refused) -> None:
    with refused("spack.lock: ", word):
        lock_from_bytes(data)


@pytest.mark.parametrize("version", [0, 1, 2, 3, 7, 99, -1])
def test_unknown_lockfile_version(version: int, refused: Refused) -> None:
    data = lock_bytes({**SMALL, "_meta": {**SMALL["_meta"], "lockfile-version": version}})
    with refused("spack.lock: _meta.lockfile-version", f"is {version}", "4, 5, 6"):
        lock_from_bytes(data)


def test_other_file_type(refused: Refused) -> None:
    with refused("spack.lock: _meta.file-type", "no lock"):
        lock_from_bytes(lock_bytes({**SMALL, "_meta": {**SMALL["_meta"], "file-type": "spack-database"}}))


def test_no_roots(refused: Refused) -> None:
    with refused("spack.lock: roots", "no roots", "spack concretize"):
        lock_from_bytes(make_lock(node("app"), roots=[]))


def test_root_that_is_not_there(refused: Refused) -> None:
    with refused("spack.lock: roots", hash_of("gone")):
        lock_from_bytes(make_lock(node("app"), roots=["gone"]))


def test_dangling_hash_names_the_node(refused: Refused) -> None:
    with refused(f"spack.lock: concrete_specs.{hash_of('app')}.dependencies", hash_of("gone")):
        lock_from_bytes(make_lock(node("app", "1", "gone")))


def test_dangling_hash_in_a_node_that_no_root_reaches(refused: Refused) -> None:
    with refused(hash_of("gone")):
        lock_from_bytes(make_lock(node("app"), node("other", "1", "gone")))


def test_node_that_depends_on_itself(refused: Refused) -> None:
    with refused(f"spack.lock: concrete_specs.{hash_of('app')}.dependencies", "itself"):
        lock_from_bytes(make_lock(node("app", "1", "app")))


def test_cycle(refused: Refused) -> None:
    with refused("spack.lock: concrete_specs.", "itself"):
        lock_from_bytes(make_lock(node("app", "1", "a"), node("a", "1", "b"), node("b", "1", "c"), node("c", "1", "a")))


def test_diamond_is_no_cycle() -> None:
    lock_from_bytes(make_lock(node("app", "1", "a", "b"), node("a", "1", "c"), node("b", "1", "c"), node("c")))


def test_node_under_another_hash(refused: Refused) -> None:
    with refused(f"concrete_specs.{hash_of('app')}.hash", "not the hash"):
        lock_from_bytes(make_lock(node("app", extra={"hash": hash_of("other")})))


HOSTILE = ["", "a b", "a\nb", "a'b", 'a"b', "a$b", "a`b", "a\\b", "a;b", "../b", "-rf", "a\x00b", "a\x1b[0m", "é",
           "a\u202eb", "x" * (1 << 20), "a\u2028b", "a,b"]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:8]))
@pytest.mark.parametrize("field", ["name", "version", "os", "target"])
def test_hostile_words(field: str, text: str, refused: Refused) -> None:
    fields: dict[str, Any] = {"name": "app", "version": "1", field: text}
    key = {"os": "platform_os"}.get(field, field)
    with refused(f"spack.lock: concrete_specs.{hash_of('app')}.", f"{key}: is ill-formed: "):
        lock_from_bytes(make_lock(node(**fields, key="app")))


@pytest.mark.parametrize("text", ["a\nb", "\x00", "\x1b[31m", "\x85", "\u2028", "\ud800", "x" * (1 << 20)], ids=ascii)
@pytest.mark.parametrize("place", ["variant", "list", "path", "module", "root"])
def test_hostile_texts(place: str, text: str, refused: Refused) -> None:
    extra: dict[str, Any] = {}
    variants: dict[str, Any] = {}
    if place == "variant":
        variants = {"v": text}
    elif place == "list":
        variants = {"v": ["ok", text]}
    elif place != "root":
        extra = {"external": {"path": "/usr", "module": None, place: text}}
    document = lock_document(node("app", variants=variants, extra=extra))
    if place == "root":
        document["roots"][0]["spec"] = text
    with refused("spack.lock: "):
        lock_from_bytes(lock_bytes(document))


@pytest.mark.parametrize("text", ['"', "$HOME", "`id`", "a\\", "'; rm -rf /; '", "é", "漢字", "🐍"])
def test_odd_but_honest_texts_are_kept(text: str) -> None:
    component = lock_from_bytes(make_lock(node("app", variants={"v": text}))).components[hash_of("app")]
    assert component.variants == {"v": text}


def test_hostile_hash_is_not_printed_raw(refused: Refused) -> None:
    document = lock_document(node("app"))
    document["concrete_specs"]["\x1b[2J\n"] = {}
    with refused("spack.lock: concrete_specs"):
        lock_from_bytes(lock_bytes(document))


def test_too_large_is_not_read(tmp_path: Path, refused: Refused) -> None:
    lock = tmp_path / "spack.lock"
    with lock.open("wb") as stream:
        stream.truncate(200 * 1024 * 1024)
    with refused(str(lock), "is larger than 128 MiB"):
        read_source(lock)


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_no_ordinary_file(tmp_path: Path, kind: str, refused: Refused) -> None:
    lock = tmp_path / "spack.lock"
    if kind == "folder":
        lock.mkdir()
    if kind == "fifo":
        import os

        os.mkfifo(lock)
    with refused(str(lock)):
        read_source(lock)


def test_loop_of_links(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "spack.lock").symlink_to("spack.lock")
    with refused(str(tmp_path)):
        read_source(tmp_path / "spack.lock")
