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
    **more: Any,
) -> str:
    """Write a layout with one image and return its reference; ``more`` goes into the configuration blob."""
    (folder / "blobs/sha256").mkdir(parents=True)
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
    entry = _blob(folder, json.dumps(manifest).encode(), MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "tag"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return f"oci:{folder}:tag"


def _layer_type(layer: bytes) -> str:
    suffix = "+gzip" if layer.startswith(b"\x1f\x8b") else ""
    return f"application/vnd.oci.image.layer.v1.tar{suffix}"


def _blob(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
