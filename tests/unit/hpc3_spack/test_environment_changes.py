"""Modifiers as Spack has them, folded into one change per variable."""

from __future__ import annotations

from dataclasses import dataclass

from hpc3.request import EnvironmentChange
from hpc3_spack.environment_changes import changes_from_modifications


@dataclass
class Modifier:
    """The shape of Spack's modifiers: what they do is in their class's name."""

    name: str
    value: str = ""
    separator: str = ":"


def modifier(kind: str, name: str, value: str = "", separator: str = ":") -> Modifier:
    made: Modifier = type(kind, (Modifier,), {})(name, value, separator)
    return made


def fold(*modifications: Modifier) -> dict[str, EnvironmentChange]:
    return {change.name: change for change in changes_from_modifications(modifications, lambda text: text)}


def test_later_prepends_come_first_and_appends_last() -> None:
    changes = fold(
        modifier("PrependPath", "PATH", "/a"),
        modifier("AppendPath", "PATH", "/z"),
        modifier("PrependPath", "PATH", "/b/"),
        modifier("PrependPath", "PATH", "/a/."),
    )
    assert changes == {"PATH": EnvironmentChange("prepend", "PATH", "/a:/b:/z")}


def test_what_is_set_stays_set_when_it_is_extended() -> None:
    changes = fold(modifier("SetEnv", "X", "/a:/b"), modifier("PrependPath", "X", "/c"))
    assert changes == {"X": EnvironmentChange("set", "X", "/c:/a:/b")}


def test_unset_and_remove() -> None:
    changes = fold(
        modifier("SetEnv", "GONE", "1"),
        modifier("UnsetEnv", "GONE"),
        modifier("PrependPath", "P", "/a"),
        modifier("PrependPath", "P", "/b"),
        modifier("RemovePath", "P", "/b"),
    )
    assert changes == {"P": EnvironmentChange("prepend", "P", "/a")}


def test_flags_are_no_list_of_unique_entries() -> None:
    changes = fold(
        modifier("AppendFlagsEnv", "F", "-isystem /a", " "),
        modifier("AppendFlagsEnv", "F", "-isystem /b", " "),
    )
    assert changes == {"F": EnvironmentChange("set", "F", "-isystem /a -isystem /b", " ")}


def test_other_separators() -> None:
    changes = fold(modifier("PrependPath", "LUA", "/a", ";"), modifier("PrependPath", "LUA", "/b", ";"))
    assert changes == {"LUA": EnvironmentChange("prepend", "LUA", "/b;/a", ";")}


def test_what_no_image_gets() -> None:
    changes = fold(
        modifier("PrependPath", "MANPATH", "/a"),
        modifier("SetEnv", "SPACK_ENV", "/home/me"),
        modifier("SetEnv", "BASH_FUNC_x%%", "() { :; }"),
        modifier("SetEnv", "TWO_LINES", "a\nb"),
        modifier("SetEnv", "EMPTY", ""),
        modifier("PruneDuplicatePaths", "PATH"),
    )
    assert changes == {}


def test_paths_are_those_of_the_image() -> None:
    (change,) = changes_from_modifications(
        [modifier("PrependPath", "P", "/here/x")], lambda text: text.replace("/here", "/image")
    )
    assert change.value == "/image/x"
