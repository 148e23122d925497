"""What the unit tests share: real environments, and the question that every bad input is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import peers
from hpc3.errors import InputError
from unit.locks import COUNTS, environment_folder, name_of

# A shared machine is slow now and then: that is no failure. CI tries the same examples each time, so that what it says
# can be repeated; new ones are looked for wherever else the tests run.
settings.register_profile(
    "hpc3", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("hpc3")

Refused = Callable[..., AbstractContextManager[None]]


@pytest.fixture(params=COUNTS, ids=name_of)
def environment(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a real environment: the test runs once for each."""
    return environment_folder(request.param)


@pytest.fixture(scope="session")
def third_party() -> Path:
    """What other projects published about real machines and images; beside the checkout and never committed."""
    folder = peers.SHARED / "data/third-party"
    if not folder.is_dir():
        pytest.skip("no third-party material beside the checkout")
    return folder


@pytest.fixture
def refused() -> Refused:
    """Return a context that passes when an `InputError` of one line says all of the given words."""

    @contextmanager
    def check(*words: str) -> Iterator[None]:
        with pytest.raises(InputError) as caught:
            yield
        line = str(caught.value)
        assert line.isprintable(), ascii(line)
        assert len(line) < 3000
        for word in words:
            assert word in line

    return check
