"""Package URLs, read back with packageurl-python."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from hpc3.facts import Component
from hpc3.sbom.purl import purl_of

# The library strips blanks and slashes from what it reads.
stripped = st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=12).map(str.strip)
names = stripped.filter(bool)


@given(id_=names, name=names, version=stripped, namespace=stripped)
def test_a_purl_of_spack_is_read_back(id_: str, name: str, version: str, namespace: str) -> None:
    purl = PackageURL.from_string(purl_of(Component(id_, name, version, namespace), "spack"))
    assert (purl.type, purl.name, purl.version or "") == ("spack", name.lower(), version)
    assert purl.namespace == (namespace or "builtin")
    assert purl.qualifiers == {"daghash": id_}


@given(name=names, version=stripped)
def test_another_manager_is_generic_and_its_letters_keep_their_case(name: str, version: str) -> None:
    purl = PackageURL.from_string(purl_of(Component("GCC/12.2.0", name, version), "easybuild"))
    assert (purl.type, purl.name, purl.version or "") == ("generic", name, version)


@pytest.mark.parametrize(
    ("component", "manager", "purl"),
    [
        (Component("abc", "zlib", "1.3.1", "builtin"), "spack", "pkg:spack/builtin/zlib@1.3.1?daghash=abc"),
        (Component("abc", "r-ab+c", "1:2/3", "my repo"), "spack", "pkg:spack/my%20repo/r-ab%2Bc@1%3A2%2F3?daghash=abc"),
        (Component("GCC/12.2.0", "GCC", "12.2.0"), "easybuild", "pkg:generic/GCC@12.2.0"),
        (Component("x", "numpy", "1.26.4", purl="pkg:pypi/numpy@1.26.4"), "easybuild", "pkg:pypi/numpy@1.26.4"),
        (Component("x", "numpy", "1.26.4", purl="numpy"), "easybuild", "pkg:generic/numpy@1.26.4"),
    ],
)
def test_purls(component: Component, manager: str, purl: str) -> None:
    assert purl_of(component, manager) == purl
