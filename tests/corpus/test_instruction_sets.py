"""Programs compiled for every x86-64 level and many GCC targets, with dispatch and without: is the target proven?"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hpc3.consume.verify import verify_annotations
from hpc3.consume.verify_cpu import floor_level
from hpc3.evidence.disassembly import Disassembly
from hpc3.evidence.scan import observe_tree
from hpc3.evidence.tree import DirectoryTree
from hpc3.facts import Unknown
from hpc3.observed import CpuUse, Observed
from hpc3.targets import is_generic
from hpc3.vocabulary import key

pytestmark = pytest.mark.corpus

KERNELS = """
#include <complex.h>
#include <stdint.h>
#include <stdlib.h>
#define N 4096
double a[N], b[N], c[N]; int32_t i1[N], i2[N]; uint64_t u[N]; float complex z[N]; uint32_t w[N];
%(attribute)s __attribute__((noinline)) void multiply_add(int n) {
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + c[i];
}
%(attribute)s __attribute__((noinline)) void multiply_integers(int n) {
  for (int i = 0; i < n; i++) i1[i] = i1[i] * i2[i] + 7;
}
%(attribute)s __attribute__((noinline)) uint64_t count(int n) {
  uint64_t s = 0;
  for (int i = 0; i < n; i++) s += __builtin_popcountll(u[i]) + (u[i] >> (n & 63));
  return s;
}
%(attribute)s __attribute__((noinline)) void rotate(int n) {
  for (int i = 0; i < n; i++) z[i] = z[i] * z[(i + 1) %% N];
}
%(attribute)s __attribute__((noinline)) void swap(int n) {
  for (int i = 0; i < n; i++) w[i] = __builtin_bswap32(w[i]);
}
"""
MAIN = """
int main(int argc, char **argv) {
  int n = argc * 100;
  multiply_add(n); multiply_integers(n); rotate(n); swap(n);
  return (int)count(n) + (int)a[argc] + (int)w[argc] + i1[argc];
}
"""
CHECKED_MAIN = """
__attribute__((target("avx2,fma"), noinline)) void fast(int n) { for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 3; }
__attribute__((target("avx512f,avx512dq"), noinline)) void fastest(int n) {
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 3;
}
int main(int argc, char **argv) {
  int n = argc * 100;
  if (__builtin_cpu_supports("avx512dq")) fastest(n);
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) fast(n);
  else multiply_add(n);
  multiply_integers(n); rotate(n); swap(n);
  return (int)count(n) + (int)a[argc] + (int)w[argc] + i1[argc];
}
"""
POINTER_MAIN = """
#include <cpuid.h>
__attribute__((target("avx2,fma"), noinline)) void fast(int n) { for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 3; }
static void (*chosen)(int);
static int has_avx2;
__attribute__((constructor)) static void look(void) {
  unsigned eax, ebx = 0, ecx, edx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) has_avx2 = (ebx >> 5) & 1;
}
int main(int argc, char **argv) {
  int n = argc * 100;
  chosen = has_avx2 ? fast : multiply_add;
  chosen(n); multiply_integers(n); rotate(n); swap(n);
  return (int)count(n) + (int)a[argc] + (int)w[argc] + i1[argc];
}
"""
LYING_MAIN = """
__attribute__((target("avx2,fma"), noinline)) void fast(int n) { for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 3; }
int main(int argc, char **argv) {
  int n = argc * 100;
  fast(n);
  if (__builtin_cpu_supports("avx512dq")) multiply_add(n);
  multiply_integers(n); rotate(n); swap(n);
  return (int)count(n) + (int)a[argc] + (int)w[argc] + i1[argc];
}
"""
#: GCC's -march to archspec's name.
TARGETS = {
    "x86-64": "x86_64",
    "x86-64-v2": "x86_64_v2",
    "x86-64-v3": "x86_64_v3",
    "x86-64-v4": "x86_64_v4",
    "nocona": "nocona",
    "core2": "core2",
    "nehalem": "nehalem",
    "westmere": "westmere",
    "sandybridge": "sandybridge",
    "ivybridge": "ivybridge",
    "haswell": "haswell",
    "broadwell": "broadwell",
    "skylake": "skylake",
    "skylake-avx512": "skylake_avx512",
    "cannonlake": "cannonlake",
    "cascadelake": "cascadelake",
    "icelake-client": "icelake",
    "sapphirerapids": "sapphirerapids",
    "knl": "mic_knl",
    "amdfam10": "k10",
    "bdver1": "bulldozer",
    "bdver2": "piledriver",
    "bdver3": "steamroller",
    "bdver4": "excavator",
    "znver1": "zen",
    "znver2": "zen2",
    "znver3": "zen3",
}
LEVELS = {
    "x86_64_v2": {"sse3", "ssse3", "sse4_1", "sse4_2", "popcnt"},
    "x86_64_v3": {"avx", "avx2", "fma", "bmi1", "bmi2", "abm", "movbe", "f16c"},
    "x86_64_v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
#: Features that the kernels make GCC use where it may; the rest of a target's features leave no trace.
EXERCISED = {"sse3", "ssse3", "sse4_1", "popcnt", "avx", "avx2", "fma", "fma4", "xop", "bmi2", "avx512f", "avx512vl"}
OPTIONS = ("-O3", "-ffast-math")


def observe(program: Path) -> Observed:
    with Disassembly(jobs=1) as disassembly:
        return observe_tree(DirectoryTree(program.parent), disassembly=disassembly)


def use_of(observed: Observed) -> CpuUse:
    assert not isinstance(observed.cpu, Unknown)
    return observed.cpu


def verdict(observed: Observed, target: str, mode: str = "") -> str:
    stated = {
        key("hardware.cpu.optimized.version"): target,
        key("hardware.cpu.optimized.mode"): mode or ("generic" if is_generic(target) else "microarch"),
    }
    found = {c.key: c.verdict for c in verify_annotations(stated, observed)}
    return found[key("hardware.cpu.optimized.version")]


def strip(program: Path) -> Path:
    subprocess.run(["strip", program], check=True)
    return program


def expected_level(march: str) -> str:
    """Return the level that GCC's own macros ask for, among the features that the kernels exercise."""
    done = subprocess.run(
        ["gcc", f"-march={march}", "-dM", "-E", "-x", "c", "/dev/null"], capture_output=True, text=True, check=True
    )
    macros = {line.split()[1].strip("_").lower() for line in done.stdout.splitlines()}
    enabled = EXERCISED & macros
    return max((level for level, needed in LEVELS.items() if enabled & needed), default="x86_64")


