"""Programs cross-compiled for AArch64 and POWER targets, with run-time checks and without: is the target proven?"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from corpus.test_instruction_sets import KERNELS, MAIN, OPTIONS, observe, use_of, verdict
from hpc3.consume.verify_cpu import floor_level

pytestmark = pytest.mark.corpus

COMPILERS = {"aarch64": "aarch64-linux-gnu-gcc", "ppc64le": "powerpc64le-linux-gnu-gcc"}
STRIP = {"aarch64": "aarch64-linux-gnu-strip", "ppc64le": "powerpc64le-linux-gnu-strip"}

#: What only these families' levels show: dot products, half precision, atomics.
MORE = """
#include <stdatomic.h>
int8_t q1[N], q2[N]; atomic_int shared; float complex y[N];
__attribute__((noinline)) int dot(int n) { int s = 0; for (int i = 0; i < n; i++) s += q1[i] * q2[i]; return s; }
__attribute__((noinline)) void turn(int n) { for (int i = 0; i < n; i++) y[i] = y[i] * z[i]; }
__attribute__((noinline)) int fetch(int n) { turn(n); return atomic_fetch_add(&shared, n) + dot(n); }
__attribute__((constructor)) static void use(void) { fetch((int)a[0]); }
"""
PLAIN = KERNELS % {"attribute": ""} + MORE + MAIN

#: A function for SVE, or for POWER9, and what asks for it, as each family's programs do.
FAST = {
    "aarch64": """
#include <sys/auxv.h>
#define SVE (1ul << 22)  /* HWCAP_SVE */
#define FAST __attribute__((target("+sve"), noinline))
#define HAS_FAST (getauxval(AT_HWCAP) & SVE)
""",
    "ppc64le": """
#define FAST __attribute__((target("cpu=power9"), noinline))
#define HAS_FAST __builtin_cpu_supports("arch_3_00")
""",
}
KERNEL = """
FAST void fast(int n) {
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 3;
  for (int i = 0; i < n; i++) u[i] %= n + 3;
}
"""
CALLS = "multiply_integers(n); rotate(n); swap(n); return (int)count(n) + (int)a[argc] + (int)w[argc] + i1[argc]; }\n"
MAINS = {
    "checked": "int main(int argc, char **argv) { int n = argc * 9; if (HAS_FAST) fast(n); else multiply_add(n);"
    + CALLS,
    "pointer": """
