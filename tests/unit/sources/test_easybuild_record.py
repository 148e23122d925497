"""Reading a record: what the schema says holds, and everything else is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hpc3.errors import InputError
from hpc3.sources.easybuild_record import parse_record
from hpc3.tables import DATA
from unit.conftest import Refused
from unit.records import MODULES, changed, module, record, record_document

SCHEMA = json.loads((DATA / "easybuild_record.schema.json").read_text("utf-8"))


def test_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(record_document())


def test_fields_arrive() -> None:
    found = record(record_document(changed("UCX", patches=[{"name": "a.patch", "sha256": "1" * 64}])))
    assert found.requested == "App/1.0"
    assert found.easybuild == "5.4.1"
    assert found.modules["UCX/1.19.0"].patches[0].sha256 == "1" * 64
    assert found.modules["UCX/1.19.0"].osdependencies == (("libibverbs-dev", "rdma-core-devel"),)
    assert found.host_os == ("debian", "12")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", ("is empty",)),
        (b"{", ("is not JSON",)),
        (b"[]", ("an object is needed",)),
        (b'{"format": "other"}', ("format", "is no record")),
        (b'{"format": "hpc3-easybuild-record", "version": 99}', ("version", "is not 1")),
        (b'{"format": "hpc3-easybuild-record", "version": 1}', ("has no 'modules'",)),
    ],
)
def test_documents_that_are_no_record(document: bytes, words: tuple[str, ...], refused: Refused) -> None:
    with refused("record.json", *words):
        parse_record(document)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("module", "../../etc"),
        ("module", "a b"),
        ("module", "/absolute"),
        ("install_subdir", "$(id)"),
        ("name", ""),
        ("name", 5),
        ("version", "1\n2"),
        ("easyconfig", "../x.eb"),
        ("easyconfig", "--hooks=x.eb"),
        ("short_module", "-x"),
        ("runtime", "yes"),
        ("dependencies", {}),
        ("cuda_compute_capabilities", ["8"]),
        ("amdgcn_capabilities", ["gfx"]),
        ("osdependencies", [["-rf"]]),
        ("sources", [{"name": "x", "urls": [], "sha256": "not"}]),
        ("module_variables", {"A B": "x"}),
        ("built", {"optarch": ["x"], "target": "", "evidence": ""}),
        ("toolchain", None),
    ],
)
def test_module_with_a_wrong_field(field: str, value: Any, refused: Refused) -> None:
    with refused("record.json: modules[0]"):
        record(record_document([{**MODULES[0], field: value}, *MODULES[1:]]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requested", []),
        ("requested", ["Nothing/1"]),
        ("state", "half"),
        ("environment", {}),
        ("environment", [{"name": "A=B", "values": []}]),
        ("files", [{"place": "easyconfigs/../../x", "sha256": ""}]),
        ("files", [{"place": "sources/a\nb", "sha256": ""}]),
        ("load", {"paths": [";id"], "modules": []}),
    ],
)
def test_record_with_a_wrong_field(field: str, value: Any, refused: Refused) -> None:
    with refused(f"record.json: {field}"):
        record(record_document(**{field: value}))


@settings(deadline=None)  # a loaded machine is no fault
@given(name=st.text(max_size=40), version=st.text(max_size=40))
def test_any_name_is_taken_or_refused_in_one_line(name: str, version: str) -> None:
    try:
        found = record(record_document([{**module("App", "1.0"), "name": name, "version": version}]))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right, a traceback is not
    else:
        assert found.modules["App/1.0"].name == name
