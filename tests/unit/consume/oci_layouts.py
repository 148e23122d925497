"""OCI layouts made of folders, for the tests."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def layer_of_folder(root: Path) -> bytes:
    """Return a folder as a gzipped layer."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.add(root, arcname=".")
    return gzip.compress(raw.getvalue(), mtime=0)


def layer_of_files(files: Mapping[str, bytes]) -> bytes:
    """Return files as an uncompressed layer."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def write_layout(
    folder: Path,
    layers: Sequence[bytes],
    annotations: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    architecture: str = "amd64",
    artifact_type: str = "",
    **more: Any,
) -> str:
    """Write a layout with one image and return its reference; ``more`` goes into the configuration blob."""
    (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    document = {
        "architecture": architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": []},
        "config": {"Labels": dict(labels or {}), **(config or {})},
        **more,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _blob(folder, json.dumps(document).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [_blob(folder, layer, _layer_type(layer)) for layer in layers],
        "annotations": dict(annotations),
    }
    if artifact_type:
        manifest["artifactType"] = artifact_type
    entry = _blob(folder, json.dumps(manifest).encode(), MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "tag"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return f"oci:{folder}:tag"


def write_index(folder: Path, images: Sequence[Mapping[str, Any]], annotations: Mapping[str, str] | None = None) -> str:
    """Write a layout whose tag is an index, and return its reference.

    Args:
        folder: of the layout.
        images: for each image what `write_layout` takes, and ``descriptor``: more members of the index's entry.
        annotations: of the index.
    """
    entries = []
    for image in images:
        arguments = {"layers": [], "annotations": {}, **image}
        descriptor = arguments.pop("descriptor", {})
        write_layout(folder, **arguments)
        (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
        entries.append({**entry, "annotations": {}, **descriptor})
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, "annotations": dict(annotations or {})}
    entry = _blob(folder, json.dumps(document).encode(), INDEX)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "tag"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return f"oci:{folder}:tag"


def _layer_type(layer: bytes) -> str:
    suffix = "+gzip" if layer.startswith(b"\x1f\x8b") else ""
    return f"application/vnd.oci.image.layer.v1.tar{suffix}"


def _blob(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
