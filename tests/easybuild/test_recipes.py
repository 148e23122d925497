"""Recipes from EasyBuild: the command in their README writes their record, and their hooks do what they say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

import peers
from easybuild_peer import EasyBuild, easybuild_home, path_with_entry_point

pytestmark = pytest.mark.easybuild

RECIPES = peers.REPOSITORY / "recipes"


def easybuild_in(folder: Path, record: Path) -> EasyBuild:
    """Return the release of EasyBuild that wrote a record."""
    version = json.loads(record.read_text("utf-8"))["easybuild"]["version"]
    return EasyBuild(version, easybuild_home(version), folder)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*/record.json")), ids=lambda path: path.parent.name)
def test_record_is_what_the_command_writes(path: Path, tmp_path: Path, rerecord: bool) -> None:
    found = re.search(r"^`(eb -D .+)`\.$", path.with_name("README.md").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    _, *arguments = shlex.split(found[1])
    easybuild = easybuild_in(tmp_path, path)
    if path.with_name("hooks").exists():
        shutil.copytree(path.with_name("hooks"), tmp_path / "hooks")
    easybuild.eb(*arguments, hooks=None, env={"PYTHONPATH": path_with_entry_point(tmp_path)})
    written = easybuild.output / Path(arguments[-1]).stem / path.name
    if rerecord:
        shutil.copy(written, path)
    now, then = (json.loads(record.read_text("utf-8")) for record in (written, path))
    # Only where it was recorded may differ: its options decide the processor.
    assert {**now["session"], "host": ""} == {**then["session"], "host": ""}
    assert {**now, "session": ""} == {**then, "session": ""}


def test_hook_gives_openblas_kernels_for_every_processor(tmp_path: Path) -> None:
    recipe = RECIPES / "gromacs-easybuild"
    easybuild = easybuild_in(tmp_path, recipe / "record.json")
    command = ("OpenBLAS-0.3.30-GCC-14.3.0.eb", "--extended-dry-run", "--optarch=GCC:march=x86-64-v3")
    for hooks, given in ((None, False), (recipe / "hooks" / "openblas.py", True)):
        said = easybuild.eb(*command, hooks=hooks).stdout
        builds = re.findall(r'running shell command "(make -j .*)"', said)
        assert builds
        assert all(("DYNAMIC_ARCH=1" in build) == given for build in builds)
