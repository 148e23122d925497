"""The environment of an image: one script for login shells, read by every shell, as often as they like."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.recipe.contract import merged_environment, profile_script
from hpc3.request import EnvironmentChange

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox", "zsh", "ksh") if shutil.which(shell)]
TEXT = st.text(st.sampled_from("\\\"'$`{}#*?[]%!~ ") | st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
ENTRY = TEXT.map(lambda text: "/" + text.replace(":", ""))


def prepend(name: str, value: str, separator: str = ":") -> EnvironmentChange:
    return EnvironmentChange("prepend", name, value, separator)


def after(
    shell: str, changes: Sequence[EnvironmentChange], before: dict[str, str], *, times: int = 1
) -> dict[str, str]:
    """Return a shell's environment after it has read the script under ``set -eu``."""
    script = profile_script(changes).content.decode("utf-8")
    command = [shell, "sh"] if shell == "busybox" else [shell]
    names = sorted({change.name for change in changes})
    show = "".join(f'printf "%s\\000" "${{{name}}}"; ' for name in names)
    text = "set -eu\n" + script * times + show
    result = subprocess.run([*command, "-c", text], capture_output=True, env=before, check=True)
    assert result.stderr == b""
    return dict(zip(names, result.stdout.decode("utf-8").split("\0")))


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_path_is_extended_once(shell: str, times: int) -> None:
    changes = [prepend("PATH", "/opt/a/bin:/opt/b/bin")]
    reset = {"PATH": "/usr/bin:/bin"}
    assert after(shell, changes, reset, times=times)["PATH"] == "/opt/a/bin:/opt/b/bin:/usr/bin:/bin"


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_there_already_stays_where_it_is(shell: str) -> None:
    changes = [prepend("PATH", "/opt/a/bin:/opt/b/bin")]
    assert after(shell, changes, {"PATH": "/usr/bin:/opt/a/bin:/bin"})["PATH"] == "/opt/b/bin:/usr/bin:/opt/a/bin:/bin"


@pytest.mark.parametrize("shell", SHELLS)
def test_beginning_of_an_entry_is_another_entry(shell: str) -> None:
    assert after(shell, [prepend("A", "/opt/a")], {"PATH": "/bin", "A": "/opt/a/bin"})["A"] == "/opt/a:/opt/a/bin"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("before", [{}, {"A": ""}])
def test_variable_that_is_not_set_or_empty_gets_no_stray_separator(shell: str, before: dict[str, str]) -> None:
    assert after(shell, [prepend("A", "/x:/y")], {"PATH": "/bin", **before})["A"] == "/x:/y"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "entry",
    [
        "/a b",
        "/a$b",
        "/a`id`",
        "/a'b",
        '/a"b',
        "/a\\b",
        "/*",
        "/[a]",
        "/?",
        "/~",
        "/a;id",
        "/a)id",
        "/$(id)",
        "/#",
        "/!",
        "/é",
        "/-n",
    ],
)
def test_entries_that_hurt(shell: str, entry: str) -> None:
    changes = [prepend("A", f"{entry}:/z"), EnvironmentChange("set", "B", entry)]
    for times in (1, 2):
        found = after(shell, changes, {"PATH": "/bin", "A": "/q"}, times=times)
        assert found == {"A": f"{entry}:/z:/q", "B": entry}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("separator", [";", " ", ",", "|", "'", "*", "$", "\\", "::"])
def test_other_separators(shell: str, separator: str) -> None:
    changes = [prepend("A", f"/x{separator}/y", separator)]
    found = after(shell, changes, {"PATH": "/bin", "A": "/z"}, times=2)
    assert found["A"] == separator.join(["/x", "/y", "/z"])


@settings(max_examples=40, deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=4, unique=True), st.lists(ENTRY, max_size=2, unique=True), TEXT)
def test_any_entries_once_or_twice(entries: list[str], before: list[str], value: str) -> None:
    changes = [prepend("A", ":".join(entries)), EnvironmentChange("set", "B", value)]
    expected = {"A": ":".join([*(entry for entry in entries if entry not in before), *before]), "B": value}
    for times in (1, 2):
        assert after("sh", changes, {"PATH": "/bin", "A": ":".join(before)}, times=times) == expected


def test_script_needs_nothing_and_writes_nothing(tmp_path: Path) -> None:
    write = profile_script([prepend("PATH", "/x")])
    assert write.path == "/etc/profile.d/zz-hpc3.sh"
    assert write.content.endswith(b"\n")
    assert b"HOME" not in b"".join(line for line in write.content.splitlines() if not line.startswith(b"#"))


def test_no_changes_are_a_script_of_comments() -> None:
    assert all(line.startswith(b"#") for line in profile_script([]).content.splitlines())


def test_merging_leaves_one_entry_per_variable_sorted() -> None:
    changes = [prepend("B", "/1"), EnvironmentChange("set", "A", "x"), prepend("B", "/2:/1"), prepend("B", "/3")]
    assert merged_environment(changes) == (EnvironmentChange("set", "A", "x"), prepend("B", "/3:/2:/1"))


def test_merging_is_what_doing_one_after_the_other_gives() -> None:
    changes = [prepend("A", "/1:/2"), prepend("A", "/3:/1"), prepend("A", "/4")]
    one_by_one = {"A": "/q"}
    for change in changes:
        one_by_one.update(after("sh", [change], {"PATH": "/bin", **one_by_one}))
    assert after("sh", merged_environment(changes), {"PATH": "/bin", "A": "/q"}) == one_by_one


@pytest.mark.parametrize(
    ("changes", "merged"),
    [
        ([EnvironmentChange("set", "A", "1"), EnvironmentChange("set", "A", "2")], EnvironmentChange("set", "A", "2")),
        ([prepend("A", "/1"), EnvironmentChange("set", "A", "2")], EnvironmentChange("set", "A", "2")),
        ([EnvironmentChange("set", "A", "2"), prepend("A", "/1")], EnvironmentChange("set", "A", "/1:2")),
    ],
)
def test_merging_set_and_prepended(changes: list[EnvironmentChange], merged: EnvironmentChange) -> None:
    assert merged_environment(changes) == (merged,)
