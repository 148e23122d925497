from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hpc3.cli import main
from hpc3.consume.check import FACETS, check_image
from hpc3.consume.check_report import report_text, reports_json, reports_junit
from hpc3.consume.image import Image, image_of
from hpc3.consume.verdict import Verdict
from hpc3.fingerprint import Fingerprint, Kernel
from hpc3.host.document import fingerprint_to_json
from hpc3.vocabulary import key
from unit.consume.consumer_examples import A100, CUDA, MPICH, OPENMPI5, PLAIN, host, image, lumi_g

MANDATORY_FOR_RUNNING = (
    "hardware.cpu.optimized.version", "hardware.gpu.vendor", "mpi.implementation", "system.libc.name"
)  # fmt: skip


def codes(stated: Image, on: Fingerprint) -> dict[str, Verdict]:
    return {judgement.code: judgement.verdict for judgement in check_image(stated, on).judgements}


def test_a_fitting_image_is_ok_in_every_facet() -> None:
    report = check_image(image(), host())
    assert report.verdict is Verdict.OK
    assert report.sentence == "runs"
    assert {judgement.facet for judgement in report.judgements} == set(FACETS)


@pytest.mark.parametrize("name", MANDATORY_FOR_RUNNING)
def test_a_missing_mandatory_fact_is_never_ok(name: str) -> None:
    assert check_image(image(without=name), host()).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("attribute", ["cpu", "kernel"])
def test_a_host_that_does_not_know_itself_is_never_ok(attribute: str) -> None:
    assert check_image(image(), replace(host(), **{attribute: None})).verdict is Verdict.UNKNOWN


def test_an_empty_fingerprint_never_gives_ok() -> None:
    for parts in ((), (CUDA,), (MPICH,), (OPENMPI5, CUDA)):
        assert check_image(image(*parts), Fingerprint()).verdict in (Verdict.UNKNOWN, Verdict.FAILS)


def test_fails_outweighs_unknown() -> None:
    report = check_image(image(CUDA, without="mpi.implementation"), host())
    assert report.verdict is Verdict.FAILS
    assert report.verdict.exit_code == 20
    assert report.sentence.startswith("will not run here: The image needs a GPU")


def test_kernel() -> None:
    old = image(system__kernel__version__min="6.1")
    assert codes(old, host())["KERNEL_TOO_OLD"] is Verdict.FAILS
    pages = image(system__page__size__max="4096")
    assert codes(pages, host(kernel=Kernel("5.14", 65536)))["KERNEL_PAGE_SIZE"] is Verdict.FAILS
    assert codes(pages, host(kernel=Kernel("5.14")))["KERNEL_PAGE_UNKNOWN"] is Verdict.UNKNOWN
    modules = image(system__kernel__modules__required="xpmem", system__kernel__modules__optional="knem")
    assert codes(modules, host())["KERNEL_MODULE"] is Verdict.FAILS
    assert codes(modules, host())["KERNEL_OPTIONAL"] is Verdict.DEGRADED


def test_devices() -> None:
    stated = image(system__devices="/dev/infiniband/uverbs0,nvidia.com/gpu=all")
    assert codes(stated, host())["DEVICES_MISSING"] is Verdict.FAILS
    there = host(devices=("/dev/infiniband", "nvidia.com/gpu=all"))
    assert codes(stated, there)["DEVICES_OK"] is Verdict.OK


def test_metadata_is_judged_too() -> None:
    values = {key(name): value for name, value in PLAIN.items()}
    contradicting = image_of({"annotation": values, "label": {**values, key("system.libc.version"): "2.28"}})
    assert codes(contradicting, host())["METADATA_CONTRADICTION"] is Verdict.DEGRADED
    inferred = image_of({"annotation": values}, environment={"CUDA_VERSION": "12.4"})
    assert codes(inferred, host())["METADATA_INFERRED"] is Verdict.DEGRADED
    steering = replace(image(), labels={"com.hooks.ssh.enabled": "true"})
    assert codes(steering, host())["METADATA_RESERVED"] is Verdict.DEGRADED
    ill = image_of({"annotation": {**values, key("os.name"): "a\nb"}})
    assert codes(ill, host())["METADATA_ILL_FORMED"] is Verdict.DEGRADED


