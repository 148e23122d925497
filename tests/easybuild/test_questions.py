"""``hpc3 VERB X.eb``: EasyBuild is asked, and every refusal is one line."""

from __future__ import annotations

import json
import subprocess

import pytest

from easybuild_peer import HERE, EasyBuild

pytestmark = pytest.mark.easybuild


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of an input error."""
    assert result.returncode == 3, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_path_of_an_easyconfig(easybuild: EasyBuild) -> None:
    facts = json.loads(easybuild.hpc3("facts", str(HERE / "easyconfigs" / "toy-1.0.eb")).stdout)
    assert facts["software"]["value"]["name"] == "toy"
    assert facts["source"] == "record"


def test_easyconfig_that_does_not_parse(easybuild: EasyBuild) -> None:
    path = easybuild.easyconfig("bad-1.0.eb", "name = 'bad\nversion = 1")
    assert "EasyBuild says" in refused(easybuild.hpc3("facts", str(path), check=False))


def test_easyconfig_without_a_name(easybuild: EasyBuild) -> None:
    path = easybuild.easyconfig("bad-1.0.eb", "easyblock = 'CmdCp'\nversion = '1'\n")
    assert "EasyBuild says" in refused(easybuild.hpc3("facts", str(path), check=False))


def test_dependency_that_is_not_found(easybuild: EasyBuild) -> None:
    text = (HERE / "easyconfigs" / "toy-1.0.eb").read_text("utf-8").replace("('toydep', '1.0')", "('absent', '9')")
    path = easybuild.easyconfig("toy-1.0.eb", text)
    line = refused(easybuild.hpc3("facts", str(path), check=False))
    assert "toy-1.0.eb: no easyconfig is found for its dependency absent-9" in line


def test_easyconfig_that_is_nowhere(easybuild: EasyBuild) -> None:
    assert "absent-1.eb" in refused(easybuild.hpc3("facts", "absent-1.eb", check=False))


def test_template_that_does_not_resolve_stays_as_it_is(easybuild: EasyBuild) -> None:
    text = (HERE / "easyconfigs" / "toydep-1.0.eb").read_text("utf-8")
    path = easybuild.easyconfig("toydep-1.0.eb", text.replace("[SOURCE_TAR_GZ]", "['%(installdir)s-%(version)s.tgz']"))
    sources = json.loads(easybuild.hpc3("facts", str(path)).stdout)["components"][0]["metadata"]
    assert sources["source_sha256"]


def test_version_that_no_module_can_have_is_refused(easybuild: EasyBuild) -> None:
    text = (HERE / "easyconfigs" / "toydep-1.0.eb").read_text("utf-8").replace("version = '1.0'", "version = '1 $(id)'")
    refused(easybuild.hpc3("facts", str(easybuild.easyconfig("toydep-1.eb", text)), check=False))


def test_no_easybuild(easybuild: EasyBuild) -> None:
    env = {"PATH": "/usr/bin:/bin", "EB_PYTHON": "/usr/bin/python3"}
    line = refused(easybuild.hpc3("facts", str(HERE / "easyconfigs" / "toy-1.0.eb"), check=False, env=env))
    assert "EasyBuild is needed to read an easyconfig and is not found" in line
    assert "EB_PYTHON" in line


def test_roots_cannot_be_picked(easybuild: EasyBuild) -> None:
    path = str(HERE / "easyconfigs" / "toy-1.0.eb")
    assert "--root picks roots" in refused(easybuild.hpc3("facts", path, "--root", "x", check=False))
