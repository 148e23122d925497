from __future__ import annotations

from pathlib import Path

import pytest

import peers


@pytest.fixture(scope="session")
def third_party() -> Path:
    """What other projects published about real machines and images; beside the checkout and never committed."""
    folder = peers.SHARED / "data/third-party"
    if not folder.is_dir():
        pytest.skip("no third-party material beside the checkout")
    return folder