def test_text_names_both_sides_and_the_remedy() -> None:
    text = report_text(check_image(image(OPENMPI5), lumi_g()), evidence=True)
    assert "mpi       FAILS     The image speaks pmix, the launcher cray_shasta pmi2" in text
    assert "image org.supercontainers.mpi.pmi = pmix_v5 [annotation]" in text
    assert "host  launcher.pmi = cray_shasta pmi2" in text
    assert "→ ask for Slurm's mpi/pmix plug-in" in text
    assert text.splitlines()[-1].startswith("verdict: FAILS - will not run here")


def test_hostile_values_do_not_reach_the_terminal() -> None:
    hostile = image_of({"annotation": {key("os.name"): "\x1b[2J"}}, reference="a\x1b]0;x\x07:1", digest="sha256:\x1b")
    text = report_text(check_image(hostile, host()), evidence=True)
    assert all(line.isprintable() for line in text.splitlines())


def test_json_has_a_stable_shape() -> None:
    document = json.loads(reports_json([check_image(image(CUDA), host(gpus=(A100,)))]))
    assert document["schema"] == "hpc3.check/1"
    assert document["exit"] == 0
    assert [facet["facet"] for facet in document["facets"]] == list(FACETS)
    judgement = document["facets"][0]["judgements"][0]
    assert set(judgement) == {"verdict", "code", "reason", "image", "host", "remedy"}
    assert judgement["image"][0]["place"] == "annotation"


def test_junit_counts_failures_and_errors() -> None:
    reports = [check_image(image(CUDA, without="mpi.implementation"), host(name="\x1bnode<&>"))]
    suite = ElementTree.fromstring(reports_junit(reports))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("8", "1", "1")
    assert suite.find("testcase[@name='gpu']/failure") is not None
    assert suite.find("testcase[@name='mpi']/error") is not None


def write(folder: Path, name: str, stated: Image) -> str:
    values = {name_: statement.value for name_, statement in stated.statements.items()}
    (folder / name).write_text(json.dumps(values))
    return str(folder / name)


def write_host(folder: Path, name: str, one: Fingerprint) -> str:
    (folder / name).write_text(fingerprint_to_json(one))
    return str(folder / name)


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        (image(), 0),
        (image(hardware__cpu__optimized__version="zen2"), 0),
        (image(hardware__cpu__optimized__version="x86_64"), 10),
        (image(CUDA), 20),
        (image(without="mpi.implementation"), 30),
    ],
)
def test_exit_codes(tmp_path: Path, stated: Image, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    on = write_host(tmp_path, "node.json", host())
    assert main(["check", write(tmp_path, "image.json", stated), "--host", on]) == code
    assert "node · zen3" in capsys.readouterr().out


def test_allow_degraded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    on = write_host(tmp_path, "node.json", host())
    slow = write(tmp_path, "image.json", image(hardware__cpu__optimized__version="x86_64"))
    assert main(["check", slow, "--host", on, "--allow-degraded"]) == 0


def test_a_matrix_of_hosts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = [write_host(tmp_path, "a.json", host()), write_host(tmp_path, "b.json", host("haswell"))]
    image_file = write(tmp_path, "image.json", image())
    assert main(["check", image_file, "--format", "json", "--host", *hosts]) == 10
    documents = json.loads(capsys.readouterr().out)
    assert [d["host"]["name"] for d in documents] == ["a", "b"]
    assert [d["verdict"] for d in documents] == ["ok", "degraded"]


def test_cpuinfo_as_host(tmp_path: Path, third_party: Path) -> None:
    dump = third_party / "eessi-archdetect/x86_64/intel/haswell/archspec-linux-E5-2680-v3.cpuinfo"
    image_file = write(tmp_path, "image.json", image(hardware__cpu__optimized__version="zen4"))
    assert main(["check", image_file, "--host", str(dump), "-o", str(tmp_path / "out.txt")]) == 20
    assert "avx512f" in (tmp_path / "out.txt").read_text("utf-8")


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "./nowhere.json"]) in (2, 3, 4)
    assert capsys.readouterr().err.count("\n") == 1