@pytest.mark.parametrize("march", TARGETS)
def test_the_level_of_a_program_for_one_target(march: str, compile_c: Callable[..., Path]) -> None:
    program = strip(compile_c(KERNELS % {"attribute": ""} + MAIN, *OPTIONS, f"-march={march}"))
    observed = observe(program)
    assert floor_level(use_of(observed)) == expected_level(march)
    assert verdict(observed, TARGETS[march]) == "agrees"


@pytest.mark.parametrize("march", [m for m in TARGETS if m not in ("x86-64",)])
def test_a_target_that_is_too_low_is_contradicted(march: str, compile_c: Callable[..., Path]) -> None:
    observed = observe(compile_c(KERNELS % {"attribute": ""} + MAIN, *OPTIONS, f"-march={march}"))
    assert verdict(observed, "x86_64") == "contradicts"


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("main", ["clones", "checked", "pointer"])
@pytest.mark.parametrize("march", ["x86-64", "x86-64-v2", "nehalem", "sandybridge"])
def test_dispatch_does_not_raise_the_floor(
    march: str, main: str, stripped: bool, compile_c: Callable[..., Path]
) -> None:
    program = compile_c(dispatching_source(main), *OPTIONS, f"-march={march}")
    observed = observe(strip(program) if stripped else program)
    assert verdict(observed, TARGETS[march]) == "agrees"
    assert "avx" in {**use_of(observed).dispatched, **use_of(observed).required}
    assert "fma" in use_of(observed).dispatched


