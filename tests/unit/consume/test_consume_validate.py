from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import peers
from hpc3.cli import main
from hpc3.consume.dockerfile import subject_from_dockerfile
from hpc3.consume.finding import ERROR, Finding, explain, explain_all, finding, kinds
from hpc3.consume.report import report
from hpc3.consume.subject import Referrer, Subject
from hpc3.consume.unchecked import unchecked
from hpc3.consume.validate import is_rejected, validate_subject
from hpc3.errors import UsageError
from hpc3.facts import Unknown
from hpc3.vocabulary import OCI_PREFIX, key, vocabulary

GOOD_CONFIG = {"Entrypoint": None, "Cmd": ["/bin/bash", "-l"], "Env": ["PATH=/opt/app/bin:/usr/bin"], "WorkingDir": "/"}
GOOD_ANNOTATIONS = {
    OCI_PREFIX + "title": "GROMACS",
    OCI_PREFIX + "version": "2025.3",
    OCI_PREFIX + "created": "2026-11-24T15:00:00Z",
    OCI_PREFIX + "licenses": "LGPL-2.1-or-later",
    **{
        key(name): value
        for name, value in {
            "schema.version": "1.0",
            "software.name": "gromacs",
            "software.version": "2025.3",
            "software.manager.name": "spack",
            "compiler.name": "gcc",
            "compiler.version": "12.2.0",
            "hardware.cpu.optimized.mode": "microarch",
            "hardware.cpu.optimized.version": "zen3",
            "hardware.gpu.vendor": "none",
            "mpi.implementation": "mpich",
            "mpi.version": "4.2.2",
            "mpi.abi.family": "mpich",
            "mpi.abi.version": "12.3.1",
            "mpi.portability.mode": "replace",
            "mpi.portability.optimization": "libfabric-inject,mpi-replace",
            "mpi.pmi": "pmi2,pmix",
            "communication.framework": "libfabric",
            "os.vendor": "debian",
            "os.version": "12",
            "system.libc.name": "glibc",
            "system.libc.version": "2.36",
            "userland.shell": "/bin/bash",
            "userland.entrypoint": "none",
        }.items()
    },
}
GPU = {
    key("hardware.gpu.vendor"): "nvidia",
    key("hardware.gpu.runtime"): "cuda",
    key("hardware.gpu.architecture"): "sm_80",
    key("hardware.gpu.cuda.version"): "12.4",
    key("hardware.gpu.driver.version"): "525.60.13",
}
GPU_ENV = ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]


def labels_for(annotations: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in annotations.items() if vocabulary()[name].is_label}


