"""An image from the Dockerfile that the hooks wrote: real EasyBuild in a Debian base, by buildah and podman."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import peers
from easybuild_peer import EasyBuild, easybuild_home, need_wrapped_software
from images.engines import DEBIAN, Engines
from images.judging import layout_of, validated, verdicts_of, verified

pytestmark = [pytest.mark.images, pytest.mark.easybuild]

VERSION = "5.4.1"
IMAGE = "localhost/mpitoy"
SAYS = "rank 0 Open MPI v4.1.4"
MODULES = [
    "GCC/12.2.0",
    "OpenMPI/4.1.4-GCC-12.2.0",
    "gompi/sys",
    "mpitoy/1.0-gompi-sys",
    "toy/1.0",
    "toydep/1.0",
]
LIST = 'IFS=:; printf "%s\\n" $LOADEDMODULES'
AS_ROOT = ("--env", "OMPI_ALLOW_RUN_AS_ROOT=1", "--env", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")


#: Neither in the easyconfig nor in the binaries.
ONLY_A_PERSON_KNOWS = {
    "org.opencontainers.image.licenses": "GPL-2.0-or-later",
    "org.supercontainers.mpi.portability.mode": "hybrid",
}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the hooks leave after a real run."""
    need_wrapped_software()
    easybuild = EasyBuild(VERSION, easybuild_home(VERSION), tmp_path_factory.mktemp("easybuild"))
    easybuild.eb("mpitoy-1.0-gompi-sys.eb", "--robot")
    return easybuild.output / "mpitoy-1.0-gompi-sys"


