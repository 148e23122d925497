"""What the tables say of processors, held against archspec's own data and the compiler of this machine."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from archspec.cpu import UnsupportedMicroarchitecture

import peers
from hpc3.tables import Row, rows
from hpc3.targets import known_targets

OF_COMPILERS = [row for row in rows("cpu_aliases") if "gcc.gnu.org" in row["source"]]
OF_X86 = [row for row in OF_COMPILERS if known_targets()[row["target"]].family.name == "x86_64"]


def compiler_names(target: str) -> set[str]:
    """What archspec calls a target towards compilers: their ``name``, or what follows the sign of equality."""
    found = set()
    for entries in known_targets()[target].compilers.values():
        for entry in entries:
            found.add(entry.get("name", target))
            found.update(re.findall(r"-m(?:arch|cpu)=([a-z0-9.-]+)", entry.get("flags", "")))
    return found


@pytest.mark.parametrize("row", OF_COMPILERS, ids=lambda row: row["name"])
def test_archspec_calls_the_target_so_where_the_row_says_it_does(row: Row) -> None:
    assert ("archspec-json" in row["source"]) == (row["name"] in compiler_names(row["target"]))


@cache
def abilities(name: str) -> frozenset[str]:
    """The macros that GCC defines for ``-march=name``, less the names of processors; empty: it does not know it."""
    done = subprocess.run(
        ["gcc", f"-march={name}", "-dM", "-E", "-x", "c", "/dev/null"], capture_output=True, text=True, check=False
    )
    macros = re.findall(r"^#define (__\w+) 1$", done.stdout, re.MULTILINE)
    return frozenset(macro for macro in macros if macro != macro.lower())


@pytest.mark.parametrize("row", OF_X86, ids=lambda row: row["name"])
def test_gcc_gives_an_alias_the_abilities_of_its_target(row: Row) -> None:
    version = peers.need_program("gcc").split()[-1]
    try:
        flags = known_targets()[row["target"]].optimization_flags("gcc", version)
    except UnsupportedMicroarchitecture as error:
        pytest.skip(str(error))
    named = re.findall(r"-march=(\S+)", flags)
    if not abilities(row["name"]):
        pytest.skip(f"GCC {version} does not know {row['name']}")
    by_hand = {f"__{entry['flag'].upper()}__" for entry in rows("cpu_intrinsics")} | {"__PCONFIG__", "__WBNOINVD__"}
    assert abilities(row["name"]) ^ abilities(named[0]) <= by_hand


def test_headers_of_hand_written_instructions_are_in_gcc() -> None:
    peers.need_program("gcc")
    asked = subprocess.run(["gcc", "-print-file-name=include"], capture_output=True, text=True, check=True)
    folder = Path(asked.stdout.strip())
    if not (folder / "immintrin.h").exists():
        pytest.skip("this GCC is not for x86_64")
    named = {header for row in rows("cpu_intrinsics") for header in re.findall(r"(\w+\.h); only", row["source"])}
    assert len(named) > 20
    assert {header for header in named if not (folder / header).exists()} == set()
