"""``hpc3-metadata.json``: what is written is read, and what is not ours is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import InputError
from hpc3.facts import PackageMetadata
from hpc3.request import EnvironmentChange, GitSource
from hpc3.sources.spack_metadata import SpackMetadata, metadata_document, metadata_from_bytes
from unit.conftest import Refused
from unit.mutations import mutations, paths, without

LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=20)
VARIABLE = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
METADATA = st.builds(
    SpackMetadata,
    lock=st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True),
    packages=st.dictionaries(
        st.from_regex(r"[a-z0-9]{32}", fullmatch=True),
        st.builds(PackageMetadata, *[LINE] * 5).filter(lambda package: package != PackageMetadata()),
        max_size=4,
    ),
    repository=st.builds(GitSource, LINE, LINE),
    environments=st.dictionaries(
        st.from_regex(r"[a-z0-9]{32}", fullmatch=True),
        st.lists(
            st.builds(EnvironmentChange, st.sampled_from(["set", "prepend"]), VARIABLE, LINE, st.sampled_from(":;, ")),
            max_size=4,
        ).map(tuple),
        max_size=2,
    ),
)

FULL = SpackMetadata(
    lock="sha256:" + "0" * 64,
    packages={"a" * 32: PackageMetadata("MIT", "https://x", "An application", "https://x/a.tar.gz", "f" * 64)},
    repository=GitSource("https://x/p.git", "abc"),
    environments={"a" * 32: (EnvironmentChange("prepend", "PATH", "/opt/views/view/bin"),)},
)


@given(METADATA)
def test_what_is_written_is_read(metadata: SpackMetadata) -> None:
    assert metadata_from_bytes(metadata_document(metadata).encode()) == metadata


@given(METADATA)
def test_text_is_stable(metadata: SpackMetadata) -> None:
    text = metadata_document(metadata)
    assert metadata_document(metadata_from_bytes(text.encode())) == text


def test_any_wrong_or_missing_value_anywhere() -> None:
    document = json.loads(metadata_document(FULL))
    outcomes = set()
    wrong = [mutated for _, _, mutated in mutations(document)]
    for mutated in [*wrong, *(without(document, path) for path in paths(document) if path)]:
        try:
            metadata_from_bytes(json.dumps(mutated).encode())
            outcomes.add(True)
        except InputError as error:
            outcomes.add(False)
            line = str(error)
            assert line.startswith("hpc3-metadata.json"), ascii(line)
            assert line.isprintable(), ascii(line)
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("packages", "a" * 32, "license"), "MIT\nRUN id"),
        (("environments", "a" * 32, 0, "name"), "PATH=/x; id"),
        (("environments", "a" * 32, 0, "value"), "/x\n"),
        (("environments", "a" * 32, 0, "action"), "unset"),
        (("environments", "a" * 32, 0, "separator"), ""),
        (("repository", "ref"), "a\x00b"),
        (("lock",), "sha256:0"),
    ],
)
def test_hostile_values(path: tuple[Any, ...], value: str, refused: Refused) -> None:
    document: Any = json.loads(metadata_document(FULL))
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with refused("hpc3-metadata.json: ", ".".join(str(step) for step in path if isinstance(step, str))[:8]):
        metadata_from_bytes(json.dumps(document).encode())


def test_other_format(refused: Refused) -> None:
    with refused("hpc3-metadata.json: format", "delete the file"):
        metadata_from_bytes(b'{"format": 99}')


def test_environment_of_several_roots_is_done_from_the_last_to_the_first() -> None:
    first, second = (EnvironmentChange("set", "A", value) for value in "12")
    metadata = SpackMetadata("sha256:" + "0" * 64, environments={"a": (first,), "b": (second,)})
    assert metadata.environment(["a", "b"]) == (second, first)
    assert metadata.environment(["b"]) == (second,)
    assert metadata.environment(["gone"]) == ()
