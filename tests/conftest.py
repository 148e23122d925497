"""What all tests share: the switch that records snapshots anew, and the closing line about real peers."""

from __future__ import annotations

from typing import Any

import pytest

import peers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rerecord", action="store_true", help="write snapshots anew instead of comparing with them")


@pytest.fixture
def rerecord(request: pytest.FixtureRequest) -> bool:
    """Whether snapshots are written anew."""
    return bool(request.config.getoption("--rerecord"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which real peers ran, and why the others did not: a run never passes by skipping quietly."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason] = reasons.get(reason, 0) + 1
    terminalreporter.write_line(peers.summary())
    skipped = "; ".join(f"{reason} ({count})" for reason, count in sorted(reasons.items()))
    terminalreporter.write_line(f"not run: {skipped or 'nothing'}")
