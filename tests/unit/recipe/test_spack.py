"""Recipes of real environments: linted, read by BuildKit's parser, the same from every process."""

from __future__ import annotations

import base64
import bz2
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import peers
from hpc3.annotations import annotations_for
from hpc3.containerize import Recipe, RecipeOptions, recipe_from_source
from hpc3.errors import UsageError
from hpc3.recipe.dockerfile import render_dockerfile
from hpc3.recipe.spack import SpackPlanInput, plan_spack_image
from hpc3.request import EnvironmentChange, GitSource, Images, Mirror, OsPackages, SpackRequest
from hpc3.sbom.cyclonedx import cyclonedx_sbom
from hpc3.sources import read_source
from hpc3.sources.source import Source
from hpc3.vocabulary import key
from unit.conftest import Refused
from unit.locks import COMMITTED, Edge, Node, build, mpi, node
from unit.recipe.buildkit import environment as environment_of
from unit.recipe.buildkit import instructions, labels
from unit.sources.test_spack_facts import facts

#: What the environments need beside their own word, so that they become a recipe.
OPTIONS = {
    "gromacs-mpich-cuda-skx": RecipeOptions(in_build=True),  # its images are another system
    "multi-mpi-multi-target": RecipeOptions(picked=True),
    "osu-external-openmpi": RecipeOptions(externals={"openmpi": ("openmpi-bin",)}),
}
PICKS = {"multi-mpi-multi-target": ("zlib",)}


def options_of(folder: Path) -> RecipeOptions:
    if folder.parts[-2:] == ("v0.23.1", "gromacs-openmpi-zen3"):
        return RecipeOptions(in_build=True)
    return OPTIONS.get(folder.name, RecipeOptions())


def recipe_of(folder: Path) -> Recipe:
    return recipe_from_source(read_source(folder, PICKS.get(folder.name, ())), options_of(folder))


def recipe(*nodes: Node, request: SpackRequest | None = None, **given: Any) -> str:
    """Return the Dockerfile of synthetic nodes."""
    found = facts(*(nodes or (node("app"),)))
    wanted = SpackPlanInput(found, request or SpackRequest(), annotations_for(found), **given)
    return render_dockerfile(plan_spack_image(wanted))


def runs(text: str) -> list[str]:
    return [i.value[0] for i in instructions(text) if i.cmd.upper() == "RUN"]


def run_with(text: str, word: str) -> str:
    (found,) = (script for script in runs(text) if word in script)
    return found


def copies(text: str) -> list[tuple[str, ...]]:
    return [i.value for i in instructions(text) if i.cmd.upper() == "COPY"]