@pytest.fixture(scope="module")
def package_index() -> Path:
    """Return a Python package index of EasyBuild's wheels, made once, so that the build downloads none."""
    index = peers.cache_folder() / f"easybuild-{VERSION}-index"
    if not index.exists():
        partial = index.with_suffix(".partial")
        python = str(easybuild_home(VERSION) / "bin" / "python")  # pip's own script names the folder it was made in
        packages = [f"easybuild{part}=={VERSION}" for part in ("", "-framework", "-easyblocks", "-easyconfigs")]
        command = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(partial), *packages]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"EasyBuild's wheels cannot be made: {result.stderr.strip().splitlines()[-1:]}")
        for wheel in partial.glob("*.whl"):
            folder = partial / wheel.name.split("-")[0].replace("_", "-")
            folder.mkdir()
            wheel.rename(folder / wheel.name)
            (folder / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
        partial.rename(index)
    return index


@pytest.fixture(scope="module")
def image(engines: Engines, context: Path, package_index: Path) -> Engines:
    """Return the engines with the image built."""
    options = ("--volume", f"{package_index}:/index:ro", "--build-arg", "PIP_INDEX_URL=file:///index")
    engines.build(context, IMAGE, *options)
    return engines


def loaded(said: str) -> list[str]:
    return sorted(said.split())


def test_command_is_the_command(image: Engines) -> None:
    assert image.run(IMAGE, "mpitoy").startswith(SAYS)
    assert image.run(IMAGE, "toy")


def test_arguments_stay_intact(image: Engines) -> None:
    assert image.run(IMAGE, "printf", "%s|", "a b", "$HOME", "'", "*", "") == "a b|$HOME|'|*||"


def test_login_shell_where_nothing_is_asked_for(image: Engines) -> None:
    script = f"shopt -q login_shell && mpitoy && {LIST}\n"
    said = image.run(IMAGE, options=("--interactive",), stdin=script)
    assert said.startswith(SAYS)
    assert loaded(said.partition("\n")[2]) == MODULES


def test_modules_are_loaded_in_a_job_script(image: Engines) -> None:
    assert loaded(image.run(IMAGE, "bash", "-lc", f"module list >/dev/null 2>&1 && {LIST}")) == MODULES
    assert loaded(image.run(IMAGE, "sh", "-lc", LIST)) == MODULES


def test_modules_are_loaded_in_an_interactive_shell_that_is_no_login_shell(image: Engines) -> None:
    assert loaded(image.run(IMAGE, "bash", "-ic", LIST)) == MODULES


def test_module_can_be_unloaded(image: Engines) -> None:
    assert image.run(IMAGE, "bash", "-lc", "module purge 2>/dev/null; command -v mpitoy || echo gone") == "gone\n"


def test_exec_bypasses_entrypoint_and_login(image: Engines) -> None:
    assert image.run(IMAGE, options=("--entrypoint", "mpitoy")).startswith(SAYS)
    assert image.run(IMAGE, "bash", "-c", "mpitoy").startswith(SAYS)


def test_any_user_read_only_and_without_home(image: Engines) -> None:
    options = ("--user", "12345:54321", "--read-only", "--env", "HOME=")
    assert image.run(IMAGE, "mpitoy", options=options).startswith(SAYS)
    assert loaded(image.run(IMAGE, "bash", "-lc", LIST, options=options)) == MODULES


def test_two_ranks_by_the_launcher_inside(image: Engines) -> None:
    said = image.run(IMAGE, "mpirun", "-n", "2", "--oversubscribe", "mpitoy", options=AS_ROOT)
    assert {line[:6] for line in said.splitlines()} == {"rank 0", "rank 1"}


def test_environment_is_the_same_with_and_without_a_login_shell(image: Engines) -> None:
    script = "env | grep -E '^(PATH|EBROOT|EBVERSION|LD_LIBRARY_PATH)' | sort"
    assert image.run(IMAGE, "bash", "-lc", script) == image.run(IMAGE, "sh", "-c", script)


def test_config_keeps_the_contract(image: Engines) -> None:
    config = json.loads(image.podman("inspect", IMAGE).stdout)[0]["Config"]
    assert not config.get("Entrypoint")
    assert config["Cmd"] == ["/bin/bash", "-l"]
    assert config["WorkingDir"] == "/"
    assert not {"User", "Volumes", "Healthcheck", "OnBuild"} & {key for key, value in config.items() if value}


def test_labels_are_the_annotations(image: Engines, context: Path) -> None:
    labels = json.loads(image.podman("inspect", IMAGE).stdout)[0]["Config"]["Labels"]
    annotations = json.loads((context / "annotations.json").read_text("utf-8"))
    ours = {
        key: value for key, value in labels.items() if key.startswith(("org.supercontainers.", "org.opencontainers."))
    }
    assert ours
    assert ours == {key: annotations[key] for key in ours}


def test_image_carries_its_documents(image: Engines, context: Path) -> None:
    for name in ("annotations.json", "record.json", "sbom.cdx.json"):
        assert image.run(IMAGE, "cat", f"/usr/share/hpc3/{name}") == (context / name).read_text("utf-8")


def test_nothing_of_the_builder_is_left(image: Engines) -> None:
    assert image.run(IMAGE, "ls", "/opt") == "easybuild\n"
    script = "find /opt -name '*.log*' -o -name '*_test_report.md'; find /opt /usr/share/hpc3 ! -perm -a+r ! -type l"
    assert image.run(IMAGE, "sh", "-c", script) == ""


def test_annotated_image_is_clean_and_true(image: Engines, context: Path, tmp_path: Path) -> None:
    layout = layout_of(image, IMAGE, tmp_path)
    stated = tmp_path / "stated.json"
    stated.write_text(json.dumps({**json.loads((context / "annotations.json").read_text()), **ONLY_A_PERSON_KNOWS}))
    apply = ["apply", layout, "--from", str(stated), "--complete", "--verify", "--no-isa"]
    done = subprocess.run([sys.executable, "-m", "hpc3.cli", *apply], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    judged = validated(image, layout, run=IMAGE)
    assert judged.code == 0
    assert judged.codes("error", "warning") == set()
    code, document = verified(layout)
    verdicts = verdicts_of(document)
    assert code == 0
    assert "contradicts" not in verdicts.values()
    for name in ("mpi.implementation", "mpi.version", "software.name", "userland.modules"):
        assert verdicts[name] == "agrees"


def test_image_of_eb_containerize_has_the_findings_of_its_template(
    image: Engines, context: Path, tmp_path: Path
) -> None:
    """The Dockerfile of ``eb --containerize``; what installs in it is our image's content.

    It runs EasyBuild as it is on PyPI today, on Ubuntu 20.04 and by pip: those lines are left out.
    """
    easybuild = EasyBuild(VERSION, easybuild_home(VERSION), tmp_path)
    options = ("--experimental", "--container-type=docker", "--container-config=ubuntu:20.04")
    easybuild.eb("mpitoy-1.0-gompi-sys.eb", "--containerize", *options, hooks=None)
    (written,) = (tmp_path / "easybuild/containers").glob("Dockerfile.*")
    text = written.read_text("utf-8")
    steps = [step for step in re.split(r"\n{2,}", text) if not re.search(r"apt-get|pip3|eb --robot|^FROM", step)]
    folders_and_user, *rest = steps
    assert len(rest) == 3  # USER, .bashrc, CMD; the label stands with FROM
    content = f"COPY --from={IMAGE} /opt/easybuild /app\nCOPY --from={IMAGE} /usr/share/lmod /usr/share/lmod\n"
    (tmp_path / "Dockerfile").write_text("\n".join([f"FROM {DEBIAN}", folders_and_user, content, *rest]) + "\n")
    name = "localhost/eb-containerize"
    image.build(tmp_path, name)
    judged = validated(image, layout_of(image, name, tmp_path))
    assert judged.code == 1
    # A user of its own, whose ~/.bashrc alone has the software, and nothing that is stated.
    assert judged.codes("error", "warning") == {"HPC105", "HPC202"}
    code, document = verified(layout_of(image, name, tmp_path))
    assert (code, document["comparisons"]) == (0, [])
    offered = {each["key"].replace("org.supercontainers.", ""): each["value"] for each in document["offers"]}
    assert offered["os.vendor"] == "debian"
