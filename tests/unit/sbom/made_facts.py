"""Facts to make SBOMs of: those that hypothesis makes, and those of every real environment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

from hpc3.errors import InputError
from hpc3.facts import Component, Dependency, External, Facts, Known, Manager, PackageMetadata, Software, Unknown
from hpc3.sources import read_source

_UNKNOWN = Unknown("made for a test")

#: Anything that Unicode has: quotes, control characters, right-to-left marks.
texts = st.text(max_size=20)
words = st.text(min_size=1, max_size=12)

licenses = st.one_of(
    st.sampled_from(
        [
            "",
            "MIT",
            "GPL-2.0-only WITH Classpath-exception-2.0",
            "(MIT OR Apache-2.0) AND LicenseRef-x.1",
            "Apache-2.0+",
            "mit",
            "GPLv2",
            "custom: see the file",
            "DocumentRef-a:LicenseRef-b",
        ]
    ),
    texts,
)
#: The validator of SPDX wants a host with a domain; others are left to `texts`.
urls = st.one_of(
    st.sampled_from(["", "https://example.org/a-1.0.tar.gz?x=%20#y", "http://example.org", "ftp://ftp.example.org/a"]),
    texts,
)
metadata = st.builds(
    PackageMetadata,
    license=licenses,
    homepage=urls,
    description=texts,
    source_url=urls,
    source_sha256=st.sampled_from(["", "0" * 64, "f" * 64, "F" * 64, "00"]),
)
edge_types = st.sets(st.sampled_from(["build", "link", "run", "test"]), min_size=1).map(lambda s: tuple(sorted(s)))


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Return facts with up to eight components, joined at random without cycles, of any manager."""
    ids = draw(st.lists(words, unique=True, max_size=8))
    components = {}
    for place, id_ in enumerate(ids):
        below = draw(st.sets(st.sampled_from(ids[:place]))) if place else set()
        components[id_] = Component(
            id=id_,
            name=draw(words),
            version=draw(texts),
            namespace=draw(texts),
            target=draw(st.sampled_from(["zen3", "x86_64"])),
            os=draw(st.sampled_from(["", "debian12"])),
            runtime=draw(st.booleans()),
            root=draw(st.booleans()),
            external=draw(st.none() | st.builds(External, path=texts, modules=st.lists(texts, max_size=2).map(tuple))),
            compiler=draw(texts),
            variants=draw(
                st.dictionaries(texts, st.booleans() | texts | st.lists(texts, max_size=2).map(tuple), max_size=3)
            ),
            patches=tuple(draw(st.lists(st.sampled_from(["0" * 64, "fix.patch"]), max_size=2))),
            dependencies=tuple(Dependency(other, draw(edge_types)) for other in sorted(below)),
            metadata=draw(metadata),
            purl=draw(st.sampled_from(["", "pkg:pypi/numpy@1.26.4", "no purl"])),
        )
    return facts_of_components(
        components.values(), manager=draw(st.sampled_from(["spack", "easybuild"])), license_=draw(licenses)
    )


def facts_of_components(components: Iterable[Component], manager: str = "spack", license_: str = "") -> Facts:
    """Return facts that know nothing but their components."""
    return Facts(
        source="spack.lock",
        digest="sha256:" + "0" * 64,
        manager=Manager(manager, "1.1.0"),
        roots=(Software("app", "1.0"),),
        software=Known(Software("app", "1.0"), ()),
        target=_UNKNOWN,
        mpi=_UNKNOWN,
        fabric=_UNKNOWN,
        gpu=_UNKNOWN,
        compiler=_UNKNOWN,
        libc=_UNKNOWN,
        os=_UNKNOWN,
        components={component.id: component for component in components},
        license=Known(license_, ()) if license_ else _UNKNOWN,
    )


def facts_of_environment(folder: Path) -> list[Facts]:
    """Return the facts of an environment; where its roots do not fit together, those of each root."""
    try:
        return [read_source(folder).facts]
    except InputError:
        roots = json.loads((folder / "spack.lock").read_text("utf-8"))["roots"]
        return [read_source(folder, [f"/{root['hash']}"]).facts for root in roots]


def lock_edges(folder: Path, ids: Iterable[str]) -> dict[tuple[str, str], set[str]]:
    """Return the edges between nodes of a lock with their types, read with nothing of ours."""
    nodes = json.loads((folder / "spack.lock").read_text("utf-8"))["concrete_specs"]
    return {
        (id_, edge["hash"]): set(edge.get("parameters", {}).get("deptypes") or edge.get("type", ()))
        for id_ in ids
        for edge in nodes[id_].get("dependencies", ())
    }
