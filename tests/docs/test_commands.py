"""Every command of the front documents is run here, in a copy of the repository, or named with what runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import peers

#: Images of the README, in a registry that does not exist.
ZEN3 = "docker://registry.example.org/md/gromacs:zen3"
INDEX = "docker://registry.example.org/md/gromacs:2025.3"

#: Commands that need a peer or more than a shell, and the test that runs them or what they stand for.
RUN_ELSEWHERE = {
    "tests/run": ".ci/run calls it",
    "tests/run tests/unit": ".ci/run calls it",
    "PYTHON=python3.9 tests/run tests/unit": ".ci/run calls it",
    ".venv/3.*/bin/pytest --rerecord": "writes the snapshots that all other tests compare with",
    ".ci/run": "is what runs this",
    "demo/run --install": "tests/docs/test_demonstration.py",
    ".venv/3.*/bin/mkdocs serve": "tests/docs/test_site.py builds the site",
    "tests/pin": "tests/release/test_release.py looks at what it wrote",
    '"$(spack python --path)" -m pip install hpc3': "tests/spack",
    "spack -e . containerize --annotate -o Dockerfile": "tests/spack",
    "buildah bud -t gromacs .": "tests/images/test_spack_image.py builds a smaller environment with it",
    'eb --hooks="$(hpc3 easybuild-hooks)" mpitoy-1.0-gompi-sys.eb --robot': "tests/easybuild",
    "ls hpc3/mpitoy-1.0-gompi-sys": "tests/easybuild",
    "hpc3 containerize HPL-2.3-foss-2025b.eb": "tests/easybuild",
    f"hpc3 apply {ZEN3} --from recipes/gromacs-zen3": "tests/docs/test_images_page.py",
    f"hpc3 inspect {ZEN3}": "tests/docs/test_images_page.py",
    f"hpc3 index {INDEX} {ZEN3}": "tests/docs/test_images_page.py",
    f"hpc3 validate {ZEN3}": "tests/unit/consume",
    f"hpc3 verify {ZEN3}": "tests/unit/consume",
    f"hpc3 check {ZEN3}": "tests/docs/test_consumers_page.py",
    f"hpc3 find gromacs {INDEX}": "tests/docs/test_consumers_page.py",
    f"hpc3 tweak {ZEN3} --engine podman": "tests/docs/test_consumers_page.py",
    "hpc3 containerize --check Dockerfile .": "test_check_in_a_recipe, in the folder that it is meant for",
}


def commands(document: str) -> list[str]:
    text = (peers.REPOSITORY / document).read_text("utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in lines]


DOCUMENTS = ("README.md", "CONTRIBUTING.md", "recipes/README.md")
ALL = [(document, command) for document in DOCUMENTS for command in commands(document)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what git tracks, as a clone would have it."""
    folder = tmp_path_factory.mktemp("clone")
    for name in peers.tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(peers.REPOSITORY / name, folder / name)
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_documents_have_commands() -> None:
    assert {document for document, _ in ALL} == set(DOCUMENTS)


@pytest.mark.parametrize(("document", "command"), ALL)
def test_command_does_what_it_says(document: str, command: str, copy: Path) -> None:
    if command in RUN_ELSEWHERE:
        assert RUN_ELSEWHERE[command]
        return
    result = run(command, copy)
    assert result.returncode == 0, result.stderr


def test_main_job_prints_an_annotated_dockerfile(copy: Path) -> None:
    main_job = commands("README.md")[0]
    assert "hpc3 containerize recipes/gromacs-zen3" in main_job
    printed = run(main_job, copy).stdout
    assert '"org.supercontainers.hardware.cpu.optimized.version"="zen3"' in printed
    assert "ENTRYPOINT []" in printed


def test_check_in_a_recipe() -> None:
    folder = peers.REPOSITORY / "recipes" / "gromacs-zen3"
    assert run("hpc3 containerize --check Dockerfile .", folder).returncode == 0


def test_nothing_is_run_elsewhere_that_no_document_has() -> None:
    assert set(RUN_ELSEWHERE) <= {command for _, command in ALL}
