"""Licences as packages write them, to SPDX expressions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from license_expression import get_spdx_licensing

from hpc3_spack.licenses import joined_expressions, spdx_expression

#: As found in Spack's packages (v2025.11.0), but for the last ones.
WRITTEN = {
    "MIT": "MIT",
    "APACHE-2.0": "Apache-2.0",
    "GPL-2.0+": "GPL-2.0+",
    "BSD-3-Clause-Open-MPI": "BSD-3-Clause-Open-MPI",
    "Apache-2.0 WITH LLVM-exception": "Apache-2.0 WITH LLVM-exception",
    "Apache-2.0 OR custom": "Apache-2.0 OR LicenseRef-Spack-custom",
    "custom": "LicenseRef-Spack-custom",
    "UNKNOWN": "",
    "": "",
    "GPLv2": "LicenseRef-Spack-GPLv2",
    "NVIDIA Software License Agreement": "LicenseRef-Spack-NVIDIA-Software-License-Agreement",
    "(MIT or BSD) AND X11": "(MIT OR LicenseRef-Spack-BSD) AND X11",
    "~gpl": "LicenseRef-Spack-gpl",
    "MIT AND": "LicenseRef-Spack-MIT-AND",
    "MIT WITH no-such": "LicenseRef-Spack-MIT-WITH-no-such",
    "a)b(": "LicenseRef-Spack-a-b",
    "()": "",
}


@pytest.mark.parametrize(("written", "expected"), WRITTEN.items())
def test_as_packages_write_them(written: str, expected: str) -> None:
    assert spdx_expression(written) == expected


def test_several_apply_together() -> None:
    assert joined_expressions(["MIT", "UNKNOWN", "MIT"]) == "MIT"
    assert joined_expressions(["MIT", "Apache-2.0 OR MIT"]) == "(Apache-2.0 OR MIT) AND MIT"
    assert joined_expressions([]) == ""


#: What expressions are made of, and what they are not made of.
WORDS = ["MIT", "AND", "or", "WITH", "(", ")", "LLVM-exception", "custom", "x y"]


@settings(deadline=None)  # the first call reads the list of licences
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS)).map(" ".join)))
def test_whatever_is_written_spdx_tools_can_read_it(written: str) -> None:
    expression = spdx_expression(written)
    if expression:
        licensing = get_spdx_licensing()
        info = licensing.validate(expression, strict=True)
        assert [symbol for symbol in info.invalid_symbols if not symbol.startswith("LicenseRef-Spack-")] == []
        licensing.parse(expression)
