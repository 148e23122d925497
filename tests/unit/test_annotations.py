"""From facts to annotations: every value in its grammar, and a reason for every key that is not there."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from hpc3.annotations import ONLY_THE_IMAGE, annotation_version, annotations_for
from hpc3.containerize import annotations_json
from hpc3.facts import Compiler, Evidence, Fabric, Facts, Gpu, Known, Mpi, Software, Unknown
from hpc3.sources import read_source
from hpc3.vocabulary import OCI_PREFIX, PREFIX, key, vocabulary
from unit.conftest import Refused
from unit.locks import COUNTS, environment_folder, name_of, node
from unit.snapshots import compare
from unit.sources.test_spack_facts import facts

HERE = (Evidence("test"),)


def picks_of(folder: Path) -> list[tuple[str, ...]]:
    """Return one pick for each root of the environment with two MPIs, none for all others."""
    if folder.name != "multi-mpi-multi-target":
        return [()]
    roots = json.loads((folder / "spack.lock").read_bytes())["roots"]
    return [(f"/{root['hash']}",) for root in roots]


def annotated(base: Facts | None = None, **changes: Any) -> dict[str, str]:
    """Return the annotations of facts with some of them changed, without our prefix."""
    found = annotations_for(dataclasses.replace(base or facts(node("app")), **changes))
    return {name[len(PREFIX) :] if name.startswith(PREFIX) else name: v for name, v in found.values.items()}


def missing(base: Facts | None = None, **changes: Any) -> dict[str, str]:
    found = annotations_for(dataclasses.replace(base or facts(node("app")), **changes))
    return {name[len(PREFIX) :] if name.startswith(PREFIX) else name: v for name, v in found.missing.items()}


@pytest.mark.parametrize("name", COUNTS, ids=name_of)
def test_real_locks_give_what_was_reviewed(name: str, rerecord: bool) -> None:
    folder = environment_folder(name)
    for picks in picks_of(folder):
        found = annotations_for(read_source(folder, picks).facts)
        root = f"-{picks[0][1:8]}" if picks else ""
        compare(f"annotations/{name_of(name)}{root}.json", annotations_json(found), rerecord=rerecord)


def test_real_locks_give_well_formed_values_and_a_reason_for_every_mandatory_key(environment: Path) -> None:
    table = vocabulary()
    for picks in picks_of(environment):
        found = annotations_for(read_source(environment, picks).facts)
        assert {n: table[n].fault(v) for n, v in found.values.items() if table[n].fault(v)} == {}
        assert list(found.values) == sorted(found.values)
        mandatory = {row.name for row in table.values() if row.level == "M"}
        assert mandatory <= {*found.values, *found.missing}
        assert not {*found.values} & {*found.missing}
        assert all(found.missing.values())
        assert set(found.missing) <= set(table)


def test_real_locks_hold_the_rules_between_keys(environment: Path) -> None:
    for picks in picks_of(environment):
        values = {n[len(PREFIX) :]: v for n, v in annotations_for(read_source(environment, picks).facts).values.items()}
        gpu_keys = {n for n in values if n.startswith("hardware.gpu.")}
        if values["hardware.gpu.vendor"] == "none":
            assert gpu_keys == {"hardware.gpu.vendor"}
        else:
            assert {"hardware.gpu.runtime", "hardware.gpu.architecture"} <= gpu_keys
        if values["mpi.implementation"] in ("none", "threadmpi"):
            assert {n for n in values if n.startswith("mpi.")} <= {"mpi.implementation", "mpi.portability.mode"}
            assert values["communication.framework"] == "none"
        else:
            assert values["mpi.version"]


def test_labels_are_the_keys_that_are_labels_too() -> None:
    found = annotations_for(facts(node("app")))
    labels = found.labels()
    assert labels.items() <= found.values.items()
    assert key("software.name") in labels
    assert OCI_PREFIX + "version" not in labels


def test_software() -> None:
    values = annotated(software=Known(Software("gromacs", "2025.3", "+mpi"), HERE))
    assert values[OCI_PREFIX + "title"] == values["software.name"] == "gromacs"
    assert values[OCI_PREFIX + "version"] == values["software.version"] == "2025.3"
    assert values["software.variants"] == "+mpi"


def test_software_that_is_not_known_has_the_reason_at_each_key() -> None:
    reasons = missing(software=Unknown("two roots"))
    names = (OCI_PREFIX + "title", OCI_PREFIX + "version", "software.name", "software.version")
    assert [reasons[name] for name in names] == ["two roots"] * 4


@pytest.mark.parametrize(
    ("version", "annotation"),
    [
        ("2025.3", "2025.3"),
        ("develop", "develop"),
        ("git.0fabc3b=2.9.0", "2.9.0+git.0fabc3b"),
        ("git.feature/x=1.0", "1.0+git.feature-x"),
        ("9.9p1", "9.9p1"),
    ],
)
def test_versions(version: str, annotation: str) -> None:
    assert annotation_version(version) == annotation
    assert annotated(facts(node("app", version)))["software.version"] == annotation


def test_dependencies_are_the_runtime_closure() -> None:
    found = annotated(facts(node("app", "git.x/y=1.0", "lib"), node("lib", "git.abc=2"), node("unused")))
    assert found["software.dependencies"] == "app@1.0+git.x-y,lib@2+git.abc"
    assert found["software.packages"] == "app@1.0+git.x-y"


def test_list_that_is_too_long_is_left_out_with_the_reason() -> None:
    libraries = [node(f"a-library-with-quite-a-long-name-{i}") for i in range(2500)]
    base = facts(node("app", "1", *(lib.name for lib in libraries)), *libraries)
    assert "software.dependencies" not in annotated(base)
    assert "longer than 65536" in missing(base)["software.dependencies"]


def test_only_the_image_can_tell() -> None:
    found = annotations_for(facts(node("app")))
    assert set(ONLY_THE_IMAGE) <= set(found.missing)
    assert {found.missing[name] for name in ONLY_THE_IMAGE} == {
        "only the built image can tell; 'hpc3 apply' fills it in"
    }


def test_by_construction() -> None:
    values = annotated()
    assert values["userland.entrypoint"] == "none"
    assert values["userland.shell"] == "/bin/bash"
    assert values["userland.profile"] == "/etc/profile.d/zz-hpc3.sh"
    assert values["schema.version"] == "1.0"


def test_compiler() -> None:
    values = annotated(compiler=Known(Compiler("GCC", "12.3.0", "foss-2023a"), HERE))
    assert values["compiler.name"] == "gcc"
    assert values["compiler.version"] == "12.3.0"
    assert values["compiler.toolchain"] == "foss-2023a"
    assert missing(compiler=Unknown("nothing"))["compiler.name"] == "nothing"


def test_gpu() -> None:
    gpu = Gpu(("nvidia",), ("cuda",), ("sm_90", "sm_80"), "12.9.1", "", "525.60.13", "inject")
    values = annotated(gpu=Known(gpu, HERE))
    assert {n[13:]: v for n, v in values.items() if n.startswith("hardware.gpu.")} == {
        "architecture": "sm_80,sm_90", "cuda.version": "12.9.1", "driver.mode": "inject",
        "driver.version": "525.60.13", "runtime": "cuda", "vendor": "nvidia",
    }  # fmt: skip


def test_gpu_gaps_have_reasons() -> None:
    reasons = missing(gpu=Known(Gpu(("nvidia",), ("cuda",), cuda="99.0"), HERE))
    assert "architectures" in reasons["hardware.gpu.architecture"]
    assert "CUDA 99.0" in reasons["hardware.gpu.driver.version"]
    assert missing(gpu=Unknown("two CUDAs"))["hardware.gpu.vendor"] == "two CUDAs"


def test_mpi() -> None:
    mpi = Mpi("openmpi", "5.0.8", "openmpi", "40", ("pmix_v5",), ("cuda",), "hybrid", "rpath")
    values = annotated(mpi=Known(mpi, HERE))
    assert {n[4:]: v for n, v in values.items() if n.startswith("mpi.")} == {
        "abi.family": "openmpi", "abi.version": "40", "gpu.aware": "cuda", "implementation": "openmpi",
        "library.lookup": "rpath", "pmi": "pmix_v5", "portability.mode": "hybrid", "version": "5.0.8",
    }  # fmt: skip


def test_known_to_be_none_is_said_and_not_known_is_not() -> None:
    assert annotated(mpi=Known(Mpi("mpich", "4", pmi=(), gpu_aware=()), HERE))["mpi.pmi"] == "none"
    values = annotated(mpi=Known(Mpi("mpich", "4", pmi=None, gpu_aware=None), HERE))
    assert not {"mpi.pmi", "mpi.gpu.aware", "mpi.abi.family"} & values.keys()


@pytest.mark.parametrize("name", ["mpi.pmi", "mpi.abi.family", "mpi.abi.version", "mpi.portability.mode"])
def test_mpi_gaps_have_reasons(name: str) -> None:
    assert missing(mpi=Known(Mpi("mpich", "develop"), HERE))[name]


def test_fabric() -> None:
    fabric = Fabric(("libfabric", "ucx"), ("ofi:tcp",), "2.3.1", "1.19.0", ("nccl@2.21.5-1",))
    values = annotated(fabric=Known(fabric, HERE))
    assert values["communication.framework"] == "libfabric,ucx"
    assert values["communication.providers"] == "ofi:tcp"
    assert values["communication.collectives"] == "nccl@2.21.5-1"
    assert (values["libfabric.version"], values["ucx.version"]) == ("2.3.1", "1.19.0")


def test_collectives_at_a_git_version() -> None:
    values = annotated(fabric=Known(Fabric((), collectives=("nccl@git.v2.21=2.21.5", "ucc@1.3")), HERE))
    assert values["communication.collectives"] == "nccl@2.21.5+git.v2.21,ucc@1.3"


def test_fabric_of_no_mpi_and_of_an_unknown_one() -> None:
    assert annotated(fabric=Known(Fabric(()), HERE))["communication.framework"] == "none"
    assert "communication.framework" not in annotated(fabric=Known(Fabric(None, ucx="1.19.0"), HERE))
    assert missing(fabric=Known(Fabric(None, ucx="1.19.0"), HERE))["communication.framework"]
    assert "ucx.version" not in annotated(fabric=Known(Fabric(None, ucx="develop"), HERE))


def test_documentation_is_base64() -> None:
    values = annotated(documentation={"readme": "# Grüße\n", "howto.run": "run"})
    assert base64.b64decode(values["documentation.readme"]).decode() == "# Grüße\n"
    assert values["documentation.howto.run"] == "cnVu"


def test_documentation_that_is_too_long_is_left_out_with_the_reason() -> None:
    assert "longer than 4096" in missing(documentation={"readme": "x" * 4000})["documentation.readme"]


def test_stated_fills_gaps() -> None:
    values = annotated(stated={OCI_PREFIX + "licenses": "MIT", key("smoketest.command"): '["app","--version"]'})
    assert values[OCI_PREFIX + "licenses"] == "MIT"
    assert values["smoketest.command"] == '["app","--version"]'


def test_stated_may_say_ocis_keys_better() -> None:
    values = annotated(stated={OCI_PREFIX + "title": "GROMACS for everyone"})
    assert values[OCI_PREFIX + "title"] == "GROMACS for everyone"
    assert values["software.name"] == "app"


def test_stated_that_agrees_is_welcome() -> None:
    assert annotated(stated={key("software.name"): "app"})["software.name"] == "app"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (key("mpi.implementation"), "openmpi", ["'openmpi'", "'none'"]),
        (key("hardware.cpu.optimized.version"), "zen5", ["'zen5'", "'x86_64_v3'"]),
        (key("mpi.pmi"), "pmix7", ["ill-formed"]),
        (key("no.such.key"), "x", ["no key"]),
        ("com.hooks.mpi.enabled", "true", ["steers container runtimes"]),
        ("run.oci.hooks.stdout", "/etc/passwd", ["steers container runtimes"]),
        (OCI_PREFIX + "title", "a\nb", ["ill-formed"]),
        (OCI_PREFIX + "title", "", ["ill-formed"]),
    ],
)
def test_stated_that_cannot_be(name: str, value: str, words: list[str], refused: Refused) -> None:
    with refused("labels", name, *words):
        annotations_for(dataclasses.replace(facts(node("app")), stated={name: value}))


def test_stated_gpu_on_software_without_gpu_contradicts(refused: Refused) -> None:
    """``none`` leaves the rest out: a stated CUDA version would contradict it."""
    with refused("labels", key("hardware.gpu.cuda.version")):
        annotations_for(dataclasses.replace(facts(node("app")), stated={key("hardware.gpu.cuda.version"): "12.4.1"}))


def test_same_facts_give_the_same_text() -> None:
    first, second = (annotations_json(annotations_for(facts(node("app")))) for _ in range(2))
    assert first == second