def dispatching_source(main: str) -> str:
    clones = '__attribute__((target_clones("default", "avx2", "arch=haswell", "avx512f")))'
    mains = {"clones": MAIN, "checked": CHECKED_MAIN, "pointer": POINTER_MAIN}
    return KERNELS % {"attribute": clones if main == "clones" else ""} + mains[main]


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("main", ["clones", "checked", "pointer", "lying"])
@pytest.mark.parametrize("march", ["haswell", "x86-64-v3", "znver3", "skylake-avx512", "x86-64-v4"])
def test_dispatch_does_not_hide_a_higher_base(
    march: str, main: str, stripped: bool, compile_c: Callable[..., Path]
) -> None:
    source = KERNELS % {"attribute": ""} + LYING_MAIN if main == "lying" else dispatching_source(main)
    program = compile_c(source, *OPTIONS, f"-march={march}")
    observed = observe(strip(program) if stripped else program)
    assert verdict(observed, "x86_64") != "agrees"
    assert verdict(observed, "x86_64_v2") != "agrees"


@pytest.mark.parametrize("stripped", [False, True])
def test_a_check_elsewhere_does_not_guard_a_call(stripped: bool, compile_c: Callable[..., Path]) -> None:
    program = compile_c(KERNELS % {"attribute": ""} + LYING_MAIN, *OPTIONS)
    observed = observe(strip(program) if stripped else program)
    assert verdict(observed, "x86_64") != "agrees"
    assert verdict(observed, "x86_64_v3") == "agrees"