def test_hadolint_passes(environment: Path, tmp_path: Path) -> None:
    peers.need_program("hadolint")
    path = tmp_path / "Dockerfile"
    path.write_text(recipe_of(environment).text, "utf-8")
    result = subprocess.run(["hadolint", str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_buildkit_reads_it_and_finds_the_contract(environment: Path) -> None:
    made = recipe_of(environment)
    found = instructions(made.text)
    assert [i.cmd.upper() for i in found].count("FROM") == 2
    assert not {i.cmd.upper() for i in found} & {"USER", "VOLUME", "HEALTHCHECK", "ONBUILD", "SHELL", "EXPOSE", "ADD"}
    assert [(i.cmd.upper(), i.value) for i in found[-4:-1]] == [
        ("WORKDIR", ("/",)), ("ENTRYPOINT", ()), ("CMD", ("/bin/bash", "-l"))
    ]  # fmt: skip
    assert max(map(len, made.text.encode().split(b"\n"))) < 65_000
    assert all(i.heredocs == () for i in found)
    path = environment_of(made.text, {"PATH": "/usr/bin:/bin"})["PATH"]
    assert path == "/opt/views/view/bin:/usr/bin:/bin"


def test_labels_are_those_of_the_annotations(environment: Path) -> None:
    made = recipe_of(environment)
    found = labels(made.text)
    stated = made.annotations.labels()
    if options_of(environment).in_build:
        assert key("mpi.version") not in found
        stated = {name: value for name, value in stated.items() if name in found}
        assert key("hardware.cpu.optimized.version") in stated
    assert {name: value for name, value in found.items() if "." in name} == stated


@pytest.mark.parametrize("shell", [s for s in ("sh", "dash", "bash", "busybox") if shutil.which(s)])
def test_every_step_is_good_shell(environment: Path, shell: str) -> None:
    command = [shell, "sh"] if shell == "busybox" else [shell]
    for script in runs(recipe_of(environment).text):
        subprocess.run([*command, "-n"], input=script, text=True, check=True)


def test_documents_come_back(environment: Path) -> None:
    source = read_source(environment, PICKS.get(environment.name, ()))
    if options_of(environment).in_build:
        return
    text = recipe_from_source(source, options_of(environment)).text
    packed = re.search(r"base64 -d \| bzip2 -d > (\S+)", text)
    assert packed is not None
    (script,) = (s for s in runs(text) if "sbom.cdx.json" in s)
    words = shlex.split(script.partition("printf")[2].partition("|")[0])
    assert bz2.decompress(base64.b64decode("".join(words[1:]))).decode() == cyclonedx_sbom(source.facts)


def in_process(folder: Path, *arguments: str, **env: str) -> str:
    command = [sys.executable, "-m", "hpc3.cli", "containerize", str(folder), "--quiet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **env}).stdout


@pytest.mark.parametrize("name", ["v1.1.0/mpi-hello", "v1.1.0/osu-openmpi-ucx", "v0.23.1/hdf5-nompi-v3"])
def test_same_from_every_process(name: str) -> None:
    made = {
        in_process(COMMITTED / name, PYTHONHASHSEED=seed, TZ=zone, LC_ALL="C")
        for seed, zone in (("0", "UTC"), ("7", "Asia/Tokyo"))
    }
    assert made == {recipe_of(COMMITTED / name).text}


def test_builders_path_is_not_in_it(tmp_path: Path) -> None:
    shutil.copytree(COMMITTED / "v1.1.0" / "mpi-hello", tmp_path / "here")
    text = recipe_of(tmp_path / "here").text
    assert text == recipe_of(COMMITTED / "v1.1.0" / "mpi-hello").text
    assert str(tmp_path) not in text


def test_lock_without_manifest_cannot_become_an_image(refused: Refused) -> None:
    with refused("no spack.yaml beside the lock"):
        recipe_from_source(Source(facts(node("app"))), RecipeOptions())


def test_picked_roots_and_a_lock_from_the_build_do_not_fit_together() -> None:
    source = Source(facts(node("app")), SpackRequest())
    with pytest.raises(UsageError, match=r"--root.*--concretize-in-build"):
        recipe_from_source(source, RecipeOptions(picked=True, in_build=True))


def test_lock_is_checked_before_and_after_the_install() -> None:
    script = run_with(recipe(), "install --fail-fast")
    digest = facts(node("app")).digest.partition(":")[2]
    assert f"lock={digest}" in script
    before, _, after = script.partition("install --fail-fast")
    assert "sha256sum" in before
    assert "sha256sum" in after


def test_picked_roots_are_installed_by_hash() -> None:
    assert "/abcdefg /hijklmn" in run_with(recipe(picked=("abcdefg", "hijklmn")), "install --fail-fast")


def test_depfile() -> None:
    text = recipe(request=SpackRequest(depfile=True))
    assert "make -f" in run_with(text, "env depfile")


def test_strip() -> None:
    assert any("strip --strip-unneeded" in script for script in runs(recipe()))
    assert not any("strip --strip-unneeded" in script for script in runs(recipe(request=SpackRequest(strip=False))))


def test_operating_systems_packages_of_both_stages() -> None:
    text = recipe(request=SpackRequest(os_packages=OsPackages(build=("aaa",), final=("zzz",))))
    build, _, final = text.rpartition("FROM ")
    assert " aaa " in build
    assert "zzz" not in build
    assert " zzz" in final
    assert "aaa" not in final


def test_packages_are_not_updated_where_asked() -> None:
    text = recipe(request=SpackRequest(os_packages=OsPackages(update=False)))
    assert not any("update" in script for script in runs(text) if "apt-get" in script)


def test_command_that_the_person_names_wins() -> None:
    request = SpackRequest(images=Images(build="a", final="b"), os_packages=OsPackages(command="zypper", build=("a",)))
    assert any("zypper" in script for script in runs(recipe(node("app", os="plan9"), request=request)))


def test_what_the_environment_refers_to_is_copied() -> None:
    request = SpackRequest(folders=("a b/repo", "."), files=("x.yaml", "d/y.yaml"))
    found = copies(recipe(request=request))
    assert ("a b/repo", "/opt/spack-environment/a b/repo/") in found
    assert ("x.yaml", "/opt/spack-environment/") in found
    assert ("d/y.yaml", "/opt/spack-environment/d/") in found


def test_credentials_are_secrets_of_the_build() -> None:
    request = SpackRequest(mirrors=(Mirror("m", True, ("PASSWORD", "USER_NAME")),))
    text = recipe(request=request)
    (step,) = (i for i in instructions(text) if "install --fail-fast" in " ".join(i.value))
    assert {flag for flag in step.flags if "secret" in flag} == {
        f"--mount=type=secret,id={name},target=/run/secrets/{name}" for name in ("PASSWORD", "USER_NAME")
    }
    assert not {i.cmd.upper() for i in instructions(text) if "PASSWORD" in " ".join(i.value)} & {"ARG", "ENV"}


def arguments(text: str) -> set[str]:
    return {i.value[0].partition("=")[0] for i in instructions(text) if i.cmd.upper() == "ARG"}


def test_every_download_can_be_pointed_elsewhere() -> None:
    assert arguments(recipe()) == {
        "BUILD_IMAGE", "FINAL_IMAGE", "SPACK_URL", "SPACK_REF", "SPACK_PACKAGES_URL", "SPACK_PACKAGES_REF",
        "SPACK_MIRROR", "OS_PACKAGE_MIRROR",
    }  # fmt: skip


def test_spack_is_the_one_that_wrote_the_lock() -> None:
    assert 'ARG SPACK_REF="2e907202bcc8209a6a62243aab50c179b524cc3b"' in recipe()
    assert 'ARG SPACK_URL="https://git.site/s.git"' in recipe(
        request=SpackRequest(images=Images(spack_url="https://git.site/s.git"))
    )


@pytest.mark.parametrize(
    ("request_", "repository", "ref"),
    [
        (SpackRequest(), GitSource(), "v2025.11.0"),
        (SpackRequest(), GitSource("https://x", "abc"), "abc"),
        (SpackRequest(packages=GitSource("https://x", "abc")), GitSource(), None),
    ],
)
def test_packages_repository(request_: SpackRequest, repository: GitSource, ref: str | None) -> None:
    text = recipe(request=request_, repository=repository)
    assert (f'ARG SPACK_PACKAGES_REF="{ref}"' in text) == (ref is not None)
    assert ("SPACK_PACKAGES_REF" in text) == (ref is not None)


@pytest.mark.parametrize("version", ["1.2.0.dev0", "2.0.0", "1.99.0"])
def test_packages_that_nobody_pinned(version: str, refused: Refused) -> None:
    found = facts(node("app"), spack=version)
    with refused("spack.lock", f"Spack {version}", "pin them"):
        plan_spack_image(SpackPlanInput(found, SpackRequest(), annotations_for(found)))


@pytest.mark.parametrize(
    ("release", "code"),
    [
        ("ID=debian\nVERSION_ID=12\n", 0),
        ("ID=debian\nVERSION_ID=12.5\n", 0),
        ("ID=debian\nVERSION_ID=13\n", 1),
        ("ID=debian\nVERSION_ID=120\n", 1),
        ("ID=ubuntu\nVERSION_ID=12\n", 1),
        ("ID=debian\n", 1),
    ],
)
def test_preflight_stops_on_another_system(tmp_path: Path, release: str, code: int) -> None:
    (tmp_path / "os-release").write_text(release)
    script = next(script for script in runs(recipe(node("app", os="debian12"))) if script.startswith("system="))
    script = script.replace("/etc/os-release", str(tmp_path / "os-release"))
    result = subprocess.run(["/bin/sh", "-eu", "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert ("the lock is for debian 12" in result.stderr) == bool(code)


def test_preflight_stops_on_another_compiler_or_libc() -> None:
    nodes = (
        node("app", "1", build("gcc", "c"), Edge("glibc", ("link",), ("libc",))),
        node("gcc", "12.2.0", external="/usr"), node("glibc", "2.36", external="/usr"),
    )  # fmt: skip
    script = run_with(recipe(*nodes), "dumpfullversion")
    good = script.replace("/usr/bin/gcc -dumpfullversion", "echo 12.2.0").replace(
        "getconf GNU_LIBC_VERSION", "echo glibc 2.36"
    )
    assert subprocess.run(["/bin/sh", "-c", good], check=False).returncode == 0
    for wrong in (good.replace("echo 12.2.0", "echo 13.1.0"), good.replace("echo glibc 2.36", "echo glibc 2.40")):
        result = subprocess.run(["/bin/sh", "-c", wrong], capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert " is not " in result.stderr


def test_nvidia_images_ask_for_the_driver() -> None:
    text = recipe(node("app", "1", "cuda"), node("cuda", "12.4"))
    found = environment_of(text, {})
    assert found["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert "NVIDIA_VISIBLE_DEVICES" not in environment_of(recipe(), {})


def test_environment_of_a_real_spack_is_taken_where_it_was_asked() -> None:
    change = EnvironmentChange("prepend", "LD_LIBRARY_PATH", "/opt/views/view/lib")
    found = environment_of(recipe(environment=(change,)), {"LD_LIBRARY_PATH": "/x"})
    assert found["LD_LIBRARY_PATH"] == "/opt/views/view/lib:/x"


def test_build_that_concretizes_labels_only_what_holds_anyway() -> None:
    found = facts(node("app", "1", mpi("openmpi")), node("openmpi", "5.0.8"))
    wanted = SpackPlanInput(found, SpackRequest(), annotations_for(found), in_build=True)
    text = render_dockerfile(plan_spack_image(wanted))
    assert key("mpi.implementation") not in labels(text)
    assert key("hardware.cpu.optimized.version") in labels(text)
    assert '["spack.yaml", "/opt/spack-environment/"]' in text
    assert "target=x86_64_v3" in run_with(text, "concretize -f")
    assert "sha256sum" not in text


@pytest.mark.parametrize("name", ["com.hooks.mpi.enabled", "run.oci.hooks.stdout"])
def test_labels_that_steer_runtimes_are_refused(name: str, refused: Refused) -> None:
    with refused("spack.yaml", name):
        recipe(request=SpackRequest(labels={name: "true"}))


def test_foreign_labels_are_kept() -> None:
    found = labels(recipe(request=SpackRequest(labels={"maintainer": 'A "B" $C', "a": "b"})))
    assert (found["maintainer"], found["a"]) == ('A "B" $C', "b")


def test_header_names_what_it_is_made_from() -> None:
    text = recipe()
    assert text.startswith(f"# app 1.0 from spack.yaml and spack.lock ({facts(node('app')).digest}).\n")
    assert not re.match(r"#\s*(syntax|escape|check)\s*=", text)
    json.dumps(text)