static void (*chosen)(int); static int has_fast;
__attribute__((constructor)) static void look(void) { has_fast = HAS_FAST != 0; }
int main(int argc, char **argv) { int n = argc * 9; chosen = has_fast ? fast : multiply_add; chosen(n);
"""
    + CALLS,
    "lying": "int main(int argc, char **argv) { int n = argc * 9; fast(n); if (HAS_FAST) multiply_add(n);" + CALLS,
}
IFUNC = """
typedef void kernel(int);
static kernel *resolve(unsigned long hwcap) { return hwcap & SVE ? fast : multiply_add; }
void chosen(int n) __attribute__((ifunc("resolve")));
int main(int argc, char **argv) { int n = argc * 9; chosen(n);
"""
CLONES = '__attribute__((target_clones("default", "cpu=power9")))'

#: Family, GCC's option, archspec's target that it is for, and the level that its instructions are the first of.
PROGRAMS = [
    ("aarch64", "-march=armv8-a", "aarch64", "aarch64"),
    ("aarch64", "-march=armv8.1-a", "armv8.1a", "armv8.1a"),
    ("aarch64", "-march=armv8.2-a", "armv8.2a", "armv8.1a"),
    ("aarch64", "-march=armv8.3-a", "armv8.3a", "armv8.3a"),
    ("aarch64", "-march=armv8.4-a", "armv8.4a", "armv8.4a"),
    ("aarch64", "-march=armv8.5-a", "armv8.5a", "armv8.4a"),
    ("aarch64", "-march=armv8.6-a", "armv8.6a", "armv8.4a"),
    ("aarch64", "-march=armv9-a", "armv9.0a", "armv9.0a"),
    ("aarch64", "-mcpu=cortex-a72", "cortex_a72", "aarch64"),
    ("aarch64", "-mcpu=thunderx2t99", "thunderx2", "armv8.1a"),
    ("aarch64", "-mcpu=a64fx", "a64fx", "armv9.0a"),
    ("aarch64", "-mcpu=neoverse-n1", "neoverse_n1", "armv8.4a"),
    ("aarch64", "-mcpu=neoverse-v1", "neoverse_v1", "armv9.0a"),
    ("aarch64", "-mcpu=neoverse-n2", "neoverse_n2", "armv9.0a"),
    ("aarch64", "-mcpu=ampere1", "ampere1", "armv8.4a"),
    ("ppc64le", "-mcpu=power8", "power8le", "ppc64le"),
    ("ppc64le", "-mcpu=power9", "power9le", "power9le"),
    ("ppc64le", "-mcpu=power10", "power10le", "power10le"),
]
#: Instructions that the decoder does not know: Armv8.9's ABS of a register, and one that POWER does not have.
ABS, NOTHING = 0xDAC02000, 0xFC80000C
BASELINES = {"aarch64": "-march=armv8-a", "ppc64le": "-mcpu=power8"}
HIGHER = [p for p in PROGRAMS if p[3] not in BASELINES]


@pytest.fixture(scope="module")
def cross_compile(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile C for a family and return the file, without symbols where asked."""

    def build(family: str, source: str, *options: str, stripped: bool = True) -> Path:
        compiler = shutil.which(COMPILERS[family])
        if compiler is None:
            pytest.skip(f"{COMPILERS[family]} is not here")
        program = tmp_path_factory.mktemp("cross") / "program"
        command = [compiler, "-x", "c", "-", *OPTIONS, *options, "-o", str(program), "-lm"]
        done = subprocess.run(command, input=source, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if stripped:
            subprocess.run([STRIP[family], program], check=True)
        return program

    return build


def source_of(family: str, kind: str) -> str:
    kernels = KERNELS % {"attribute": ""} + MORE
    if kind == "clones":
        return KERNELS % {"attribute": CLONES} + MORE + MAIN
    main = IFUNC + CALLS if kind == "ifunc" else MAINS[kind]
    return kernels + FAST[family] + KERNEL + main


@pytest.mark.parametrize(("family", "option", "target", "level"), PROGRAMS)
def test_the_level_of_a_program_for_one_target(
    family: str, option: str, target: str, level: str, cross_compile: Callable[..., Path]
) -> None:
    observed = observe(cross_compile(family, PLAIN, option))
    assert floor_level(use_of(observed)) == level
    assert verdict(observed, target) == "agrees"


@pytest.mark.parametrize(("family", "option", "target", "level"), HIGHER)
def test_a_target_that_is_too_low_is_contradicted(
    family: str, option: str, target: str, level: str, cross_compile: Callable[..., Path]
) -> None:
    assert verdict(observe(cross_compile(family, PLAIN, option)), family) == "contradicts"


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("kind", ["checked", "pointer", "ifunc"])
def test_dispatch_does_not_raise_the_floor(kind: str, stripped: bool, cross_compile: Callable[..., Path]) -> None:
    observed = observe(cross_compile("aarch64", source_of("aarch64", kind), "-march=armv8-a", stripped=stripped))
    assert verdict(observed, "aarch64") == "agrees"
    assert {"sve", "atomics"} <= set(use_of(observed).dispatched)


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("kind", ["checked", "pointer", "ifunc", "lying"])
@pytest.mark.parametrize("option", ["-march=armv8.2-a+sve", "-mcpu=neoverse-v1", "-march=armv9-a", "-mcpu=a64fx"])
def test_dispatch_does_not_hide_a_higher_base(
    option: str, kind: str, stripped: bool, cross_compile: Callable[..., Path]
) -> None:
    observed = observe(cross_compile("aarch64", source_of("aarch64", kind), option, stripped=stripped))
    assert verdict(observed, "aarch64") != "agrees"
    assert verdict(observed, "armv8.1a") != "agrees"


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("family", COMPILERS)
def test_a_check_elsewhere_does_not_guard_a_call(
    family: str, stripped: bool, cross_compile: Callable[..., Path]
) -> None:
    observed = observe(cross_compile(family, source_of(family, "lying"), BASELINES[family], stripped=stripped))
    assert verdict(observed, family) != "agrees"


@pytest.mark.parametrize("option", ["-mcpu=power8", "-mcpu=power9", "-mcpu=power10"])
@pytest.mark.parametrize("kind", ["checked", "clones"])
def test_a_check_on_power_is_no_contradiction_and_no_proof(
    kind: str, option: str, cross_compile: Callable[..., Path]
) -> None:
    observed = observe(cross_compile("ppc64le", source_of("ppc64le", kind), option))
    assert verdict(observed, "ppc64le") == "unproven"
    assert verdict(observed, "power10le") == "agrees"


def test_the_compilers_clones_on_power_are_dispatched(cross_compile: Callable[..., Path]) -> None:
    observed = observe(cross_compile("ppc64le", source_of("ppc64le", "clones"), "-mcpu=power8", stripped=False))
    assert verdict(observed, "ppc64le") == "agrees"
    assert "arch_3_00" in use_of(observed).dispatched


def test_static_programs_choose_their_atomics(cross_compile: Callable[..., Path]) -> None:
    observed = observe(cross_compile("aarch64", PLAIN, "-march=armv8-a", "-static", stripped=False))
    assert verdict(observed, "aarch64") != "contradicts"


@pytest.mark.parametrize(("family", "unknown"), [("aarch64", ABS), ("ppc64le", NOTHING)])
def test_an_instruction_that_nobody_knows_is_told(
    family: str, unknown: int, cross_compile: Callable[..., Path]
) -> None:
    source = PLAIN.replace("fetch(int n) {", f'fetch(int n) {{ if (n < -9) __asm__(".long {unknown}");')
    observed = observe(cross_compile(family, source, BASELINES[family]))
    assert verdict(observed, family) == "unproven"
    assert "not known to the decoder" in use_of(observed).missing[0]
