"""Names of the operating system's packages, asked of a real apt."""

from __future__ import annotations

import subprocess

import pytest

import peers
from hpc3.tables import rows


def test_apt_knows_the_names_for_debian() -> None:
    peers.need_program("apt-cache")
    names = {
        name
        for table, columns in (("external_packages", ("build", "final")), ("build_prerequisites", ("packages",)))
        for row in rows(table)
        if row["family"] == "debian"
        for column in columns
        for name in row[column]
    }
    if not _known({"libc6-dev"}):
        pytest.skip("apt has no lists of packages here")
    assert names - _known(names) == set()


def _known(names: set[str]) -> set[str]:
    """Return the names that apt can install, also those that only another package provides."""
    command = ["apt-cache", "showpkg", *sorted(names)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = set()
    for block in result.stdout.split("Package: ")[1:]:
        name, _, rest = block.partition("\n")
        versions = rest.partition("Versions: \n")[2].partition("\n\n")[0].strip()
        providers = rest.partition("Reverse Provides: \n")[2].strip()
        if versions or providers:
            found.add(name.strip())
    return found
