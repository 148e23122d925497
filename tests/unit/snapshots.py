"""Snapshots: what a person has reviewed, compared to the byte; ``pytest --rerecord`` writes them anew."""

from __future__ import annotations

import peers

GOLDEN = peers.REPOSITORY / "tests" / "golden"


def compare(name: str, text: str, *, rerecord: bool) -> None:
    """Compare ``text`` with ``golden/<name>``, or write it there."""
    path = GOLDEN / name
    if rerecord:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.is_file(), f"{path} is not there: write it with pytest --rerecord, then read it"
    assert text == path.read_text("utf-8"), "if this is right: pytest --rerecord, then read the diff"
