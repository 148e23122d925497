from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hpc3.host.document
from hpc3.errors import Hpc3Error, InputError
from hpc3.fingerprint import (
    SCHEMA,
    ContainerRuntime,
    Cpu,
    Fingerprint,
    HostFabric,
    HostGpu,
    HostLibc,
    HostLibrary,
    HostMpi,
    Kernel,
    Launcher,
    Limits,
)
from hpc3.host.document import fingerprint_from_json, fingerprint_to_json
from hpc3.tables import DATA

FULL = Fingerprint(
    name="lumi-g",
    cpu=Cpu("x86_64", "zen3", "AuthenticAMD", ("avx", "avx2"), "AMD EPYC 7A53"),
    kernel=Kernel("5.14.21", 4096, ("cxi_core",), user_namespaces=False, cgroup="v2"),
    libc=HostLibc("glibc", "2.31"),
    gpus=(HostGpu("amd", "MI250X", "gfx90a", 8, "6.3.6"),),
    fabrics=(HostFabric("cxi", 4),),
    libraries=(HostLibrary("libfabric", "libfabric.so.1", "/opt/cray/lib64/libfabric.so.1", "1.6", "2.17"),),
    mpis=(HostMpi("cray-mpich", "8.1.29", "mpich", "libmpi.so.12", "12.0.0", "/opt/cray/libmpi.so.12", "2.17", "1.6"),),
    launcher=Launcher("slurm", "23.02", ("cray_shasta", "pmi2")),
    runtimes=(ContainerRuntime("apptainer", "1.3.0"),),
    devices=("/dev/cxi0", "/dev/kfd"),
    limits=Limits(-1, 64),
)


def as_json(document: Any) -> str:
    return json.dumps(document)


def test_what_is_written_is_read_back() -> None:
    assert fingerprint_from_json(fingerprint_to_json(FULL), "f.json") == FULL


def test_the_schema_describes_what_is_written() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((DATA / "fingerprint.schema.json").read_text("utf-8"))
    for host in (FULL, replace(FULL, gpus=None, unknown={"gpus": "no sysfs"}), Fingerprint()):
        jsonschema.validate(json.loads(fingerprint_to_json(host)), schema)


def test_unknown_stays_unknown_with_its_reason() -> None:
    host = replace(FULL, launcher=None, unknown={"launcher": "no Slurm"})
    assert fingerprint_from_json(fingerprint_to_json(host), "f") == host


def test_a_document_of_a_newer_program_is_read() -> None:
    document = {**asdict(FULL), "schema": f"{SCHEMA}.7", "quantum": {"qubits": 3}}
    document["cpu"] = {**document["cpu"], "microcode": "0x1"}
    assert fingerprint_from_json(as_json(document), "f") == FULL


def test_a_missing_field_is_unknown_with_the_file_as_reason() -> None:
    host = fingerprint_from_json(as_json({"schema": SCHEMA}), "old.json")
    assert host.cpu is None
    assert "old.json" in host.why_unknown("cpu")


def test_a_hand_written_list() -> None:
    document = {"schema": SCHEMA, "cpu": {"family": "x86_64", "target": "zen3", "flags": "avx2, avx  fma"}}
    host = fingerprint_from_json(as_json(document), "f")
    assert host.cpu is not None
    assert host.cpu.flags == ("avx", "avx2", "fma")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ("", "is not JSON"),
        ('{"schema": "hpc3.finger', "is not JSON"),
        ("[]", "is not a fingerprint"),
        ("{}", "is not a fingerprint"),
        (as_json({"schema": "hpc3.fingerprint/2"}), "another version"),
        (as_json({"schema": SCHEMA, "cpu": []}), "f: cpu: is not an object"),
        (as_json({"schema": SCHEMA, "cpu": {"family": "x86_64"}}), "f: cpu: lacks"),
        (as_json({"schema": SCHEMA, "cpu": {"family": 1, "target": "x"}}), "f: cpu.family"),
        (as_json({"schema": SCHEMA, "gpus": {}}), "f: gpus: is not a list"),
        (as_json({"schema": SCHEMA, "gpus": [{"vendor": "amd", "count": "8"}]}), "f: gpus[0].count"),
        (as_json({"schema": SCHEMA, "kernel": {"version": "6", "user_namespaces": "yes"}}), "user_namespaces"),
        (as_json({"schema": SCHEMA, "name": "a\x1b[2J"}), "f: name"),
        (as_json({"schema": SCHEMA, "devices": [1]}), "f: devices"),
    ],
)
def test_bad_documents_are_one_line_that_names_the_place(document: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        fingerprint_from_json(document, "f")
    assert place in str(caught.value)
    assert str(caught.value).isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["family", "target", "count", "vendor"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)  # other work on the machine does not count
@given(st.dictionaries(st.sampled_from(sorted(asdict(FULL))), json_values))
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    refusal, host = "", Fingerprint()
    try:
        host = fingerprint_from_json(as_json({**document, "schema": SCHEMA}), "f")
    except Hpc3Error as error:
        refusal = str(error)
    assert refusal.isprintable()
    if not refusal:
        assert fingerprint_from_json(fingerprint_to_json(host), "f") == host


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hpc3.host.document, "_MOST_CHARACTERS", 10)
    with pytest.raises(InputError, match="longer than"):
        fingerprint_from_json(" " * 11, "f")


def test_truncation_at_every_place_is_an_error_or_the_whole(tmp_path: Path) -> None:
    text = fingerprint_to_json(FULL)
    for cut in range(0, len(text) - 2, 37):
        with pytest.raises(InputError):
            fingerprint_from_json(text[:cut], "f")
