"""An image from a generated Dockerfile: real Spack in a Debian base, built by buildah, started by podman."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import peers
from images.engines import DEBIAN, Engines
from images.judging import layout_of, validated, verdicts_of, verified
from spack_peer import bare_python, environment_copy, spack_in

pytestmark = [pytest.mark.images, pytest.mark.spack]

ENVIRONMENT = peers.REPOSITORY / "tests" / "data" / "spack" / "v1.1.0" / "mpi-hello"
IMAGE = "localhost/mpi-hello"
AS_ROOT = ("--env", "OMPI_ALLOW_RUN_AS_ROOT=1", "--env", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the environment's folder with the Dockerfile that hpc3 writes for it."""
    folder = tmp_path_factory.mktemp("mpi-hello")
    shutil.copytree(ENVIRONMENT, folder, dirs_exist_ok=True)
    hpc3("containerize", str(folder), "-o", str(folder / "Dockerfile"))
    return folder


@pytest.fixture(scope="module")
def local_sources() -> tuple[str, ...]:
    """Return the build options that point the recipe to local clones of Spack: nothing is downloaded."""
    spack = peers.git_clone("https://github.com/spack/spack.git", "v1.1.0", "spack-v1.1.0")
    packages = peers.git_clone("https://github.com/spack/spack-packages.git", "v2025.11.0", "spack-packages-v2025.11.0")
    peers.ran("Spack 1.1.0 in an image")
    folder = peers.cache_folder()
    return (
        "--volume", f"{folder}:{folder}:ro",
        "--build-arg", f"SPACK_URL=file://{spack}",
        "--build-arg", f"SPACK_PACKAGES_URL=file://{packages}",
        "--build-arg", "SPACK_PACKAGES_REF=HEAD",
    )  # fmt: skip


@pytest.fixture(scope="module")
def image(engines: Engines, context: Path, local_sources: tuple[str, ...]) -> Engines:
    """Return the engines with the image built."""
    engines.build(context, IMAGE, *local_sources)
    return engines


def hpc3(*arguments: str) -> str:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "hpc3.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def is_hello(text: str) -> bool:
    return text.startswith("hello from 0 of 1")


def test_command_is_the_command(image: Engines) -> None:
    assert is_hello(image.run(IMAGE, "mpi-hello"))


def test_arguments_stay_intact(image: Engines) -> None:
    assert image.run(IMAGE, "printf", "%s|", "a b", "$HOME", "'", "*", "") == "a b|$HOME|'|*||"


def test_login_shell_where_nothing_is_asked_for(image: Engines) -> None:
    said = image.run(IMAGE, options=("--interactive",), stdin="shopt -q login_shell && echo login\nmpi-hello\n")
    assert said.splitlines()[0] == "login"
    assert is_hello(said.partition("\n")[2])


def test_login_shell_in_a_job_script(image: Engines) -> None:
    assert is_hello(image.run(IMAGE, "bash", "-lc", "mpi-hello"))


