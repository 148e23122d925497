from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.cli import main
from hpc3.consume.image import Image, image_of
from hpc3.consume.tweak.configuration import Configuration
from hpc3.consume.tweak.engines import ENGINES, configuration_for
from hpc3.consume.tweak.oci_hooks import anchored, entry
from hpc3.fingerprint import Fingerprint, HostFabric, HostGpu, HostMpi, Launcher
from hpc3.host.document import fingerprint_to_json
from hpc3.vocabulary import is_reserved, key
from unit.consume.consumer_examples import A100, CRAY, CUDA, MPICH, OPENMPI5, PLAIN, ROCM, host, image, lumi_g

REFERENCE = "ghcr.io/site/gromacs:2025.3"
INTEL = {"hardware.gpu.vendor": "intel"}


PYXIS = "--container-image=ghcr.io#site/gromacs:2025.3"


def named(*parts: dict[str, str], **changed: str) -> Image:
    return replace(image(*parts, **changed), reference=REFERENCE)


def node_with_a100() -> Fingerprint:
    return host(gpus=(A100,), fabrics=(HostFabric("mlx5", 2),), name="a100")


def tweak(engine: str, stated: Image, on: Fingerprint) -> Configuration:
    return configuration_for(stated, on, engine)


def text_of(configuration: Configuration, suffix: str) -> str:
    (file,) = [file for file in configuration.files if file.path.endswith(suffix)]
    return file.text


# oci-hooks(5) 1.0.0, as Sarus' etc/hook.schema.json has it: precreate is Podman's alone.
STAGES = {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}


@pytest.mark.parametrize("engine", ["podman", "sarus"])
def test_hooks_follow_their_format(engine: str) -> None:
    document = json.loads(text_of(tweak(engine, named(MPICH), lumi_g()), ".json"))
    assert set(document) == {"version", "hook", "when", "stages"}
    assert document["version"] == "1.0.0"
    assert document["hook"]["path"].startswith("/")
    assert set(document["stages"]) <= STAGES
    assert "MPI_LIBS=/opt/cray/lib/libmpi.so.12" in document["hook"]["env"]
    assert all(re.fullmatch(r"\w+=.*", variable) for variable in document["hook"]["env"])


def test_hooks_have_the_shape_of_hooks_that_sites_run(third_party: Path) -> None:
    real = [json.loads(file.read_text("utf-8")) for file in sorted((third_party / "hooks").glob("*.json"))]
    ours = json.loads(text_of(tweak("podman", named(MPICH), lumi_g()), ".json"))
    assert len(real) >= 6
    assert set(ours) == set.union(*(set(hook) for hook in real))
    assert set(ours["hook"]) <= set.union(*(set(hook["hook"]) for hook in real))
    assert {type(value) for hook in real for value in hook["when"].get("annotations", {}).values()} == {str}


@pytest.mark.parametrize("search", [re.search, re.fullmatch])  # Podman, Sarus
def test_hooks_match_what_they_mean_under_both_rules(search: Any) -> None:
    conditions = json.loads(text_of(tweak("podman", named(MPICH), lumi_g()), ".json"))["when"]["annotations"]
    stated = {name: statement.value for name, statement in named(MPICH).statements.items()}

    def selected(annotations: dict[str, str]) -> bool:
        return all(
            any(search(name, n) and search(value, v) for n, v in annotations.items())
            for name, value in conditions.items()
        )

    assert selected(stated)
    assert not selected({**stated, key("mpi.abi.family"): "openmpi"})
    assert not selected({**stated, key("mpi.portability.mode"): "hybrid"})
    assert not selected({**stated, key("mpi.abi.family"): "mpich-like"})
    assert not selected({f"x{name}": value for name, value in stated.items()})


@settings(deadline=None)  # other work on the machine does not count
@given(st.text(max_size=20), st.text(max_size=20))
def test_an_anchored_expression_matches_its_text_alone(text: str, other: str) -> None:
    assert re.fullmatch(anchored(text), text)
    assert bool(re.search(anchored(text), other)) is (text == other or other == f"{text}\n")


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("libfabric", True),
        ("libfabric,ucx", True),
        ("ucx,libfabric", True),
        ("libfabric2", False),
        ("xlibfabric", False),
        ("ucx", False),
    ],
)
def test_an_entry_of_a_list(value: str, matches: bool) -> None:
    assert bool(re.search(entry("libfabric"), value)) is matches
    assert bool(re.fullmatch(entry("libfabric"), value)) is matches


def test_podman_gets_annotations_explicitly_and_none_that_steers() -> None:
    command = tweak("podman", named(MPICH), lumi_g()).command
    given_ = [command[n + 1] for n, word in enumerate(command) if word == "--annotation"]
    assert f"{key('mpi.abi.family')}=mpich" in given_
    assert not any(is_reserved(annotation) for annotation in given_)


