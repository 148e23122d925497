"""Objects that the loader or a program picks for a CPU: by folder and by name, unless others always load them."""

from __future__ import annotations

import pytest

from hpc3.evidence.dispatch_names import is_in_target_folder, is_named_plugin
from hpc3.evidence.isa import ObjectUse, merge

AVX2 = {"avx2": (7, ((0x10, "kernel"),))}


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libz.so.1", True),
        ("opt/x/lib/glibc-hwcaps/x86-64-v4/libz.so", True),
        ("lib64/glibc-hwcaps/power10/libz.so.1.2", True),
        ("usr/lib64/haswell/libz.so.1", True),
        ("usr/lib64/haswell/avx512_1/libz.so.1", True),
        ("usr/lib/x86_64-linux-gnu/tls/haswell/x86_64/libz.so", True),
        ("usr/lib/haswell/tool", False),
        ("usr/lib/glibc-hwcaps/x86-64-v3/tool", False),
        ("software/x86_64/intel/haswell/bin/program", False),
        ("software/x86_64/intel/haswell/software/x/lib/libz.so.1", False),
        ("software/x86_64/intel/haswell/libz.so.1", False),
        ("usr/libexec/intel/haswell/libz.so", False),
    ],
)
def test_the_loader_looks_for_libraries_in_its_folders_only(path: str, chosen: bool) -> None:
    assert is_in_target_folder(path) == chosen


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("opt/libmkl_avx2.so.2", True),
        ("opt/libggml-cpu-haswell.so", True),
        ("opt/k.x86-64-v3.so", True),
        ("opt/k_x86_64_v4.so", True),
        ("opt/k-avx2.so.d/k.so", False),
        ("opt/k-avx2.source", False),
        ("opt/k.x86-64.so", False),
    ],
)
def test_plugins_are_named_after_a_target(path: str, chosen: bool) -> None:
    assert is_named_plugin(path) == chosen


def use(path: str, *needed: str, soname: str = "", plain: bool = False) -> ObjectUse:
    return ObjectUse(path, "x86_64", 1, required={} if plain else AVX2, soname=soname, needed=needed)


@pytest.mark.parametrize(
    ("others", "required"),
    [
        ([], 0),
        ([use("bin/m", "libc.so.6", plain=True)], 0),
        ([use("bin/m", "libk-avx2.so", plain=True)], 7),
        ([use("bin/m", "/build/libk-avx2.so", plain=True)], 7),
        ([use("bin/m", "libk.so.1", plain=True)], 7),
        ([use("bin/m", "libk.so.1", plain=True), use("lib/libk.so.1", soname="libk.so.1", plain=True)], 0),
        ([use("lib/libj-avx2.so", "libk-avx2.so")], 0),
        ([use("lib/glibc-hwcaps/x86-64-v3/libj.so", "libk-avx2.so", plain=True)], 0),
        ([use("lib/libj-avx2.so", "libk-avx2.so"), use("bin/m", "libj-avx2.so", plain=True)], 14),
    ],
)
def test_a_plugin_that_another_object_always_loads_is_no_choice(others: list[ObjectUse], required: int) -> None:
    found = merge("x86_64", [use("lib/libk-avx2.so", soname="libk.so.1"), *others])
    instructions = {name: feature.instructions for name, feature in found.required.items()}
    assert instructions == ({"avx2": required} if required else {})
    chosen = 7 * (1 + sum("avx2" in other.path for other in others)) - required
    assert sum(feature.instructions for feature in found.dispatched.values()) == chosen


def test_what_a_plugin_uses_however_it_is_guarded_is_counted_together() -> None:
    found = merge("x86_64", [ObjectUse("lib/k-avx2.so", "x86_64", 1, required=AVX2, dispatched=AVX2, unclear=AVX2)])
    assert not found.required
    assert not found.unclear
    assert found.dispatched["avx2"].instructions == 21
