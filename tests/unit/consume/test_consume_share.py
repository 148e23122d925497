from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hpc3.consume.share
from hpc3.consume.catalog import Catalog
from hpc3.consume.share import _unpacked, pull_catalog, push_catalog
from hpc3.errors import InputError
from hpc3.oci.layout import LayoutStore
from hpc3.oci.reference import parse_reference
from unit.consume.consumer_examples import image


def test_a_catalog_goes_through_a_layout(tmp_path: Path) -> None:
    reference = parse_reference(f"oci:{tmp_path / 'layout'}:catalog")
    (tmp_path / "layout/blobs/sha256").mkdir(parents=True)
    (tmp_path / "layout/oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (tmp_path / "layout/index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    store = LayoutStore(tmp_path / "layout")
    with Catalog(tmp_path / "mine", create=True) as mine:
        mine.put_image(image())
        digest = push_catalog(mine, store, reference)
        assert push_catalog(mine, store, reference) == digest
        lines = list(mine.lines())
    with Catalog(tmp_path / "theirs", create=True) as theirs:
        assert pull_catalog(theirs, LayoutStore(tmp_path / "layout"), reference) == 1
        assert list(theirs.lines()) == lines


def refusal(blob: bytes) -> str:
    with pytest.raises(InputError) as caught:
        list(_unpacked(blob, "where"))
    return str(caught.value)


def test_damage_is_one_line() -> None:
    whole = gzip.compress(b"a line\n" * 100)
    for damaged in (b"no gzip at all", whole[:-9], whole[:20] + b"\xff" * 8 + whole[28:], gzip.compress(b"\xff\n")):
        assert refusal(damaged).startswith("where: is damaged")


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hpc3.consume.share, "_MOST_BYTES", 1000)
    assert "more than 1000 bytes" in refusal(gzip.compress(b"x\n" * 501))
    monkeypatch.setattr(hpc3.consume.share, "_LONGEST_LINE", 10)
    assert "longer lines" in refusal(gzip.compress(b"x" * 11))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused(blob: bytes) -> None:
    if blob:
        refusal(blob)
