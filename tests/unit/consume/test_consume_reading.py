from __future__ import annotations

from hpc3.apply.attach import ANNOTATIONS
from hpc3.consume.reading import ANNOTATIONS_TYPE


def test_what_is_attached_is_what_is_looked_for() -> None:
    assert ANNOTATIONS_TYPE == ANNOTATIONS