@pytest.mark.parametrize(
    ("parts", "on", "engine", "words"),
    [
        ((MPICH,), lumi_g(), "podman-hpc", ["srun", "--mpi=pmi2", "podman-hpc", "run", "--rm", "--mpi"]),
        ((OPENMPI5, CUDA), node_with_a100(), "podman-hpc", ["--gpu", "--openmpi-pmix"]),
        ((CUDA,), node_with_a100(), "podman", ["--device", "nvidia.com/gpu=all"]),
        ((ROCM,), lumi_g(), "podman", ["--device", "/dev/kfd", "--device", "/dev/dri"]),
        ((CUDA,), node_with_a100(), "apptainer", ["apptainer", "exec", "--nv", f"docker://{REFERENCE}"]),
        ((ROCM,), lumi_g(), "apptainer", ["--rocm"]),
        ((MPICH,), lumi_g(), "apptainer", ["APPTAINER_CONTAINLIBS=/opt/cray/lib/libmpi.so.12"]),
        ((MPICH,), lumi_g(), "sarus", ["sarus", "run", "--mpi"]),
        ((MPICH,), lumi_g(), "shifter", ["--module=mpich", f"--image=docker:{REFERENCE}"]),
        ((CUDA,), node_with_a100(), "shifter", ["--module=gpu"]),
        ((MPICH,), host(launcher=Launcher("flux", pmi=("pmi1",))), "podman", ["flux", "run", "-opmi=simple", "podman"]),
        ((MPICH,), host(launcher=Launcher("flux", pmi=("pmi1",))), "edf", ["srun"]),  # a plug-in of Slurm
        ((MPICH,), host(launcher=Launcher("none", pmi=())), "podman", ["podman", "run"]),
        ((INTEL,), host(gpus=(HostGpu("intel"),)), "podman", ["--device", "/dev/dri"]),
        ((), host(), "shifter", ["srun", "-N1", "-n1", "shifter", "--module=none"]),
        ((CUDA,), node_with_a100(), "enroot", ["env", "NVIDIA_VISIBLE_DEVICES=all"]),
        ((OPENMPI5,), node_with_a100(), "enroot", ["srun", "--mpi=pmix_v4", PYXIS]),
        ((MPICH,), lumi_g(), "charliecloud", ["ch-run", "--set-env", "--bind=/opt/cray/lib:/mnt/0"]),
    ],
)  # fmt: skip
def test_commands(parts: tuple[dict[str, str], ...], on: Fingerprint, engine: str, words: list[str]) -> None:
    command = list(tweak(engine, named(*parts), on).command)
    places = [command.index(word) for word in dict.fromkeys(words)]
    assert places == sorted(places)
    assert command[-1] == "COMMAND"


def test_no_common_pmi_is_said() -> None:
    configuration = tweak("podman", named(OPENMPI5), lumi_g())
    assert not any(word.startswith("--mpi=") for word in configuration.command)
    assert any("no PMI in common" in note for note in configuration.notes)


def toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    tomli = pytest.importorskip("tomli", reason="Python before 3.11 has no TOML reader")
    document: dict[str, Any] = tomli.loads(text)
    return document


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for name, value in table.items():
        found.update(flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return found


def test_edf_is_toml_with_the_keys_of_cscs() -> None:
    nccl = {"communication.collectives": "nccl@2.21.5"}
    document = toml(tweak("edf", named(MPICH, CUDA, nccl), replace(lumi_g(), gpus=(A100,))).files[0].text)
    assert set(document) <= {
        "base_environment",
        "image",
        "workdir",
        "entrypoint",
        "writable",
        "mounts",
        "env",
        "annotations",
    }
    assert document["image"] == "ghcr.io#site/gromacs:2025.3"
    assert document["entrypoint"] is False
    assert document["env"]["FI_PROVIDER"] == "cxi"
    annotations = flat(document["annotations"])
    assert annotations == {
        "com.hooks.aws_ofi_nccl.enabled": "true",
        "com.hooks.aws_ofi_nccl.variant": "cuda12",
        "com.hooks.cxi.enabled": "true",
    }


def test_podman_module_is_toml() -> None:
    module = [f for f in tweak("podman", named(), host()).files if "modules" in f.path]
    assert toml(module[0].text)["containers"]["netns"] == "host"


def test_podman_hpc_module_has_the_keys_of_nersc(third_party: Path) -> None:
    real = [yaml.safe_load(file.read_text("utf-8")) for file in sorted((third_party / "podman-hpc").glob("*.yaml"))]
    known = {name for module in real for name in module}
    ompi = HostMpi("openmpi", "5.0.3", "openmpi", "libmpi.so.40", "40.40.3", "/opt/ompi/lib/libmpi.so.40", "2.17")
    stated = named(OPENMPI5, mpi__portability__mode="replace")
    module = yaml.safe_load(text_of(tweak("podman-hpc", stated, host(mpis=(ompi,))), ".yaml"))
    assert set(module) <= known
    types = {name: {type(m[name]) for m in real if name in m} for name in module}
    assert all(type(module[name]) in types[name] for name in module)
    conflicting = {m["name"] for m in real if "mpi" in m["name"]} | {m["cli_arg"] for m in real if "mpi" in m["name"]}
    assert conflicting <= set(module["conflicts"])


def run_enroot_hook(tmp_path: Path, rc: str) -> str:
    hook = text_of(tweak("enroot", named(MPICH), lumi_g()), ".sh")
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/rc").write_text(rc)
    (tmp_path / "mounts").touch()
    (tmp_path / "hook.sh").write_text(hook)
    environment = {
        "ENROOT_ROOTFS": str(tmp_path / "root"),
        "ENROOT_MOUNTS": str(tmp_path / "mounts"),
        "PATH": "/usr/bin:/bin",
    }
    subprocess.run(["sh", str(tmp_path / "hook.sh")], check=True, env=environment)
    return (tmp_path / "mounts").read_text("utf-8")


LABELS = f"# {key('mpi.abi.family')} mpich\n# {key('mpi.portability.mode')} replace\n"


@pytest.mark.parametrize(
    ("rc", "mounts"),
    [
        (LABELS, True),
        ("", False),
        (LABELS.replace("mpich", "openmpi"), False),
        (LABELS.replace("replace", "hybrid"), False),
        (LABELS.replace("org.", "orgX"), False),
    ],
)
def test_enroot_hook_obeys_labels(tmp_path: Path, rc: str, mounts: bool) -> None:
    line = "/opt/cray/lib/libmpi.so.12 /usr/lib/libmpi.so.12 none x-create=file,bind,ro,nosuid,nodev,nofail\n"
    assert run_enroot_hook(tmp_path, rc) == (line if mounts else "")


def test_shifter_lines_are_keys_and_values() -> None:
    lines = text_of(tweak("shifter", named(MPICH), lumi_g()), ".conf").splitlines()
    assert all(re.fullmatch(r"module_mpich_\w+=\S+", line) for line in lines)


HOSTILE = "$(touch /tmp/pwned)`id`\";'\n\x1b[2J"


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_nothing_hostile_leaves_its_quotes(engine: str) -> None:
    values = {key(name): value for name, value in {**PLAIN, **MPICH}.items()}
    hostile = image_of({"annotation": {**values, key("os.name"): HOSTILE}}, reference=f"ghcr.io/x:{HOSTILE}")
    evil = replace(CRAY, path=f"/opt/{HOSTILE}/libmpi.so.12")
    configuration = tweak(engine, hostile, host(mpis=(evil,)))
    for file in configuration.files:
        assert "pwned" not in file.text or engine == "edf"
    words = shlex.split(configuration.command_line)
    assert words == list(configuration.command)
    if engine == "edf":
        assert toml(configuration.files[0].text)["image"].endswith(HOSTILE)


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("parts", [(), (MPICH,), (OPENMPI5,), (CUDA,), (ROCM, MPICH)])
def test_every_engine_has_an_answer_and_the_same_one_twice(engine: str, parts: tuple[dict[str, str], ...]) -> None:
    for on in (host(), lumi_g(), node_with_a100(), Fingerprint()):
        assert tweak(engine, named(*parts), on) == tweak(engine, named(*parts), on)


def files(tmp_path: Path) -> list[str]:
    stated = {name: statement.value for name, statement in named(MPICH).statements.items()}
    document = {"reference": REFERENCE, "annotations": stated, "provenance": {}}
    (tmp_path / "image.json").write_text(json.dumps(document))
    (tmp_path / "host.json").write_text(fingerprint_to_json(lumi_g()))
    return [str(tmp_path / "image.json"), "--host", str(tmp_path / "host.json")]


def test_install_prints_the_difference_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["tweak", *files(tmp_path), "--engine", "sarus", "--install", str(tmp_path / "root")]
    hook = tmp_path / "root/opt/sarus/default/etc/hooks.d/50-hpc3-mpi.json"
    assert main([*arguments, "--dry-run"]) == 0
    assert "+++" in capsys.readouterr().out
    assert not hook.exists()
    assert main(arguments) == 0
    assert hook.read_text("utf-8").startswith("{")
    capsys.readouterr()
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "as it should be" in captured.err


def test_install_makes_hooks_executable(tmp_path: Path) -> None:
    assert main(["tweak", *files(tmp_path), "--engine", "enroot", "--install", str(tmp_path / "root")]) == 0
    assert (tmp_path / "root/etc/enroot/hooks.d/60-hpc3.sh").stat().st_mode & 0o111


def test_install_where_it_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root").write_text("a file where a folder should be")
    assert main(["tweak", *files(tmp_path), "--engine", "sarus", "--install", str(tmp_path / "root")]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_verb_prints_files_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tweak", *files(tmp_path), "--engine", "edf"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# /.edf/gromacs-2025-3.toml\n")
    assert said.endswith("# run\nsrun --mpi=pmi2 --environment=gromacs-2025-3 COMMAND\n")
    assert main(["tweak", *files(tmp_path), "--engine", "podman", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "podman"
