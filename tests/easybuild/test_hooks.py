"""Real runs of ``eb`` with the hooks on: what is written, when, and when not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import peers
from easybuild_peer import HERE, HOOKS, EasyBuild, need_wrapped_software

pytestmark = pytest.mark.easybuild

TOY = "mpitoy-1.0-gompi-sys"
FILES = {"Dockerfile", "annotations.json", "record.json", "sbom.cdx.json", "sbom.spdx.json", "easyconfigs", "sources"}


def listed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def beside(easybuild: EasyBuild) -> list[str]:
    """Return the modules that have a record beside their installation."""
    software = easybuild.folder / "easybuild" / "software"
    return sorted(str(path.parents[1].relative_to(software)) for path in software.glob("*/*/easybuild/hpc3.json"))


def test_run_leaves_a_folder_for_what_was_asked_for(installed: EasyBuild) -> None:
    assert listed(installed.output) == {TOY}
    assert listed(installed.output / TOY) == FILES
    assert listed(installed.output / TOY / "sources") == {
        "mpitoy-1.0.tar.gz",
        "toy-1.0.tar.gz",
        "toydep-1.0.tar.gz",
    }


def test_run_leaves_a_record_beside_each_installation(installed: EasyBuild) -> None:
    assert beside(installed) == [
        "GCC/12.2.0",
        "OpenMPI/4.1.4-GCC-12.2.0",
        "gompi/sys",
        "mpitoy/1.0-gompi-sys",
        "toy/1.0",
        "toydep/1.0",
    ]


def test_record_keeps_its_schema(installed: EasyBuild) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((peers.REPOSITORY / "shared/hpc3/data/easybuild_record.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(installed.record(TOY))


def test_record_states_what_was_installed(installed: EasyBuild) -> None:
    record = installed.record(TOY)
    assert record["state"] == "installed"
    assert record["requested"] == ["mpitoy/1.0-gompi-sys"]
    assert record["easybuild"]["version"] == installed.version
    assert all(entry["installed"] and entry["runtime"] for entry in record["modules"])
    assert {entry["module"] for entry in record["modules"] if entry["wrapper"]} == {
        "GCC/12.2.0",
        "OpenMPI/4.1.4-GCC-12.2.0",
    }


def test_record_names_no_folder_of_the_builder(installed: EasyBuild) -> None:
    text = (installed.output / TOY / "record.json").read_text("utf-8")
    assert str(installed.folder) not in text
    assert str(peers.REPOSITORY) not in text
    assert "@SOFTWARE@/mpitoy/1.0-gompi-sys/bin" in text


def test_environment_is_what_the_module_gives(installed: EasyBuild) -> None:
    script = (
        f". /usr/share/lmod/lmod/init/bash; module use {installed.folder}/easybuild/modules/all; module load mpitoy"
    )
    said = subprocess.run(
        ["env", "-i", "PATH=/usr/bin:/bin", "bash", "-c", f"{script}; env -0"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    real = dict(word.split("=", 1) for word in said.split("\0") if "=" in word)
    stated = {entry["name"]: entry["values"] for entry in installed.record(TOY)["environment"]}
    software = f"{installed.folder}/easybuild/software"
    assert [path.replace("@SOFTWARE@", software) for path in stated["PATH"]] == real["PATH"].split(":")[:-2]
    for name in real:
        if name.startswith(("EBROOT", "EBVERSION")):
            assert stated[name] == [real[name].replace(software, "@SOFTWARE@")]


def test_annotations_are_right(installed: EasyBuild) -> None:
    archspec = pytest.importorskip("archspec.cpu")
    annotations = installed.annotations(TOY)
    assert annotations.pop("software.recipe.digest").startswith("sha256:")
    assert annotations.pop("hardware.cpu.optimized.version") == archspec.host().name
    del annotations["hardware.cpu.features"], annotations["hardware.cpu.optimized.mode"]
    assert annotations.pop("software.manager.version") == installed.version
    assert annotations == {
        "org.opencontainers.image.description": "toy MPI application",
        "org.opencontainers.image.title": "mpitoy",
        "org.opencontainers.image.version": "1.0",
        "compiler.name": "gcc",
        "compiler.toolchain": "gompi-sys",
        "compiler.version": "12.2.0",
        "hardware.gpu.vendor": "none",
        "mpi.abi.family": "openmpi",
        "mpi.abi.version": "40",
        "mpi.implementation": "openmpi",
        "mpi.version": "4.1.4",
        "schema.version": "1.0",
        "software.dependencies": "gcc@12.2.0,gompi@sys,mpitoy@1.0,openmpi@4.1.4,toy@1.0,toydep@1.0",
        "software.manager.name": "easybuild",
        "software.name": "mpitoy",
        "software.packages": "mpitoy@1.0",
        "software.variants": "toolchain=gompi-sys",
        "software.version": "1.0",
        "userland.entrypoint": "none",
        "userland.modules": "lmod",
        "userland.profile": "/etc/profile.d/zz-hpc3.sh",
        "userland.shell": "/bin/bash",
    }


def test_command_line_gives_the_same_from_the_record(installed: EasyBuild) -> None:
    folder = installed.output / TOY
    for verb, name in (("containerize", "Dockerfile"), ("annotations", "annotations.json"), ("sbom", "sbom.cdx.json")):
        assert installed.hpc3(verb, str(folder / "record.json")).stdout == (folder / name).read_text("utf-8")
    installed.hpc3("containerize", str(folder / "record.json"), "--check", str(folder / "Dockerfile"))


def test_command_line_gives_the_same_from_the_easyconfig(installed: EasyBuild) -> None:
    asked = installed.hpc3("annotations", f"{TOY}.eb").stdout
    assert asked == (installed.output / TOY / "annotations.json").read_text("utf-8")


def test_second_run_writes_the_same_bytes(installed: EasyBuild) -> None:
    again = installed.folder / "again"
    said = installed.eb(f"{TOY}.eb", env={"HPC3_OUTPUT": str(again)}).stdout
    assert "already installed" in said
    assert f"{again / TOY}" in said
    for name in FILES - {"easyconfigs", "sources"}:
        assert (again / TOY / name).read_bytes() == (installed.output / TOY / name).read_bytes()


def test_two_runs_at_once_do_not_collide(installed: EasyBuild) -> None:
    both = installed.folder / "both"
    command = [str(installed.home / "bin" / "eb"), f"{TOY}.eb", f"--hooks={HOOKS}"]
    running = [
        subprocess.Popen(command, cwd=installed.folder, env=installed.environment(HPC3_OUTPUT=str(both)),
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]  # fmt: skip
    assert [process.wait() for process in running] == [0, 0]
    assert not any(b"WARNING: hpc3" in process.communicate()[0] for process in running)
    assert listed(both / TOY) == FILES


@pytest.mark.parametrize("option", ["-x", "--fetch", "--stop=build"])
def test_nothing_is_recorded_where_nothing_is_installed(easybuild: EasyBuild, option: str) -> None:
    easybuild.eb("toydep-1.0.eb", option, *(["--disable-rpath"] if option == "-x" else []))
    assert not easybuild.output.exists()
    assert beside(easybuild) == []


def test_dry_run_writes_the_plan(easybuild: EasyBuild) -> None:
    said = easybuild.eb(f"{TOY}.eb", "-D", "--robot")
    assert said.stdout.count(" * [ ]") == 6
    record = easybuild.record(TOY)
    assert record["state"] == "planned"
    assert record["environment"] is None
    assert len(record["modules"]) == 6
    assert "EasyBuild's rules foresee" in (easybuild.output / TOY / "Dockerfile").read_text("utf-8")
    assert beside(easybuild) == []


def test_failed_build_is_not_recorded(easybuild: EasyBuild) -> None:
    text = (HERE / "easyconfigs" / "toy-1.0.eb").read_text("utf-8")
    broken = easybuild.easyconfig("broken-1.0.eb", text.replace("'toy'", "'broken'", 1).replace("gcc -O2", "false #"))
    broken.write_text(broken.read_text().replace("sources = [SOURCE_TAR_GZ]", "sources = ['toy-1.0.tar.gz']"))
    result = easybuild.eb(str(broken), "--robot", check=False)
    assert result.returncode != 0
    assert "WARNING: hpc3" not in result.stdout + result.stderr
    assert not easybuild.output.exists()
    assert beside(easybuild) == ["toydep/1.0"]


def test_interrupted_build_leaves_nothing_half_written(easybuild: EasyBuild) -> None:
    text = (HERE / "easyconfigs" / "toydep-1.0.eb").read_text("utf-8").replace("gcc -O2", "sleep 30; gcc")
    slow = easybuild.easyconfig("toydep-1.0.eb", text)
    command = [str(easybuild.home / "bin" / "eb"), str(slow), f"--hooks={HOOKS}"]
    process = subprocess.Popen(command, cwd=easybuild.folder, env=easybuild.environment(PYTHONUNBUFFERED="1"),
                               start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if b"building..." in line:
            break
    time.sleep(0.5)
    # Not SIGINT: where tests run in the background it is ignored, and children inherit that.
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
    assert process.returncode != 0
    assert not easybuild.output.exists()
    assert beside(easybuild) == []


def test_output_that_cannot_be_written_is_one_warning(easybuild: EasyBuild) -> None:
    (easybuild.folder / "file").write_text("in the way")
    output = str(easybuild.folder / "file" / "below")
    result = easybuild.eb("toy-1.0.eb", "--robot", env={"HPC3_OUTPUT": output})
    said = result.stdout + result.stderr
    assert said.count("WARNING: hpc3") == 1
    assert "Not a directory" in said
    assert "Traceback" not in said
    assert beside(easybuild) == ["toy/1.0", "toydep/1.0"]


def test_what_cannot_be_recorded_is_one_warning_and_a_file(easybuild: EasyBuild) -> None:
    easybuild.eb("toydep-1.0.eb", hooks=None)
    alone = easybuild.folder / "alone"
    alone.mkdir()
    toy = alone / "toy-1.0.eb"
    toy.write_text((HERE / "easyconfigs" / "toy-1.0.eb").read_text("utf-8"))
    # The module of toydep is there, its easyconfig is not: EasyBuild goes on, and the closure is not known.
    result = easybuild.eb(str(toy), env={"EASYBUILD_ROBOT_PATHS": str(alone)})
    said = result.stdout + result.stderr
    assert said.count("WARNING: hpc3") == 1
    fault = json.loads((easybuild.output / "the-plan.fault.json").read_text("utf-8"))
    assert fault["fault"] == "toy-1.0.eb: no easyconfig is found for its dependency toydep-1.0"


def test_several_requests_get_a_folder_each(easybuild: EasyBuild) -> None:
    easybuild.eb("toy-1.0.eb", "toydep-1.0.eb", "--robot")
    assert listed(easybuild.output) == {"toy-1.0", "toydep-1.0"}


def test_stack_is_asked_for_item_by_item(easybuild: EasyBuild) -> None:
    """Its items are not on the command line, and a toolchain that is built for one is not asked for."""
    need_wrapped_software()
    stack = easybuild.easyconfig("stack.yaml", "easyconfigs:\n  - toy-1.0.eb\n  - mpitoy-1.0-gompi-sys.eb\n")
    easybuild.eb("--experimental", "--easystack", str(stack), "--robot")
    assert listed(easybuild.output) == {"toy-1.0", TOY}


@pytest.mark.parametrize(
    ("optarch", "target"),
    [
        ("GENERIC", "x86_64"),
        ("march=x86-64-v3 -mtune=generic", "x86_64_v3"),
        ("GCC:march=znver2;Intel:xHost", "zen2"),
    ],
)
def test_optarch_becomes_the_target_and_stays_an_option(easybuild: EasyBuild, optarch: str, target: str) -> None:
    easybuild.eb(f"{TOY}.eb", "-D", "--robot", f"--optarch={optarch}")
    assert easybuild.annotations(TOY)["hardware.cpu.optimized.version"] == target
    recipe = (easybuild.output / TOY / "Dockerfile").read_text("utf-8")
    assert (f"'--optarch={optarch}'" if " " in optarch or ";" in optarch else f"--optarch={optarch}") in recipe


def test_earlier_build_for_another_processor_counts(easybuild: EasyBuild) -> None:
    need_wrapped_software()
    easybuild.eb(f"{TOY}.eb", "--robot", "--optarch=march=x86-64-v2 -mtune=generic")
    easybuild.eb(f"{TOY}.eb", "--optarch=GENERIC", env={"HPC3_OUTPUT": str(easybuild.output)})
    assert easybuild.annotations(TOY)["hardware.cpu.optimized.version"] == "x86_64_v2"


def test_build_without_hooks_is_told_by_its_test_report(easybuild: EasyBuild) -> None:
    need_wrapped_software()
    easybuild.eb(f"{TOY}.eb", "--robot", "--optarch=march=x86-64-v2 -mtune=generic", hooks=None)
    facts = json.loads(easybuild.hpc3("facts", f"{TOY}.eb").stdout)
    assert facts["target"]["value"]["name"] == "x86_64_v2"
    assert any("test report" in str(evidence) for evidence in facts["target"]["evidence"])


def test_hierarchical_naming_scheme(easybuild: EasyBuild) -> None:
    need_wrapped_software()
    scheme = "--module-naming-scheme=HierarchicalMNS"
    easybuild.eb(f"{TOY}.eb", "--robot", scheme, check=False)
    record = easybuild.record(TOY) if easybuild.output.exists() else None
    if record is None:
        easybuild.eb(f"{TOY}.eb", "-D", "--robot", scheme)
        record = easybuild.record(TOY)
    assert record["load"]["paths"] == ["Core"]
    assert record["load"]["modules"][-1] == "mpitoy/1.0"
    assert record["load"]["modules"][:1] == ["GCC/12.2.0"]
    recipe = (easybuild.output / TOY / "Dockerfile").read_text("utf-8")
    assert "--module-naming-scheme=HierarchicalMNS" in recipe
    assert "module use /opt/easybuild/modules/all/Core" in recipe


def test_hostile_strings_stay_strings(easybuild: EasyBuild) -> None:
    dockerfile = pytest.importorskip("dockerfile")
    text = (HERE / "easyconfigs" / "toydep-1.0.eb").read_text("utf-8")
    hostile = 'it\'s "quoted" $HOME `id` \\\\ \\n\\x1b[31m \\u202e LABEL a=b'
    text = text.replace('"toy dependency"', f'"""{hostile}"""').replace(
        "https://example.org/toydep", "javascript:$(id)"
    )
    easybuild.eb(str(easybuild.easyconfig("toydep-1.0.eb", text)))
    path = easybuild.output / "toydep-1.0" / "Dockerfile"
    commands = [command.cmd.upper() for command in dockerfile.parse_file(str(path))]
    assert commands[-1] == "LABEL"
    assert commands.count("LABEL") == 1
    assert not (easybuild.output / "toydep-1.0" / "faults.json").exists()
