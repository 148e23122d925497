"""Engines that hang, flood or are not there: a shell stands in, since the real ones do so only with bad luck."""

from __future__ import annotations

import time

import pytest

from hpc3.consume.container_engines import Podman, Start
from hpc3.errors import StoreError


def test_of_a_flood_only_the_beginning_is_kept() -> None:
    flood = Podman(("sh", "-c", "head -c 64000000 /dev/zero; head -c 64000000 /dev/zero >&2"), "image")
    run = flood.start(Start(("true",)))
    assert (run.code, len(run.output), len(run.errors)) == (0, 1 << 20, 1 << 20)


def test_what_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpc3.consume.container_engines._SECONDS", 1)
    hanging = Podman(("sh", "-c", "sleep 4 & sleep 4"), "image")  # the first keeps the output open
    started = time.monotonic()
    with pytest.raises(StoreError, match="did not end within 1 seconds"):
        hanging.start(Start(("true",)))
    assert time.monotonic() - started < 3


def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(StoreError, match="no-such-engine does not start"):
        Podman(("no-such-engine",), "image").start(Start(("true",)))