def subject(
    changes: dict[str, str | None] | None = None,
    config: dict[str, object] | None = None,
    **more: object,
) -> Subject:
    annotations = {**GOOD_ANNOTATIONS, **{name: value or "" for name, value in (changes or {}).items()}}
    for name, value in (changes or {}).items():
        if value is None:
            del annotations[name]
    labels = {
        name: value for name, value in annotations.items() if name in vocabulary() and vocabulary()[name].is_label
    }
    made = Subject(
        "image",
        annotations=annotations,
        labels=labels,
        config={**GOOD_CONFIG, **(config or {})},
        platform={"os": "linux", "architecture": "amd64"},
        referrers=(),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def codes(judged: Subject) -> set[str]:
    return {found.code for found in validate_subject(judged)}


def test_a_conformant_image_has_no_findings() -> None:
    assert validate_subject(subject()) == ()
    assert validate_subject(subject(dict(GPU), {"Env": [*GOOD_CONFIG["Env"], *GPU_ENV]})) == ()  # type: ignore[misc]


CONFIG_CASES = [
    ("HPC101", {"Entrypoint": ["/gmx"]}, {}),
    ("HPC101", {"Entrypoint": "/gmx"}, {}),
    ("HPC102", {"Entrypoint": ["/entrypoint.sh"]}, {key("userland.entrypoint"): "env"}),
    ("HPC103", {"Cmd": ["/bin/bash"]}, {}),
    ("HPC103", {"Cmd": None}, {}),
    ("HPC104", {"Cmd": ["/bin/sh", "-c", "gmx"]}, {}),
    ("HPC105", {"User": "easybuild"}, {}),
    ("HPC106", {"Volumes": {"/data": {}}}, {}),
    ("HPC107", {"WorkingDir": "/root"}, {}),
    ("HPC107", {"WorkingDir": "/opt/.."}, {}),
    ("HPC107", {"WorkingDir": "/..."}, {}),
    ("HPC108", {"Entrypoint": ["/gmx"]}, {}),
    ("HPC108", {}, {key("userland.entrypoint"): "env"}),
    ("HPC109", {"Healthcheck": {"Test": ["CMD", "true"]}}, {}),
    ("HPC110", {"OnBuild": ["RUN true"]}, {}),
    ("HPC111", {"Env": ["A=b"]}, {}),
    ("HPC112", {"Env": ["PATH=/bin", "HOME=/root"]}, {}),
    ("HPC505", {"Env": ["PATH=/bin", "LD_PRELOAD=/lib/x.so"]}, {}),
    ("HPC406", {"Env": ["PATH=/bin", "CUDA_VERSION=11.8.0", *GPU_ENV]}, GPU),
    ("HPC410", {}, GPU),
    ("HPC411", {"Env": ["PATH=/usr/local/cuda-11.8/bin:/bin", *GPU_ENV]}, GPU),
    ("HPC412", {"Env": ["PATH=/bin", "NVIDIA_REQUIRE_CUDA=cuda>=12.8,driver>=570", *GPU_ENV]}, GPU),
]


@pytest.mark.parametrize(("code", "config", "changes"), CONFIG_CASES)
def test_configurations(code: str, config: dict[str, object], changes: dict[str, str]) -> None:
    assert code in codes(subject(dict(changes), config))


@pytest.mark.parametrize("place", ["", "/", "//", "/./", "/.."])
def test_ways_to_write_the_root(place: str) -> None:
    assert "HPC107" not in codes(subject({}, {"WorkingDir": place}))


ANNOTATION_CASES: list[tuple[str, dict[str, str | None]]] = [
    ("HPC201", {key("mpi.implementation"): "OpenMPI"}),
    ("HPC201", {key("os.name"): "a\nb"}),
    ("HPC202", {key("software.name"): None}),
    ("HPC203", {key("mpi.implementaton"): "mpich"}),
    ("HPC204", {key("mpi.pmi"): "pmix,pmi2"}),
    ("HPC204", {key("mpi.pmi"): "pmix,pmix"}),
    ("HPC205", {key("software.variants"): "+x" * 150}),
    ("HPC206", {key("hardware.cpu.optimized.version"): "zen99"}),
    ("HPC207", {key("mpi"): "mpich"}),
    ("HPC208", {key("glibc"): "2.36"}),
    ("HPC301", {key("hardware.cpu.optimized.mode"): "generic"}),
    ("HPC301", {key("hardware.cpu.optimized.version"): "x86_64_v3"}),
    ("HPC302", {key("hardware.cpu.optimized.version"): "neoverse_v1"}),
    ("HPC303", {key("hardware.gpu.runtime"): "cuda"}),
    ("HPC304", {key("hardware.gpu.vendor"): "nvidia"}),
    ("HPC305", {**GPU, key("hardware.gpu.rocm.version"): "6.0"}),
    ("HPC306", {**GPU, key("hardware.gpu.cuda.version"): None}),
    ("HPC307", {**GPU, key("hardware.gpu.driver.version"): None}),
    ("HPC308", {key("mpi.implementation"): "none"}),
    ("HPC309", {key("mpi.version"): None}),
    ("HPC310", {key("mpi.abi.family"): "openmpi"}),
    ("HPC311", {key("mpi.abi.version"): None}),
    ("HPC312", {key("mpi.portability.mode"): "hybrid"}),
    ("HPC313", {key("userland.entrypoint"): "app"}),
    ("HPC314", {key("system.libc.version"): None}),
    ("HPC315", {key("os.version"): None}),
    ("HPC316", {**GPU, key("hardware.gpu.architecture"): "gfx90a"}),
    ("HPC316", {**GPU, key("hardware.gpu.runtime"): "cuda,rocm"}),
    ("HPC317", {key("communication.framework"): None}),
    ("HPC318", {OCI_PREFIX + "version": "2024.1"}),
    ("HPC319", {key("mpi.library.lookup"): "rpath"}),
    ("HPC320", {key("compiler.version"): None}),
    ("HPC320", {key("sbom.digest"): "sha256:" + "a" * 64}),
    ("HPC321", {key("mpi.implementation"): "openmpi", key("mpi.version"): "5.0.3", key("mpi.abi.family"): "openmpi"}),
    ("HPC408", {key("sbom.digest"): "sha256:" + "a" * 64}),
    ("HPC501", {"run.oci.hooks.stdout": "/etc/passwd"}),
    ("HPC502", {"my.key": "a\n$(rm -rf /)"}),
    ("HPC503", {"my.key": "x" * (1 << 20)}),
]


@pytest.mark.parametrize(("code", "changes"), ANNOTATION_CASES)
def test_annotations(code: str, changes: dict[str, str | None]) -> None:
    assert code in codes(subject(changes))


def test_every_kind_of_finding_has_a_case() -> None:
    tested = {case[0] for case in (*CONFIG_CASES, *ANNOTATION_CASES)}
    elsewhere = {"HPC113", "HPC401", "HPC402", "HPC403", "HPC404", "HPC405", "HPC407", "HPC409", "HPC413", "HPC504"}
    elsewhere |= {"HPC414", "HPC415"}  # test_consume_index
    started = {code for code in kinds() if code.startswith("HPC6")}
    assert tested | elsewhere | started == set(kinds())


def test_labels_against_annotations() -> None:
    good = subject()
    assert good.labels is not None
    other = replace(good, labels={**good.labels, key("mpi.implementation"): "openmpi"})
    assert codes(other) == {"HPC401"}
    missing = {name: value for name, value in good.labels.items() if name != key("os.vendor")}
    assert codes(replace(good, labels=missing)) == {"HPC402"}
    more = replace(good, labels={**good.labels, key("libfabric.version"): "1.20"})
    assert codes(more) == {"HPC403"}
    assert "HPC404" in codes(replace(good, labels={**good.labels, key("documentation.readme"): "QQ=="}))
    assert "HPC504" in codes(replace(good, labels={**good.labels, "big": "x" * 5000}))
    nvidia = subject(dict(GPU))
    assert "HPC409" in codes(replace(nvidia, labels={**nvidia.labels, "com.nvidia.cuda.version": "9.0"}))  # type: ignore[dict-item]


def test_what_the_base_image_left_over() -> None:
    base = {OCI_PREFIX + "title": "GROMACS", key("os.vendor"): "debian"}
    found = validate_subject(subject(inherited=base))
    assert [(f.code, f.where) for f in found] == [("HPC405", f"image: {OCI_PREFIX}title")]


@pytest.mark.parametrize(
    ("base", "left_over"),
    [
        ({OCI_PREFIX + "title": "GROMACS", OCI_PREFIX + "version": "2024.1"}, set()),
        ({OCI_PREFIX + "title": "Ubuntu", OCI_PREFIX + "version": "2025.3"}, set()),
        ({OCI_PREFIX + "version": "2025.3"}, {OCI_PREFIX + "version"}),
        ({key("software.name"): "gromacs", key("software.version"): "2025.3"}, {key("software.name")}),
        ({key("software.name"): "gromacs", key("software.version"): "2024.1"}, set()),
        ({OCI_PREFIX + "licenses": "LGPL-2.1-or-later", key("schema.version"): "1.0"}, set()),
        ({key("mpi.implementation"): "mpich", key("os.vendor"): "debian"}, set()),
    ],
)
def test_only_what_two_images_cannot_share_is_left_over(base: dict[str, str], left_over: set[str]) -> None:
    found = validate_subject(subject(inherited=base))
    assert {(f.code, f.where.partition(": ")[2]) for f in found} == {("HPC405", name) for name in left_over}


def test_a_base_that_cannot_be_read_is_no_guess() -> None:
    (found,) = validate_subject(subject(inherited=Unknown("the image does not name its base")))
    assert (found.code, found.level) == ("HPC413", "note")
    assert "the image does not name its base" in found.message
    nothing_stated = Subject("image", annotations={}, labels={}, inherited=Unknown("why"))
    assert "HPC413" not in codes(nothing_stated)


def test_the_sbom_that_is_attached() -> None:
    digest = "sha256:" + "a" * 64
    changes: dict[str, str | None] = {key("sbom.digest"): digest, key("sbom.mediatype"): "application/spdx+json"}
    attached = Referrer("application/spdx+json", "sha256:" + "b" * 64, (digest,))
    assert "HPC408" not in codes(subject(changes, referrers=(attached,)))
    assert "HPC408" in codes(subject(changes, referrers=(Referrer("x", digest),)))
    assert "HPC408" not in codes(subject(changes, referrers=None))  # not asked


def test_what_the_base_or_the_build_states_is_missed_on_images_only() -> None:
    without = {name: value for name, value in GOOD_ANNOTATIONS.items() if name != key("os.vendor")}
    assert codes(Subject("file", annotations=without)) == set()
    assert codes(Subject("Dockerfile", labels=labels_for(without), config=GOOD_CONFIG, base="debian:12")) == set()
    image = Subject("image", annotations=without, labels=labels_for(without), config=GOOD_CONFIG)
    assert codes(image) == {"HPC202"}


SPACK_TAIL = """FROM ubuntu:24.04
COPY --from=builder /opt/software /opt/software
RUN { echo '#!/bin/sh'; echo '. /opt/spack-environment/activate.sh'; echo 'exec "$@"'; } > /entrypoint.sh
ENTRYPOINT [ "/entrypoint.sh" ]
CMD [ "/bin/bash" ]
"""
EASYBUILD_TAIL = """FROM rockylinux:8
USER easybuild
RUN echo 'module load GROMACS' >> ~/.bashrc
CMD ["/bin/bash", "-l"]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(SPACK_TAIL, {"HPC101", "HPC103"}), (EASYBUILD_TAIL, {"HPC105", "HPC113"})],
)
def test_what_the_managers_own_generators_write(text: str, expected: set[str]) -> None:
    """spack's share/spack/templates/container/Dockerfile and eb --containerize's template, their behaviour lines."""
    found = codes(subject_from_dockerfile(text, "Dockerfile"))
    assert {code for code in found if code.startswith("HPC1")} == expected


def test_strictness() -> None:
    warned = validate_subject(subject({key("mpi.pmi"): "pmix,pmi2"}))
    assert not is_rejected(warned)
    assert is_rejected(warned, strict=True)


@given(
    st.dictionaries(st.one_of(st.sampled_from(sorted(vocabulary())), st.text(max_size=20)), st.text(max_size=40)),
    st.dictionaries(st.sampled_from(sorted(vocabulary())), st.text(max_size=10)),
)
def test_any_metadata_is_judged(annotations: dict[str, str], labels: dict[str, str]) -> None:
    for each in validate_subject(
        Subject("x", annotations=annotations, labels=labels, config={"Env": ["a", "=", "b="]})
    ):
        assert each.code in kinds()
        assert each.message.isprintable()
        assert each.remedy.isprintable()


def test_a_brace_in_a_value_is_no_placeholder() -> None:
    assert "{key}" in finding("HPC206", "x", value="{key}").message


def test_explanations() -> None:
    for code in kinds():
        text = explain(code)
        assert text.startswith(code)
        assert kinds()[code]["source"] in text
    with pytest.raises(UsageError):
        explain("HPC999")


# -- command line


def test_files_are_told_by_shape(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    annotations = tmp_path / "annotations.json"
    annotations.write_text(json.dumps(GOOD_ANNOTATIONS))
    assert main(["validate", str(annotations)]) == 0
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"architecture": "amd64", "rootfs": {}, "config": {"User": "1000", **GOOD_CONFIG}}))
    assert main(["validate", str(config)]) == 1
    assert "HPC105" in capfd.readouterr().out
    dockerfile = tmp_path / "Containerfile"
    dockerfile.write_text('FROM debian:12\nENTRYPOINT ["/gmx"]\n')
    assert main(["validate", str(dockerfile)]) == 1
    assert f"{dockerfile}:2" in capfd.readouterr().out
    assert main(["validate", str(tmp_path / "none")]) == 3
    assert main(["validate", "--platform", "linux/arm64", str(annotations)]) == 2
    config.write_bytes(b"\xef\xbb\xbf" + annotations.read_bytes())  # as editors on Windows begin a file
    assert main(["validate", str(config)]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "[]", "{", "\xff", '{"config": [], "rootfs": {}}', '{"schemaVersion": 2, "annotations": {"a": 1}}',
        '{"schemaVersion": 2, "manifests": []}', '{"schemaVersion": 2, "artifactType": "a/b", "annotations": {}}',
        '{"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/a"], "Entrypoint": []}}',
        '{"a": "1", "a": "2"}', '{"a": "\\ud800"}', '{"a": NaN}', '{"a": 1e999}', "9" * 5000,
    ],
)  # fmt: skip
def test_files_that_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text(text)
    assert main(["validate", str(file)]) == 3


def test_machine_formats(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text('FROM debian:12\nUSER x\x1b[2J\nENTRYPOINT ["/gmx"]\n')
    outputs = {}
    for style in ("json", "sarif", "junit", "text"):
        assert main(["validate", "--format", style, str(dockerfile)]) == 1
        outputs[style] = capfd.readouterr().out
        assert "\x1b" not in outputs[style]
    found = {f["code"] for f in json.loads(outputs["json"])["findings"]}
    run = json.loads(outputs["sarif"])["runs"][0]
    assert {result["ruleId"] for result in run["results"]} == found
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == found
    lines = {r["locations"][0].get("physicalLocation", {}).get("region", {}).get("startLine") for r in run["results"]}
    assert {2, 3} <= lines
    suite = ElementTree.fromstring(outputs["junit"])
    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    assert failed == {code for code in found if kinds()[code]["level"] == ERROR}
    assert int(suite.get("tests", "0")) == len(kinds())


def warning(code: str = "HPC204") -> Finding:
    return finding(code, "image", key="a", value="b,a", expected="a,b")


@pytest.mark.parametrize(("strict", "failures"), [(False, 0), (True, 1)])
def test_junit_fails_what_the_exit_code_does(strict: bool, failures: int) -> None:
    suite = ElementTree.fromstring(report([warning()], "image", "junit", strict=strict))
    assert suite.get("failures") == str(failures)
    assert len(suite.findall("testcase/failure")) == failures
    assert len(suite.findall("testcase/system-out")) == 1 - failures


DOCKERFILE = subject_from_dockerfile("FROM debian:12\n", "Dockerfile")


@pytest.mark.parametrize(
    ("judged", "started", "skipped", "checked"),
    [
        (subject(reference="reg/app:1"), True, {"HPC113"}, {"HPC101", "HPC302", "HPC405", "HPC408", "HPC601"}),
        (subject(), False, {"HPC407", "HPC601", "HPC608"}, {"HPC101", "HPC401"}),
        (Subject("file", annotations={}), False, {"HPC101", "HPC401", "HPC408", "HPC505"}, {"HPC202", "HPC503"}),
        (DOCKERFILE, False, {"HPC302", "HPC401", "HPC405", "HPC503"}, {"HPC101", "HPC113", "HPC404"}),
    ],
)
def test_junit_skips_what_was_not_checked(judged: Subject, started: bool, skipped: set[str], checked: set[str]) -> None:
    found = validate_subject(judged)
    suite = ElementTree.fromstring(report(found, "x", "junit", unchecked=unchecked(judged, started=started)))
    left_out = {case.get("name") for case in suite if case.find("skipped") is not None}
    assert skipped <= left_out
    assert not checked & left_out
    assert not {f.code for f in found} & left_out
    assert suite.get("skipped") == str(len(left_out))


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("my Dockerfile", "my%20Dockerfile"),
        ("a\x1b[31m\nX:7", "a%1B%5B31m%0AX%3A7"),
        ("Dockerfile.\udcff", "Dockerfile.%FF"),
        ("//host/Dockerfile", "/host/Dockerfile"),
        ("d/Dockerfile", "d/Dockerfile"),
    ],
)
def test_sarif_names_a_file_by_a_uri_reference(name: str, uri: str) -> None:
    found = replace(warning(), where=f"{name}:3")
    (run,) = json.loads(report([found], name, "sarif"))["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": uri}, "region": {"startLine": 3}}


def test_texts_of_the_table_are_shown_without_templates() -> None:
    every = [replace(warning(), code=code) for code in kinds()]
    (run,) = json.loads(report(every, "x", "sarif"))["runs"]
    texts = [rule[part]["text"] for rule in run["tool"]["driver"]["rules"] for part in ("shortDescription", "help")]
    texts += [explain(code).partition("\nSource: ")[0] for code in kinds()]
    assert not [text for text in texts if "{" in text or "}" in text]
    assert explain("HPC203").startswith("HPC203 (warning): KEY is not a key of the vocabulary\n")


def test_the_page_is_what_the_table_says(rerecord: bool) -> None:
    page = peers.REPOSITORY / "docs" / "findings.md"
    if rerecord:
        page.write_text(explain_all(), "utf-8")
    assert page.read_text("utf-8") == explain_all()
    assert all(f"### {code}\n" in explain_all() for code in kinds())


@pytest.mark.parametrize("wanted", ["hpc101", "101", "HPC101", "203, 101"])
def test_explain(wanted: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--explain", wanted]) == 0
    shown = capfd.readouterr().out
    assert "ENTRYPOINT []" in shown
    assert ("HPC203 (warning)" in shown) == ("203" in wanted)


@pytest.mark.parametrize("wanted", ["nonsense", "", "101,", "HPC", "HPC\x1b"])
def test_explain_what_is_no_code(wanted: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--explain", wanted]) == 2
    assert f"codes go from {min(kinds())} to {max(kinds())}" in capfd.readouterr().err
    assert main(["validate"]) == 2


def test_an_engine_that_no_shell_could_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert main(["validate", "--engine", "podman '", "--run", "x", str(tmp_path / "a.json")]) == 2
    assert "--engine is no command" in capfd.readouterr().err
