"""Every command of ``docs/images.md`` works, in its order, as it stands there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.loopback import blocks, loopback
from oci.oci_peers import run

pytestmark = [pytest.mark.images, pytest.mark.registry]


def test_the_page_works(tmp_path: Path) -> None:
    commands = blocks("images.md")
    assert len(commands) > 8
    with loopback(tmp_path) as here:
        for block in commands:
            here.run(block)
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", here.registry.ref("hello:all"))
        modes = [
            entry["annotations"]["org.supercontainers.hardware.cpu.optimized.mode"]
            for entry in json.loads(raw)["manifests"]
        ]
        assert modes == ["generic", "microarch"]
        assert len(json.loads((here.folder / "found.json").read_text())) == 2
