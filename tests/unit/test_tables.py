"""The data tables: well-formed, sorted, without contradictions, in the words of the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hpc3.tables import DATA, Row, rows
from hpc3.versions import version_numbers
from hpc3.vocabulary import OCI_PREFIX, key, vocabulary

#: Columns whose values are compared as versions.
VERSIONS = frozenset(("cuda", "since", "spack"))

#: Columns that hold a value, or a list of words, of a key of the vocabulary.
WORDS = {
    ("cuda_drivers", "driver_min"): "hardware.gpu.driver.version",
    ("gpu_runtimes", "driver_mode"): "hardware.gpu.driver.mode",
    ("gpu_runtimes", "runtime"): "hardware.gpu.runtime",
    ("gpu_runtimes", "vendor"): "hardware.gpu.vendor",
    ("mpi_abi", "abi_version"): "mpi.abi.version",
    ("mpi_abi", "family"): "mpi.abi.family",
    ("mpi_abi", "implementation"): "mpi.implementation",
    ("mpi_packages", "implementation"): "mpi.implementation",
    ("mpi_pmi", "pmi"): "mpi.pmi",
    ("mpi_transports", "frameworks"): "communication.framework",
    ("operating_systems", "vendor"): "os.vendor",
    ("operating_systems", "version"): "os.version",
}


def _document(name: str) -> dict[str, Any]:
    return dict(json.loads((DATA / f"{name}.json").read_text("utf-8")))


def _schema(table: str) -> dict[str, Any]:
    return _document(f"{table}.schema")


def _identity(row: Row, columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(version_numbers(row[column]) if column in VERSIONS else row[column] for column in columns)


TABLES = sorted(
    path.stem for path in DATA.glob("*.json") if not path.stem.endswith(".schema") and "rows" in _document(path.stem)
)


def test_tables_are_found() -> None:
    assert {"cuda_drivers", "mpi_abi", "operating_systems"} <= set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_table_follows_its_schema(table: str) -> None:
    schema = _schema(table)
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["rows"]["items"]["additionalProperties"] is False
    validator = Draft202012Validator(schema)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(_document(table))] == []


@pytest.mark.parametrize("table", TABLES)
def test_schema_wants_a_source(table: str) -> None:
    document = _document(table)
    validator = Draft202012Validator(_schema(table))
    row = document["rows"][0]
    without = {column: value for column, value in row.items() if column != "source"}
    assert not validator.is_valid({**document, "rows": [without]})
    assert not validator.is_valid({**document, "rows": [{**row, "source": ""}]})


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_unique_and_sorted_by_the_schema_s_key(table: str) -> None:
    """``x-key`` names the columns that identify a row; a table whose order means something has none."""
    whole = [json.dumps(row, sort_keys=True) for row in rows(table)]
    assert len(whole) == len(set(whole))
    columns = _schema(table).get("x-key")
    if columns:
        identities = [_identity(row, columns) for row in rows(table)]
        assert identities == sorted(identities)
        assert len(identities) == len(set(identities))


@pytest.mark.parametrize(("table", "column"), sorted(WORDS))
def test_values_are_words_of_the_vocabulary(table: str, column: str) -> None:
    grammar = vocabulary()[key(WORDS[table, column])]
    for row in rows(table):
        value = ",".join(row[column]) if isinstance(row[column], list) else row[column]
        if value:
            assert grammar.fault(value) == "", row


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("build_prerequisites", ("packages",)),
        ("external_packages", ("build", "final")),
        ("mpi_pmi", ("pmi",)),
        ("mpi_transports", ("frameworks", "overrides")),
        ("operating_systems", ("images",)),
        ("ucx_transports", ("needs",)),
    ],
)
def test_lists_are_sorted(table: str, columns: tuple[str, ...]) -> None:
    for row in rows(table):
        for column in columns:
            assert row[column] == sorted(set(row[column])), row


@pytest.mark.parametrize(
    ("table", "columns"),
    [("mpi_abi", ("implementation", "package")), ("mpi_pmi", ("package", "variant", "value"))],
)
def test_version_ranges_do_not_overlap(table: str, columns: tuple[str, ...]) -> None:
    for row in rows(table):
        first, end = _range(row)
        assert first < end, row
    for one, other in combinations(rows(table), 2):
        if _identity(one, columns) == _identity(other, columns):
            assert _range(one)[1] <= _range(other)[0], (one, other)


def _range(row: Row) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return version_numbers(row["since"]), version_numbers(row["before"]) or (float("inf"),)


@pytest.mark.parametrize("table", ["mpi_abi", "mpi_pmi", "mpi_transports"])
def test_rows_about_mpi_are_about_known_providers(table: str) -> None:
    known = {row["package"]: row for row in rows("mpi_packages")}
    for row in rows(table):
        if row["package"]:
            assert row["package"] in known, row
            assert (
                row.get("implementation", known[row["package"]]["implementation"])
                == (known[row["package"]]["implementation"])
            )
            # What is stated by version needs a version that is the MPI's own.
            assert known[row["package"]]["version_is_mpi"], row


def test_abi_of_every_package_without_a_version_of_its_own_is_unknown() -> None:
    carriers = {row["package"] for row in rows("mpi_packages") if not row["version_is_mpi"]}
    assert "hpcx-mpi" in carriers
    assert carriers.isdisjoint(row["package"] for row in rows("mpi_abi"))


def test_overridden_variants_are_in_the_table() -> None:
    variants = {(row["package"], row["variant"]) for row in rows("mpi_transports")}
    for row in rows("mpi_transports"):
        assert {(row["package"], variant) for variant in row["overrides"]} <= variants
        assert row["variant"] not in row["overrides"]


def test_each_variant_has_one_default_at_most() -> None:
    defaults = [(row["package"], row["variant"]) for row in rows("mpi_transports") if row["is_default"]]
    assert len(defaults) == len(set(defaults))


def test_ucx_transports_are_providers_of_the_vocabulary() -> None:
    grammar = vocabulary()[key("communication.providers")]
    variants = {row["variant"] for row in rows("ucx_transports")}
    for row in rows("ucx_transports"):
        assert grammar.fault(f"ucx:{row['transport']}") == ""
        assert row["variant"] not in row["needs"]
    assert "rc" in variants


def test_collectives_of_the_vocabulary_have_packages() -> None:
    grammar = vocabulary()[key("communication.collectives")]
    roles = {row["role"] for row in rows("fabric_packages")}
    collectives = {role for role in roles if grammar.fault(f"{role}@1") == ""}
    assert collectives == {"hcoll", "nccl", "oneccl", "rccl", "ucc"}


def test_version_of_a_gpu_runtime_is_that_of_its_vendor() -> None:
    vendors = {"cuda": "nvidia", "rocm": "amd"}
    for row in rows("gpu_runtimes"):
        if row["version_of"]:
            assert row["vendor"] == vendors[row["version_of"]]


@pytest.mark.parametrize("platform", ["linux-aarch64", "linux-x86_64"])
def test_newer_cuda_never_asks_for_an_older_driver(platform: str) -> None:
    of_kind: dict[str, list[Row]] = {"minor-version-compatibility": [], "toolkit": []}
    for row in rows("cuda_drivers"):
        if row["platform"] == platform:
            of_kind[row["kind"]].append(row)
    for found in of_kind.values():
        drivers = [version_numbers(row["driver_min"]) for row in found]
        assert drivers
        assert drivers == sorted(drivers)
    least = {row["cuda"]: version_numbers(row["driver_min"]) for row in of_kind["minor-version-compatibility"]}
    for row in of_kind["toolkit"]:
        # 11.0 was released with a driver that is too old for the rest of its family: the source says so.
        if row["cuda"].partition(".")[0] in least:
            assert version_numbers(row["driver_min"])[0] >= least[row["cuda"].partition(".")[0]][0], row


def test_operating_systems_lead_to_packages() -> None:
    managers = {row["name"] for row in rows("package_managers")}
    purposes = {(row["family"], row["purpose"]) for row in rows("build_prerequisites")}
    for row in rows("operating_systems"):
        assert row["package_manager"] in managers
        assert {(row["family"], "compilers"), (row["family"], "spack")} <= purposes


def test_no_image_is_two_systems() -> None:
    names = [name for row in rows("operating_systems") for name in (row["image"], *row["images"])]
    assert len(names) == len(set(names))


def test_base_images_are_fit_for_the_annotation() -> None:
    grammar = vocabulary()[OCI_PREFIX + "base.name"]
    for row in rows("operating_systems"):
        assert grammar.fault(row["image"]) == ""


def test_names_of_systems_end_in_their_version() -> None:
    for row in rows("operating_systems"):
        assert row["os"].endswith(row["version"]), row


def test_installing_asks_nothing() -> None:
    answers = {"-y", "-yqq", "--non-interactive", "--no-cache"}
    for row in rows("package_managers"):
        for command in (*row["update"], row["install"]):
            assert answers & set(command), command


def test_mirror_is_used_where_one_can_be() -> None:
    for row in rows("package_managers"):
        words = " ".join((row["mirror"]["setup"], *row["mirror"]["options"]))
        assert ("${OS_PACKAGE_MIRROR}" in words) == bool(row["mirror"]["options"])


def test_externals_are_given_for_both_families() -> None:
    families: dict[str, set[str]] = {}
    for row in rows("external_packages"):
        families.setdefault(row["package"], set()).add(row["family"])
    only_debian = {package for package, found in families.items() if found == {"debian"}}
    assert only_debian == {"doxygen", "subversion", "swig"}  # no source for their names on rhel was checked
    assert all("debian" in found for found in families.values())


def test_packages_branch_and_tag_are_of_one_release() -> None:
    for row in rows("spack_releases"):
        assert row["packages_tag"].startswith(row["packages_branch"].partition("/")[2] + ".")