@pytest.mark.parametrize("main", ["plain", "checked", "lying"])
def test_code_without_unwind_table_and_symbols_is_not_overlooked(main: str, compile_c: Callable[..., Path]) -> None:
    source = {"plain": KERNELS % {"attribute": ""} + MAIN, "lying": KERNELS % {"attribute": ""} + LYING_MAIN}
    options = (*OPTIONS, "-march=haswell", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
    observed = observe(strip(compile_c(source.get(main) or dispatching_source(main), *options)))
    assert verdict(observed, "x86_64") != "agrees"


#: A library whose check is a function that other objects may replace.
ASKING_LIBRARY = """
#include <cpuid.h>
static unsigned flags;
__attribute__((constructor)) static void ask(void) {
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) flags = b;
}
__attribute__((noinline)) int has_avx2(void) { return flags >> 5 & 1; }
__attribute__((noinline, target("avx2"))) static void fast(float *x, int n) { while (n--) x[n] = x[n] * 2 + 1; }
__attribute__((noinline)) static void slow(float *x, int n) { while (n--) x[n] = x[n] * 2 + 1; }
__attribute__((visibility("default"))) void work(float *x, int n) { %s }
"""


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("option", ["-fplt", "-fno-plt", "-fno-semantic-interposition", "-fvisibility=hidden"])
def test_a_check_is_known_however_it_is_called(option: str, stripped: bool, compile_c: Callable[..., Path]) -> None:
    options = (*OPTIONS, "-shared", "-fPIC", option)
    for work, expected in {
        "if (has_avx2()) fast(x, n); else slow(x, n);": "agrees",
        "fast(x, n); if (has_avx2()) slow(x, n);": "unproven",
    }.items():
        library = compile_c(ASKING_LIBRARY % work, *options, name="libwork.so")
        assert verdict(observe(strip(library) if stripped else library), "x86_64") == expected, work


#: A program that asks for its features, and decides by something else.
DECIDING_MAIN = """
#include <cpuid.h>
__attribute__((target("avx2,fma"), noinline)) void fast(int n) { for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 3; }
static int level;
__attribute__((constructor)) static void ask(void) {
  unsigned x, y, z, w;
  if (__get_cpuid_count(7, 0, &x, &y, &z, &w)) level = y >> 16 & 1;
}
__attribute__((noinline)) void work(int n) { %s }
int main(int argc, char **argv) { work(argc * 100); return (int)a[argc]; }
"""


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize(
    ("work", "expected"),
    [
        ("if (level > -2) fast(n); else multiply_add(n);", "unproven"),
        ("if (level > 0) fast(n); else multiply_add(n);", "agrees"),
        ("if (level - 1 >= 0) fast(n); else multiply_add(n);", "agrees"),
        ('asm goto("subl $1, %0; jns %l1" : : "r"(level) : "cc" : no); fast(n); no:', "unproven"),
    ],
)
def test_numbers_have_a_sign(work: str, expected: str, stripped: bool, compile_c: Callable[..., Path]) -> None:
    program = compile_c(KERNELS % {"attribute": ""} + DECIDING_MAIN % work, "-O2")
    assert verdict(observe(strip(program) if stripped else program), "x86_64") == expected


#: A program that decides by what CPUID answers.
ANSWERED_MAIN = """
#include <cpuid.h>
__attribute__((target("avx2,fma"), noinline)) void fast(int n) { for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 3; }
int main(int argc, char **argv) {
  unsigned x, y, z = 0, w, top = __get_cpuid_max(0, 0);
  if (top < 7 || !__get_cpuid_count(%s, 0, &x, &y, &z, &w)) return 1;
  if (%s) fast(argc); else multiply_add(argc);
  return (int)a[argc];
}
"""


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize(
    ("leaf", "condition", "is_feature"),
    [
        ("0", "y == 0x756e6547 || y == 0x68747541", False),  # the vendor
        ("1", "w >> 26 & 1", False),  # SSE2
        ("1", "x >> 8 & 15", False),  # the family
        ("0x80000006", "z >> 16 > 256", False),  # size of a cache
        ("0x80000001", "w >> 29 & 1", False),  # long mode
        ("1", "z >> 28 & 1", True),
        ("7", "y >> 5 & 1", True),
        ("0x80000001", "z >> 16 & 1", True),
    ],
)
def test_what_is_no_feature_guards_nothing(
    leaf: str, condition: str, is_feature: bool, stripped: bool, compile_c: Callable[..., Path]
) -> None:
    program = compile_c(KERNELS % {"attribute": ""} + ANSWERED_MAIN % (leaf, condition), "-O2")
    assert (verdict(observe(strip(program) if stripped else program), "x86_64") == "agrees") == is_feature


def test_another_family_is_contradicted(compile_c: Callable[..., Path]) -> None:
    observed = observe(compile_c(KERNELS % {"attribute": ""} + MAIN))
    assert verdict(observed, "neoverse_v1") == "contradicts"


def test_the_evidence_names_the_function(compile_c: Callable[..., Path]) -> None:
    observed = observe(compile_c(KERNELS % {"attribute": ""} + MAIN, *OPTIONS, "-march=haswell"))
    examples = [str(place) for place in use_of(observed).required["fma"].evidence]
    assert examples
    assert any("multiply_add" in example for example in examples)


RARE = """
#include <immintrin.h>
%s
int main(void) { return work(); }
"""
SERIALIZE = """
__attribute__((noinline, target("serialize"))) int work(void) { _serialize(); return 0; }
"""
MWAITX = """
__attribute__((noinline, target("mwaitx"))) int work(void) { _mm_mwaitx(0, 0, 0); return 0; }
"""


@pytest.mark.parametrize(
    ("work", "target", "expected"),
    [
        (SERIALIZE, "x86_64_v4", "contradicts"),
        (SERIALIZE, "sapphirerapids", "agrees"),
        (MWAITX, "x86_64_v3", "contradicts"),
        (MWAITX, "zen2", "agrees"),
    ],
)
def test_features_beyond_the_levels_are_compared(
    work: str, target: str, expected: str, compile_c: Callable[..., Path]
) -> None:
    assert verdict(observe(compile_c(RARE % work, "-O2")), target) == expected
