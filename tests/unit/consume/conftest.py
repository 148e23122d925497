from __future__ import annotations

from pathlib import Path

import pytest

THIRD_PARTY = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "third-party"


@pytest.fixture(scope="session")
def third_party() -> Path:
    """What other projects published about real machines and images; beside the checkout and never committed."""
    if not THIRD_PARTY.is_dir():
        pytest.skip(f"no third-party material beside the checkout: {THIRD_PARTY.name} is not there")
    return THIRD_PARTY
