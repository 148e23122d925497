"""Which images a recipe starts from: the lock's own system, or those that were asked for if they are that system."""

from __future__ import annotations

import pytest

from hpc3.facts import Facts
from hpc3.recipe.base_images import choose_base_images
from hpc3.request import Images
from hpc3.tables import rows
from unit.conftest import Refused
from unit.locks import node
from unit.sources.test_spack_facts import facts


def facts_for(os: str) -> Facts:
    return facts(node("app", os=os))


@pytest.mark.parametrize("row", rows("operating_systems"), ids=lambda row: row["os"])
def test_without_images_those_of_the_locks_own_system(row: dict[str, str]) -> None:
    images = choose_base_images(facts_for(row["os"]), Images(), follow_lock=True)
    assert (images.build, images.final) == (row["image"], row["image"])
    assert images.system is not None
    assert images.system["os"] == row["os"]


def test_images_by_spacks_name_of_the_system() -> None:
    images = choose_base_images(facts_for("ubuntu24.04"), Images(os="ubuntu:24.04"), follow_lock=True)
    assert images.build == images.final == "docker.io/library/ubuntu:24.04"


def test_images_by_name() -> None:
    asked = Images(build="nvidia/cuda:12.4.1-devel-ubuntu22.04", final="ubuntu:22.04")
    images = choose_base_images(facts_for("ubuntu22.04"), asked, follow_lock=True)
    assert (images.build, images.final) == (asked.build, asked.final)


def test_image_of_unknown_system_is_taken_and_checked_in_the_build() -> None:
    asked = Images(build="registry.site/gcc:13", final="registry.site/base:1")
    images = choose_base_images(facts_for("debian12"), asked, follow_lock=True)
    assert images.build == "registry.site/gcc:13"
    assert images.system is not None
    assert images.system["os"] == "debian12"


@pytest.mark.parametrize(
    "asked",
    [
        Images(os="ubuntu:24.04"),
        Images(build="debian:12", final="ubuntu:24.04"),
        Images(build="ubuntu:24.04", final="debian:12"),
        Images(build="registry.site/x:ubuntu24.04", final="debian:12"),
    ],
)
def test_other_system_than_the_locks_names_both_and_the_two_ways_out(asked: Images, refused: Refused) -> None:
    with refused("spack.lock", "debian12", "ubuntu24.04", "change the images", "--concretize-in-build"):
        choose_base_images(facts_for("debian12"), asked, follow_lock=True)


def test_other_system_is_fine_where_the_build_concretizes() -> None:
    images = choose_base_images(facts_for("debian12"), Images(os="ubuntu:24.04"), follow_lock=False)
    assert images.final == "docker.io/library/ubuntu:24.04"
    assert images.system is not None
    assert images.system["os"] == "ubuntu24.04"


def test_unknown_name_of_a_system_lists_the_known(refused: Refused) -> None:
    with refused("spack.yaml: spack.container.images.os", "'plan9:4'", "debian:12", "images:build"):
        choose_base_images(facts_for("debian12"), Images(os="plan9:4"), follow_lock=True)


def test_unknown_system_of_the_lock(refused: Refused) -> None:
    with refused("spack.lock", "no base image", "images:build"):
        choose_base_images(facts_for("plan9"), Images(), follow_lock=True)
    images = choose_base_images(facts_for("plan9"), Images(build="a", final="b"), follow_lock=True)
    assert images.system is None


def test_unknown_system_of_the_lock_cannot_be_called_the_images(refused: Refused) -> None:
    """The lock's system has no row in the table, the images' has one: they cannot be the same."""
    with refused("spack.lock", "plan9", "debian12"):
        choose_base_images(facts_for("plan9"), Images(build="debian:12", final="debian:12"), follow_lock=True)
