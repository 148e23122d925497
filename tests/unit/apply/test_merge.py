from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.apply.merge import merged_annotations, merged_descriptor, merged_index, merged_labels, reserved_keys
from hpc3.vocabulary import OCI_PREFIX, PREFIX, key, vocabulary

MPI = key("mpi.implementation")
known_values = {name: row.good[0] for name, row in vocabulary().items() if row.good}
annotations = st.dictionaries(
    st.sampled_from([*known_values, "foreign", PREFIX + "gone"]), st.just(""), max_size=9
).map(lambda drawn: {name: known_values.get(name, "x") for name in drawn})


@given(annotations, annotations)
def test_stated_wins_foreign_stays_and_it_settles(present: dict[str, str], stated: dict[str, str]) -> None:
    merged = merged_annotations(present, stated)
    assert merged.items() >= stated.items()
    assert merged.get("foreign") == stated.get("foreign", present.get("foreign"))
    assert (PREFIX + "gone" in merged) == (PREFIX + "gone" in stated)
    assert merged_annotations(merged, stated) == merged


@given(annotations, annotations)
def test_labels_never_contradict_annotations(labels: dict[str, str], stated: dict[str, str]) -> None:
    merged = merged_annotations({}, stated)
    result = merged_labels(labels, merged)
    known = vocabulary()
    assert all(result[name] == merged[name] for name in result if name in merged and name in known)
    assert all(result[name] == value for name, value in merged.items() if name in known and known[name].is_label)
    assert all(name in merged for name in result if name.startswith(PREFIX))
    assert merged_labels(result, merged) == result


def test_what_images_inherit_stays_until_it_is_contradicted() -> None:
    present = {key("os.vendor"): "debian", key("os.version"): "12", key("system.libc.name"): "glibc", MPI: "mpich"}
    assert merged_annotations(present, {}) == {k: v for k, v in present.items() if k != MPI}
    changed = merged_annotations(present, {key("os.vendor"): "ubuntu"})
    assert changed == {key("os.vendor"): "ubuntu", key("system.libc.name"): "glibc"}
    assert merged_annotations(present, {key("os.vendor"): "debian"})[key("os.version")] == "12"


def test_empty_base_keys_of_buildah_go() -> None:
    present = {OCI_PREFIX + "base.name": "", OCI_PREFIX + "base.digest": "sha256:x"}
    assert merged_annotations(present, {}) == {OCI_PREFIX + "base.digest": "sha256:x"}


def test_a_label_of_the_base_is_corrected_where_the_annotation_says_otherwise() -> None:
    version = OCI_PREFIX + "version"  # placed on annotations only: no label is added, an existing one must not lie
    assert merged_labels({version: "22.04"}, {version: "2024.1"}) == {version: "2024.1"}
    assert merged_labels({}, {version: "2024.1"}) == {}


def test_descriptors_carry_selection_keys_only() -> None:
    stated = {MPI: "openmpi", key("mpi.version"): "5.0.3", "foreign": "x"}
    assert merged_descriptor({"kept": "y", key("os.vendor"): "old"}, stated) == {"kept": "y", MPI: "openmpi"}


def test_an_index_says_what_all_its_images_are() -> None:
    stated = {key("schema.version"): "1.0", OCI_PREFIX + "title": "t", MPI: "openmpi"}
    assert merged_index({"kept": "y"}, stated) == {"kept": "y", key("schema.version"): "1.0", OCI_PREFIX + "title": "t"}


@pytest.mark.parametrize("name", ["run.oci.hooks.stdout", "io.podman.x", "com.hooks.mpi.enabled"])
def test_keys_that_steer_runtimes_are_reported(name: str) -> None:
    assert reserved_keys({name: "x", "a": "b"}, {name: "y"}) == (name,)