def test_exec_bypasses_entrypoint_and_login(image: Engines) -> None:
    limits = ("--cgroups=disabled", "--network=host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
    assert is_hello(image.run(IMAGE, options=("--entrypoint", "mpi-hello")))
    container = image.podman("run", "-d", *limits, IMAGE, "sleep", "60").stdout.strip()
    try:
        assert is_hello(image.podman("exec", container, "mpi-hello").stdout)
    finally:
        image.podman("rm", "--force", "--time", "0", container)


def test_any_user_read_only_and_without_home(image: Engines) -> None:
    options = ("--user", "12345:54321", "--read-only", "--env", "HOME=")
    assert is_hello(image.run(IMAGE, "mpi-hello", options=options))
    assert is_hello(image.run(IMAGE, "bash", "-lc", "mpi-hello", options=options))


def test_two_ranks_by_the_launcher_inside(image: Engines) -> None:
    said = image.run(IMAGE, "mpirun", "-n", "2", "--oversubscribe", "mpi-hello", options=AS_ROOT)
    assert {line for line in said.splitlines() if line.startswith("hello")} == {
        "hello from 0 of 2",
        "hello from 1 of 2",
    }


def test_login_path_is_the_image_path(image: Engines) -> None:
    assert image.run(IMAGE, "bash", "-lc", "echo $PATH") == image.run(IMAGE, "sh", "-c", "echo $PATH")


def test_config_keeps_the_contract(image: Engines) -> None:
    config = json.loads(image.podman("inspect", IMAGE).stdout)[0]["Config"]
    assert not config.get("Entrypoint")
    assert config["Cmd"] == ["/bin/bash", "-l"]
    assert config["WorkingDir"] == "/"
    assert not {"User", "Volumes", "Healthcheck", "OnBuild"} & {key for key, value in config.items() if value}


def test_labels_are_the_annotations(image: Engines, context: Path) -> None:
    labels = json.loads(image.podman("inspect", IMAGE).stdout)[0]["Config"]["Labels"]
    annotations = json.loads(hpc3("annotations", str(context), "--quiet"))
    ours = {
        key: value for key, value in labels.items() if key.startswith(("org.supercontainers.", "org.opencontainers."))
    }
    assert ours
    assert ours == {key: annotations[key] for key in ours}


def test_image_carries_its_documents(image: Engines, context: Path) -> None:
    annotations = image.run(IMAGE, "cat", "/usr/share/hpc3/annotations.json")
    assert annotations == hpc3("annotations", str(context), "--quiet")
    assert image.run(IMAGE, "cat", "/usr/share/hpc3/sbom.cdx.json") == hpc3("sbom", str(context))
    assert image.run(IMAGE, "cat", "/opt/spack-environment/spack.lock") == (context / "spack.lock").read_text()


def test_nothing_of_the_builder_is_left(image: Engines) -> None:
    script = (
        "ls -a / /opt /opt/spack-environment; find /opt/software -name 'spack-build-*' -o -name '*environment.json'"
    )
    listed = image.run(IMAGE, "sh", "-c", script).split()
    assert "spack" not in listed
    assert not [name for name in listed if "spack-build" in name or "environment.json" in name]
    assert image.run(IMAGE, "sh", "-c", "find /opt /usr/share/hpc3 ! -perm -a+r ! -type l") == ""


def test_runtime_closure_only(image: Engines) -> None:
    script = "cd /opt/software/linux-*; ls"
    assert [name.rpartition("-")[0] for name in image.run(IMAGE, "sh", "-c", script).split()] == [
        "gcc-runtime-12.2.0",
        "mpi-hello-1.0",
    ]


def test_apply_adds_what_only_the_image_tells(image: Engines, context: Path, tmp_path: Path) -> None:
    layout = f"oci:{tmp_path / 'layout'}:mpi-hello"
    image.buildah("push", IMAGE, layout)
    hpc3("apply", layout, "--from", str(context))
    annotations = json.loads(hpc3("inspect", layout))["annotations"]
    stated = json.loads(hpc3("annotations", str(context), "--quiet"))
    assert {key: annotations.get(key) for key in stated} == stated
    assert annotations["org.supercontainers.os.vendor"] == "debian"
    assert annotations["org.supercontainers.system.libc.version"] == "2.36"
    assert annotations["org.opencontainers.image.base.name"] == DEBIAN
    lock = tmp_path / "spack.lock"
    shutil.copy(peers.REPOSITORY / "tests" / "data" / "spack" / "v1.1.0" / "zlib-generic" / "spack.lock", lock)
    refused = subprocess.run(
        [sys.executable, "-m", "hpc3.cli", "apply", layout, "--from", str(lock)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 3
    assert "was built from another recipe" in refused.stderr


def test_annotated_image_is_clean_and_true(image: Engines, context: Path, tmp_path: Path) -> None:
    layout = layout_of(image, IMAGE, tmp_path)
    source = Path(shutil.copytree(context, tmp_path / "source"))
    manifest = yaml.safe_load((source / "spack.yaml").read_text())
    manifest["spack"]["container"]["labels"] = {"org.opencontainers.image.licenses": "MIT"}  # which no lock holds
    (source / "spack.yaml").write_text(yaml.safe_dump(manifest))
    hpc3("apply", layout, "--from", str(source), "--verify", "--no-isa")
    judged = validated(image, layout, run=IMAGE)
    assert judged.code == 0
    assert judged.codes("error", "warning") == set()
    code, document = verified(layout)
    verdicts = verdicts_of(document)
    assert code == 0
    assert "contradicts" not in verdicts.values()
    for name in ("mpi.implementation", "mpi.version", "software.name", "system.libc.version"):
        assert verdicts[name] == "agrees"
    assert document["offers"] == []


#: Their final images are of systems that are not here; paths and programs are the same in Debian.
FINAL_STAGE = re.compile(r"^FROM ubuntu:[0-9.]+$", re.MULTILINE)


@pytest.mark.parametrize("version", ["1.1.0", "0.23.1"])
def test_image_of_spack_alone_has_the_findings_of_its_template(image: Engines, version: str, tmp_path: Path) -> None:
    """Spack's own Dockerfile, its last stage as it is; the first, which installs, is our image's content.

    What ``spack env activate`` prints is cut to PATH.
    """
    spack = spack_in(tmp_path / "home", version, bare_python())
    folder = environment_copy(spack, "mpi-hello", tmp_path)
    manifest = yaml.safe_load((folder / "spack.yaml").read_text())
    manifest["spack"].pop("container")  # Spack's own defaults
    (folder / "spack.yaml").write_text(yaml.safe_dump(manifest))
    printed = spack.run("-e", str(folder), "containerize", cwd=folder)
    assert printed.returncode == 0, printed.stderr
    final = printed.stdout.partition("# Bare OS image to run the installed executables")[2]
    final, changed = FINAL_STAGE.subn(f"FROM {DEBIAN}", final)
    assert changed == 1
    activate = "RUN echo 'PATH=/opt/views/view/bin:$PATH; export PATH' > /opt/spack-environment/activate.sh"
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE} AS builder\n{activate}\n{final}")
    name = f"localhost/spack-alone-{version}"
    image.build(tmp_path, name)
    judged = validated(image, layout_of(image, name, tmp_path), run=name)
    assert judged.code == 1
    # An entrypoint that only sets PATH, of which exec, a login shell and engines without entrypoint have nothing.
    assert {"HPC101", "HPC103", "HPC202", "HPC604"} <= judged.codes("error", "warning")
    code, document = verified(layout_of(image, name, tmp_path))
    assert (code, document["comparisons"]) == (0, [])
    offered = {each["key"].replace("org.supercontainers.", ""): each["value"] for each in document["offers"]}
    assert offered["mpi.implementation"] == "openmpi"
    assert offered["os.vendor"] == "debian"


def test_compiled_packages_are_kept_between_builds(
    image: Engines, context: Path, local_sources: tuple[str, ...]
) -> None:
    again = image.build(context, "localhost/again", "--no-cache", *local_sources)
    assert "Extracting mpi-hello" in again.stdout + again.stderr


def test_changed_lock_stops_the_build(
    image: Engines, context: Path, local_sources: tuple[str, ...], tmp_path: Path
) -> None:
    shutil.copytree(context, tmp_path, dirs_exist_ok=True)
    lock = tmp_path / "spack.lock"
    lock.write_text(lock.read_text().replace('"version": "1.0"', '"version": "1.0.1"', 1) + "\n")
    result = image.build(tmp_path, "localhost/changed", *local_sources, check=False)
    assert result.returncode != 0
    assert "spack.lock is not the one that this recipe was written for" in result.stdout + result.stderr


def test_another_system_stops_the_build(
    engines: Engines, context: Path, local_sources: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {DEBIAN}\nRUN sed -i 's/^VERSION_ID=.*/VERSION_ID=\"11\"/' /etc/os-release\n"
    )
    engines.build(tmp_path, "localhost/other")
    options = (*local_sources, "--build-arg", "BUILD_IMAGE=localhost/other")
    result = engines.build(context, "localhost/stopped", *options, check=False)
    assert result.returncode != 0
    assert "this image is debian 11, the lock is for debian 12" in result.stdout + result.stderr
