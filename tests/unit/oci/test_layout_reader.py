"""Artifacts in a layout: what is one, and of which image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hpc3.errors import UsageError
from hpc3.oci.layout import LayoutStore
from hpc3.oci.manifest import EMPTY_BLOB, OCI_EMPTY, OCI_MANIFEST, Manifest
from hpc3.oci.reference import parse_reference
from unit.consume.oci_layouts import write_layout

SPDX = "application/spdx+json"


def add(folder: Path, document: Mapping[str, Any], **stated: object) -> str:
    """Add a manifest to a layout and return its digest; ``stated`` goes into its descriptor."""
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], **document}).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(raw)
    index = json.loads((folder / "index.json").read_bytes())
    entry = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{digest}", "size": len(raw), **stated}
    index["manifests"].append(entry)
    (folder / "index.json").write_text(json.dumps(index))
    return f"sha256:{digest}"


def blob(media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(EMPTY_BLOB).hexdigest()}", "size": 2}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    write_layout(tmp_path / "layout", [], {})
    return tmp_path / "layout"


@pytest.fixture
def image(layout: Path) -> Manifest:
    return LayoutStore(layout).resolve(parse_reference(f"oci:{layout}:tag"))


def referring(image: Manifest, **more: object) -> dict[str, object]:
    return {"subject": image.descriptor.as_document(), "config": blob(OCI_EMPTY), **more}


@pytest.mark.parametrize(
    ("document", "stated"),
    [
        ({"artifactType": SPDX}, {"artifactType": SPDX}),
        ({"artifactType": SPDX}, {}),
        ({"config": blob(SPDX)}, {}),
    ],
)
def test_an_artifact_is_what_its_manifest_says(
    document: dict[str, object], stated: dict[str, object], layout: Path, image: Manifest
) -> None:
    digest = add(layout, referring(image, **document), **stated)
    store = LayoutStore(layout)
    assert [(r.digest, r.artifact_type) for r in store.list_referrers(image.digest)] == [(digest, SPDX)]
    assert store.list_referrers(digest) == ()
    assert store.resolve(parse_reference(f"oci:{layout}")) == image


@pytest.mark.parametrize("stated", [{"artifactType": SPDX}, {}])
@pytest.mark.parametrize("damage", [None, b"", b"{}"])
def test_one_damaged_artifact_hides_no_other(
    stated: dict[str, object], damage: bytes | None, layout: Path, image: Manifest
) -> None:
    damaged = add(layout, referring(image, artifactType="application/x"), **stated)
    good = add(layout, referring(image, artifactType=SPDX), **stated)
    file = layout / "blobs" / damaged.replace(":", "/")
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    assert [r.digest for r in LayoutStore(layout).list_referrers(image.digest)] == [good]


def test_what_has_a_name_is_somebodys_image(layout: Path, image: Manifest) -> None:
    add(layout, referring(image), annotations={"org.opencontainers.image.ref.name": "other"})
    with pytest.raises(UsageError, match="names several images"):
        LayoutStore(layout).resolve(parse_reference(f"oci:{layout}"))
