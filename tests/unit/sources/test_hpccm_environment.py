"""What a recipe's Dockerfile leaves in the environment."""

from __future__ import annotations

import pytest

from hpc3.request import EnvironmentChange
from hpc3.sources.hpccm_environment import Left, left_by


def prepended(name: str, value: str) -> EnvironmentChange:
    return EnvironmentChange("prepend", name, value)


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("ENV A=b", (EnvironmentChange("set", "A", "b"),)),
        ("ENV A b c", (EnvironmentChange("set", "A", "b c"),)),
        ("ENV A='b c' \\\n    B=\"d\"", (EnvironmentChange("set", "A", "b c"), EnvironmentChange("set", "B", "d"))),
        ("ENV PATH=/x/bin:$PATH", (prepended("PATH", "/x/bin"),)),
        ("ENV PATH=/x/bin:/y/bin:${PATH}", (prepended("PATH", "/x/bin:/y/bin"),)),
        ("# ENV A=b", ()),
        ("RUN echo \\\n    ENV A=b", ()),
        ("ENV A='b", (EnvironmentChange("set", "A", "'b"),)),
        ("ENV 1A=b", ()),
    ],
)
def test_changes(text: str, environment: tuple[EnvironmentChange, ...]) -> None:
    assert left_by(f"FROM debian:12\n{text}\n") == Left(environment)


@pytest.mark.parametrize("value", ["$OTHER:/x", "/x:$OTHER", "/x$A:$PATH", "/x:$PATHS"])
def test_a_value_made_from_others_is_unclear(value: str) -> None:
    assert left_by(f"FROM debian:12\nENV PATH={value}\n") == Left(unclear=("PATH",))


def test_what_is_appended_comes_behind_the_rest_of_ours() -> None:
    text = "FROM debian:12\nENV PATH=/x/bin:$PATH\nENV PATH=${PATH}:/usr/local/gromacs/bin\n"
    assert left_by(text) == Left((prepended("PATH", "/usr/local/gromacs/bin"), prepended("PATH", "/x/bin")))


def test_what_is_appended_to_a_list_of_the_recipe_s_own_is_unclear() -> None:
    text = "FROM debian:12\nENV A=/x\nENV A=$A:/y\n"
    assert left_by(text) == Left((EnvironmentChange("set", "A", "/x"),), unclear=("A",))


def test_only_the_last_stage_counts() -> None:
    text = "FROM debian:12 AS build\nENV A=b\nUSER x\nFROM debian:12\nENV C=d\n"
    assert left_by(text) == Left((EnvironmentChange("set", "C", "d"),))


def test_a_stage_begins_with_what_the_stage_before_left() -> None:
    text = "FROM debian:12 AS build\nENV A=b\nUSER x\nFROM build\nENV C=d\n"
    changes = (EnvironmentChange("set", "A", "b"), EnvironmentChange("set", "C", "d"))
    assert left_by(text) == Left(changes, user="x")


def test_what_the_base_image_puts_in_front_comes_first() -> None:
    first, second = left_by("FROM nvcr.io/nvidia/cuda:12.6.3-runtime-ubuntu22.04\n").environment
    assert first == prepended("LD_LIBRARY_PATH", "/usr/local/nvidia/lib:/usr/local/nvidia/lib64")
    assert second == prepended("PATH", "/usr/local/nvidia/bin:/usr/local/cuda/bin")
