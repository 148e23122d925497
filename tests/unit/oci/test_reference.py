from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.errors import UsageError
from hpc3.oci.reference import ImageReference, parse_reference

HEX = "0123456789abcdef"
DIGEST = "sha256:" + "ab" * 32

components = st.from_regex(r"\A[a-z0-9]{1,8}(?:(?:\.|_|__|-)[a-z0-9]{1,8}){0,2}\Z")
repositories = st.lists(components, min_size=1, max_size=4).map("/".join)
hosts = st.sampled_from(["localhost:5000", "reg.example.org", "127.0.0.1:80", "[::1]:5000", "LOCAL", "docker.io"])
tags = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}\Z")
digests = st.text(HEX, min_size=64, max_size=64).map("sha256:".__add__)
named = st.one_of(st.tuples(tags, st.just("")), st.tuples(st.just(""), digests), st.tuples(tags, digests))
paths = st.from_regex(r"\A[A-Za-z0-9_./ -]{1,30}\Z")


@given(hosts, repositories, named)
def test_a_registry_reference_survives_printing(host: str, repository: str, by: tuple[str, str]) -> None:
    if host == "docker.io" and "/" not in repository:
        repository = f"library/{repository}"
    reference = ImageReference("docker", host, repository, *by)
    assert parse_reference(str(reference)) == reference


@given(st.sampled_from(["oci", "oci-archive"]), paths, st.one_of(tags.map(lambda t: (t, "")), st.just(("", DIGEST))))
def test_a_path_reference_survives_printing(transport: str, path: str, by: tuple[str, str]) -> None:
    reference = ImageReference(transport, path, "", *by)
    assert parse_reference(str(reference)) == reference


@given(st.sampled_from(["", "[overlay@/a/b+/c]"]), repositories, tags)
def test_a_storage_reference_survives_printing(spec: str, repository: str, tag: str) -> None:
    reference = ImageReference("containers-storage", spec, f"localhost/{repository}", tag)
    assert parse_reference(str(reference)) == reference


@given(st.text(max_size=60))
def test_any_text_parses_to_something_stable_or_is_refused(text: str) -> None:
    reference = parsed_or_none(text)
    assert reference is None or parse_reference(str(reference)) == reference


def parsed_or_none(text: str) -> ImageReference | None:
    try:
        return parse_reference(text)
    except UsageError:
        return None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("ubuntu", "docker://docker.io/library/ubuntu:latest"),
        ("ubuntu:22.04", "docker://docker.io/library/ubuntu:22.04"),
        ("spack/ubuntu", "docker://docker.io/spack/ubuntu:latest"),
        ("index.docker.io/a", "docker://docker.io/library/a:latest"),
        ("localhost/a/b", "docker://localhost/a/b:latest"),
        ("localhost:5000/a", "docker://localhost:5000/a:latest"),
        ("docker://ghcr.io/a/b@" + DIGEST, "docker://ghcr.io/a/b@" + DIGEST),
        ("ghcr.io/a/b:1@" + DIGEST, "docker://ghcr.io/a/b:1@" + DIGEST),
        ("oci:dir", "oci:dir"),
        ("oci:/abs/dir:v1", "oci:/abs/dir:v1"),
        ("oci-archive:a.tar:v1", "oci-archive:a.tar:v1"),
        ("oci-archive:a.tar:localhost/app:1", "oci-archive:a.tar:localhost/app:1"),
        ("containers-storage:app", "containers-storage:docker.io/library/app:latest"),
        ("containers-storage:[vfs@/r+/s]localhost/app:1", "containers-storage:[vfs@/r+/s]localhost/app:1"),
    ],
)
def test_names_are_completed_as_docker_does(text: str, canonical: str) -> None:
    assert str(parse_reference(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "docker://", "Ubuntu", "localhost:5000/A", "a//b", "a:b:c", "a@sha256:12", "a:" + "t" * 129, "x" * 256,
        "oci:", "oci:a:b//c", "oci:a:-", "oci:a:../b", "oci:a@sha256:0", "dir:/tmp/x", "docker-archive:x.tar", "a b",
        "containers-storage:", "localhost:5000/", "-/a", "https://reg.example.org/a", "oci:a\0b", "a\nb",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


def test_with_tag_and_digest_stay_in_place() -> None:
    reference = parse_reference("localhost:5000/a:1@" + DIGEST)
    assert str(reference.with_tag("2")) == "docker://localhost:5000/a:2"
    assert str(reference.with_digest(DIGEST)) == "docker://localhost:5000/a@" + DIGEST
    with pytest.raises(UsageError):
        reference.with_tag("no/tag")
