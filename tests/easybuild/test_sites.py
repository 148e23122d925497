"""The ways to enable the hooks beside those of a site."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

import peers
from easybuild_peer import PACKAGES, EasyBuild, path_with_entry_point

pytestmark = pytest.mark.easybuild

SITE_FILE = """\
import hpc3_easybuild

def parse_hook(ec, *args, **kwargs):
    print("site parse_hook")

def module_write_hook(self, filepath, module_txt, *args, **kwargs):
    hpc3_easybuild.collect(self, filepath)

def post_build_and_install_loop_hook(ecs_with_res, *args, **kwargs):
    hpc3_easybuild.emit(ecs_with_res)
"""

#: Defines the hooks that hide an entry point's of the same step in EasyBuild 5.3 and 5.4.
HIDING_FILE = """\
def pre_fetch_hook(self, *args, **kwargs):
    print("site pre_fetch_hook")

def post_easyblock_hook(self, *args, **kwargs):
    print("site post_easyblock_hook")

def post_module_hook(self, *args, **kwargs):
    print("site post_module_hook")
"""


def written(easybuild: EasyBuild) -> bool:
    return (easybuild.output / "toy-1.0" / "record.json").exists()


def test_path_comes_from_the_command_line(easybuild: EasyBuild) -> None:
    path = easybuild.hpc3("easybuild-hooks").stdout.strip()
    easybuild.eb("toy-1.0.eb", "--robot", hooks=Path(path))
    assert written(easybuild)


def test_environment_variable_enables_them(easybuild: EasyBuild) -> None:
    path = easybuild.hpc3("easybuild-hooks").stdout.strip()
    easybuild.eb("toy-1.0.eb", "--robot", hooks=None, env={"EASYBUILD_HOOKS": path})
    assert written(easybuild)


def test_configuration_file_enables_them(easybuild: EasyBuild) -> None:
    path = easybuild.hpc3("easybuild-hooks").stdout.strip()
    config = easybuild.folder / "easybuild.cfg"
    config.write_text(f"[config]\nhooks = {path}\n")
    easybuild.eb("toy-1.0.eb", "--robot", f"--configfiles={config}", hooks=None)
    assert written(easybuild)


def test_site_dispatcher_calls_collect_and_emit(easybuild: EasyBuild) -> None:
    site = easybuild.folder / "site.py"
    site.write_text(SITE_FILE)
    said = easybuild.eb(
        "toy-1.0.eb", "--robot", hooks=site, env={"PYTHONPATH": os.pathsep.join(map(str, PACKAGES))}
    ).stdout
    assert "site parse_hook" in said
    assert written(easybuild)
    # The recipe takes the site's hooks along: they may change what is built.
    assert (easybuild.output / "toy-1.0" / "hooks" / "site.py").read_text() == SITE_FILE


def test_entry_point_works_beside_a_site_file_that_hides_steps(easybuild: EasyBuild) -> None:
    if easybuild.version.startswith("4."):
        pytest.skip("EasyBuild 4 has no entry points")
    site = easybuild.folder / "site.py"
    site.write_text(HIDING_FILE)
    environment = {"PYTHONPATH": path_with_entry_point(easybuild.folder)}
    said = easybuild.eb("toy-1.0.eb", "--robot", "--use-entrypoints", hooks=site, env=environment).stdout
    assert "site pre_fetch_hook" in said
    assert "site post_easyblock_hook" in said
    assert written(easybuild)
    assert (easybuild.folder / "easybuild/software/toydep/1.0/easybuild/hpc3.json").exists()
    assert said.count("hpc3: toy/1.0") == 1


def test_hooks_file_is_readable_to_an_old_python() -> None:
    source = (peers.REPOSITORY / "easybuild_hooks/hpc3_easybuild/hooks.py").read_text("utf-8")
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__ import annotations" not in source


def test_what_keeps_the_hooks_from_working_does_not_break_eb(easybuild: EasyBuild) -> None:
    lonely = easybuild.folder / "hooks.py"
    lonely.write_bytes((peers.REPOSITORY / "easybuild_hooks/hpc3_easybuild/hooks.py").read_bytes())
    result = easybuild.eb("toydep-1.0.eb", hooks=lonely)
    assert "WARNING: hpc3's hooks are off, nothing is recorded: No module named 'hpc3_easybuild'" in result.stderr
    assert not easybuild.output.exists()
