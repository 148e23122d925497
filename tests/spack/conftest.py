"""Real Spacks, one after the other, each with a home of its own; and environments that were concretized before."""

from __future__ import annotations

from pathlib import Path

import pytest

import spack_peer
from spack_peer import Spack


@pytest.fixture(scope="session", params=spack_peer.VERSIONS)
def any_spack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Spack:
    """Return each version in turn, with hpc3 installed into the Python that runs it."""
    return spack_peer.spack_in(
        tmp_path_factory.mktemp(f"spack-{request.param}"), request.param, spack_peer.python_with_hpc3()
    )


@pytest.fixture(scope="session")
def spack(any_spack: Spack) -> Spack:
    """Return each version that installed packages can extend."""
    if not any_spack.has_entry_points:
        pytest.skip(f"Spack {any_spack.version} has no entry points: tests of the folder form run on it")
    return any_spack


@pytest.fixture(scope="session")
def folder_spack(request: pytest.FixtureRequest, any_spack: Spack, tmp_path_factory: pytest.TempPathFactory) -> Spack:
    """Return each version on a bare Python, with nothing but ``config:extensions`` to name this checkout."""
    home = tmp_path_factory.mktemp(f"folder-{any_spack.version}")
    return spack_peer.spack_in(home, any_spack.version, spack_peer.bare_python(), extensions=(spack_peer.EXTENSION,))


@pytest.fixture
def zlib(any_spack: Spack, tmp_path: Path) -> Path:
    """Return a copy of a concretized environment of zlib, as this version writes it."""
    return spack_peer.environment_copy(any_spack, "zlib-generic", tmp_path)
