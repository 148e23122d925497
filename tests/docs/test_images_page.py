"""Every command of ``docs/images.md`` works, in its order, as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from oci.oci_peers import Storage, need, root_file_system, run, serve_registry

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.images, pytest.mark.registry]


def commands(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_page_works(tmp_path: Path) -> None:
    need("buildah", "skopeo", "podman", "docker-registry", "bash")
    conf = tmp_path / "storage.conf"
    conf.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/root"\nrunroot = "{tmp_path}/run"\n')
    base = tmp_path / "base"
    root_file_system(base / "root", {})
    (base / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    Storage(tmp_path).buildah("bud", "--isolation", "chroot", "-t", "localhost/base", base)
    (tmp_path / "registry").mkdir()
    work = tmp_path / "work"
    work.mkdir()
    with serve_registry(tmp_path / "registry") as registry:
        env = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(conf),
            "REGISTRY": registry.host,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        blocks = commands(ROOT / "docs/images.md")
        assert len(blocks) > 8
        for block in blocks:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=work,
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        index = json.loads(run("skopeo", "inspect", "--raw", "--tls-verify=false", registry.ref("hello:all")))
        modes = [
            entry["annotations"]["org.supercontainers.hardware.cpu.optimized.mode"] for entry in index["manifests"]
        ]
        assert modes == ["generic", "microarch"]
        assert len(json.loads((work / "found.json").read_text())) == 2
