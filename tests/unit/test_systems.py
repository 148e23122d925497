"""Which operating system an image's name tells."""

from __future__ import annotations

import pytest

from hpc3.systems import system_of_image
from hpc3.tables import rows


def system(reference: str) -> str:
    row = system_of_image(reference)
    return row["os"] if row else ""


SPELLINGS = [(name, row["os"]) for row in rows("operating_systems") for name in (row["image"], *row["images"])]


@pytest.mark.parametrize(("name", "os"), SPELLINGS)
def test_every_spelling_of_the_table(name: str, os: str) -> None:
    assert system(name) == os
    assert system(f"{name}@sha256:{'0' * 64}") == os


@pytest.mark.parametrize(
    ("reference", "os"),
    [
        ("debian:12", "debian12"),
        ("docker.io/debian:12", "debian12"),
        ("docker.io/library/debian:12", "debian12"),
        ("index.docker.io/library/debian:12", "debian12"),
        ("nvidia/cuda:12.9.1-devel-ubuntu22.04", "ubuntu22.04"),
        ("nvcr.io/nvidia/cuda:12.9.1-devel-ubuntu24.04@sha256:" + "0" * 64, "ubuntu24.04"),
        ("nvcr.io/nvidia/cuda:12.4.1-runtime-rockylinux9", "rocky9"),
        ("registry.site:5000/base:debian12", "debian12"),
        ("registry.site:5000/debian12", ""),
        ("registry.site/base:ubuntu22.04.1", ""),
        ("registry.site/base:xubuntu22.04", ""),
        ("registry.site/base:debian123", ""),
        ("debian", ""),
        ("debian:12.5", ""),
        ("", ""),
    ],
)
def test_system_that_a_name_tells(reference: str, os: str) -> None:
    assert system(reference) == os
