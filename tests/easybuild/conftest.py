"""Every test here runs on both ends of what is supported: the last 4.x and the newest 5.x."""

from __future__ import annotations

from pathlib import Path

import pytest

from easybuild_peer import EasyBuild, easybuild_home, need_wrapped_software

RELEASES = ("4.9.4", "5.4.1")


@pytest.fixture(params=RELEASES)
def easybuild(request: pytest.FixtureRequest, tmp_path: Path) -> EasyBuild:
    """Return an EasyBuild with an empty folder to install into."""
    version = str(request.param)
    return EasyBuild(version, easybuild_home(version), tmp_path)


@pytest.fixture(scope="module", params=RELEASES)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EasyBuild:
    """Return an EasyBuild that has installed the toy MPI chain with the hooks on."""
    need_wrapped_software()
    version = str(request.param)
    found = EasyBuild(version, easybuild_home(version), tmp_path_factory.mktemp(f"easybuild-{version}"))
    found.eb("mpitoy-1.0-gompi-sys.eb", "--robot")
    return found
