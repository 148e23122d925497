"""Programs whose code beyond the target runs without a check that guards it, on a way that is easily overlooked.

Each has a check elsewhere, so that the ways through it are followed; none may agree with plain ``x86_64``.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .test_instruction_sets import observe, strip, verdict

KERNELS = """
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#define KERNEL __attribute__((noinline, unused))
double a[4096], b[4096];
KERNEL __attribute__((target("avx2,fma"))) static void fast(int n) { while (n--) a[n] = a[n] * b[n] + 3; }
KERNEL __attribute__((target("avx512f,avx512dq"))) static void fastest(int n) { while (n--) a[n] = a[n] * b[n] + 5; }
KERNEL static void slow(int n) { while (n--) a[n] += b[n]; }
#define CHECKED if (__builtin_cpu_supports("avx512dq")) fastest(argc)
"""
CASES = """
int main(int argc, char **argv) {
    CHECKED;
    switch (argc) {
        case 1: slow(1); break;
        case 2: puts("2"); LAST;
        case 3: fast(9); break;
        case 4: puts("4"); LAST;
        case 5: puts("5");
        case 6: slow(13); break;
        case 7: puts("x"); break;
        default: slow(99);
    }
    return a[argc];
}
"""
#: Name to options and source.
UNGUARDED = {
    "a predicate that returns 1 whatever it finds": (
        ["-O2"],
        """
        static unsigned features;
        KERNEL int init(void) {
            unsigned x, y, z, w;
            if (__get_cpuid_count(7, 0, &x, &y, &z, &w)) features = y;
            return 1;
        }
        int main(int argc, char **argv) { if (!init()) return 1; fast(argc); return features; }
        """,
    ),
    "a predicate that returns what it was told": (
        ["-O2"],
        """
        static int has; static FILE *log;
        KERNEL int init(void) {
            has = __builtin_cpu_supports("avx512dq");
            log = fopen("/dev/null", "w");
            return log != NULL;
        }
        int main(int argc, char **argv) { if (!init()) return 1; fast(argc); if (has) fastest(1); return a[argc]; }
        """,
    ),
    "CPUID that waits for the clock": (
        ["-O2"],
        """
        static inline unsigned long long now(void) {
            unsigned x = 0, y, z, w;
            __asm__ volatile("cpuid" : "+a"(x), "=b"(y), "=c"(z), "=d"(w));
            return __builtin_ia32_rdtsc();
        }
        KERNEL unsigned long long measure(int n) { unsigned long long begin = now(); slow(n); return now() - begin; }
        int main(int argc, char **argv) { if (measure(argc) > 1) fast(100); return a[argc]; }
        """,
    ),
    "a table of functions": (
        ["-O2"],
        """
        static void (*const kernels[])(int) = {slow, fast};
        int main(int argc, char **argv) { CHECKED; kernels[argc & 1](100); return a[argc]; }
        """,
    ),
    "a pointer that is read again": (
        ["-O2", "-mindirect-branch=thunk"],
        """
        void (*volatile kernel)(int) = fast;
        int main(int argc, char **argv) { CHECKED; kernel(100); return a[argc]; }
        """,
    ),
    "a pointer that somebody changes": (
        ["-O2"],
        """
        static void (*kernel)(int) = slow;
        KERNEL void set(int x) { if (x) kernel = 0; }
        int main(int argc, char **argv) {
            set(argc > 1);
            CHECKED;
            if (!kernel) fast(100); else kernel(100);
            return a[argc];
        }
        """,
    ),
    "labels in a table": (
        ["-O2"],
        """
        int main(int argc, char **argv) {
            static const void *labels[] = {&&first, &&second, &&third, &&last};
            int place = 0;
            CHECKED;
            #define NEXT goto *labels[argv[1][place++] & 3]
            NEXT; first: slow(3); NEXT; second: puts("1"); NEXT; third: fast(9); NEXT; last: return a[argc];
        }
        """,
    ),
    "cases by their addresses": (["-O0", "-no-pie", "-fno-pie"], CASES.replace("LAST", "break")),
    "cases behind a call that never returns": (["-O0"], CASES.replace("LAST", "abort()")),
    "a function that is only named after a target": (
        ["-O2"],
        """
        KERNEL __attribute__((target("avx2"))) static void fast_avx2(int n) { while (n--) a[n] = a[n] * b[n] + 3; }
        int main(int argc, char **argv) { CHECKED; fast_avx2(100); return a[argc]; }
        """,
    ),
    "numbers among the code": (
        ["-O2"],
        """
        KERNEL __attribute__((target("avx2"))) void kernel(double *p) {
            __asm__ volatile(
                "jmp 1f\\n .byte 0x06, 0x07, 0x0e, 0x16\\n 1: vmovupd (%0), %%ymm0\\n vaddpd %%ymm0, %%ymm0, %%ymm0\\n"
                "vmovupd %%ymm0, (%0)\\n vzeroupper" : : "r"(p) : "xmm0", "memory");
        }
        int main(int argc, char **argv) { kernel(a); return a[argc]; }
        """,
    ),
    "instructions that no decoder knows yet": (  # ADD of APX
        ["-O2"],
        'int main(void) { __asm__ volatile(".byte 0xd5, 0x58, 0x01, 0xc8" : : : "memory"); return 0; }',
    ),
    "a function too small to be seen": (  # neither size nor unwind table
        ["-O2"],
        """
        __asm__(".text; .globl add4; .p2align 4; add4: vmovupd (%rdi), %ymm0; vaddpd %ymm0, %ymm0, %ymm0;"
                "vmovupd %ymm0, (%rdi); vzeroupper; ret; .p2align 4");
        void add4(double *p);
        int main(int argc, char **argv) { add4(a); return a[argc]; }
        """,
    ),
}
#: Guarded by flags that take ways of their own: what cannot be read is no contradiction.
GUARDED = {
    "a level in memory": """
        enum level { NONE, AVX2, AVX512 };
        static enum level level;
        KERNEL static enum level detect(void) {
            if (__builtin_cpu_supports("avx512dq")) return AVX512;
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? AVX2 : NONE;
        }
        __attribute__((constructor)) static void init(void) { level = detect(); }
        KERNEL void work(int n) {
            switch (level) { case AVX512: fastest(n); break; case AVX2: fast(n); break; default: slow(n); }
        }
        int main(int argc, char **argv) { work(argc); return a[argc]; }
    """,
    "bits in an argument": """
        KERNEL void work(int n, unsigned bits) { if (bits & 4) fastest(n); else if (bits & 2) fast(n); else slow(n); }
        int main(int argc, char **argv) {
            unsigned bits = 0, x, y, z, w;
            if (__get_cpuid_count(7, 0, &x, &y, &z, &w)) bits = (y >> 4 & 2) | (y >> 15 & 4);
            work(argc, bits);
            return a[argc];
        }
    """,
    "an answer that is kept": """
        static int kept = -1;
        KERNEL static int has(void) {
            if (kept < 0) kept = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
            return kept;
        }
        int main(int argc, char **argv) { if (has()) fast(argc); else slow(argc); return a[argc]; }
    """,
}
EXCEPTIONS = {
    "caught": """
        KERNEL static void fail(int n) { if (n < 1000) throw n; slow(n); }
        int main(int argc, char **argv) {
            CHECKED;
            try { fail(argc); } catch (int n) { fast(n); }
            return a[argc];
        }
    """,
    "passed on": """
        struct Guard { ~Guard() { fast(100); } };
        KERNEL static void fail(int n) { if (n < 1000) throw n; slow(n); }
        KERNEL static void outer(int argc) { Guard guard; CHECKED; fail(argc); exit(0); }
        int main(int argc, char **argv) { try { outer(argc); } catch (...) {} return a[argc]; }
    """,
}


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("name", UNGUARDED)
def test_what_is_not_guarded_does_not_agree(name: str, stripped: bool, compile_c: Callable[..., Path]) -> None:
    options, source = UNGUARDED[name]
    program = compile_c(KERNELS + source, *options)
    assert verdict(observe(strip(program) if stripped else program), "x86_64") != "agrees"


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize("option", ["-O0", "-O2"])
def test_what_is_guarded_is_not_contradicted(
    name: str, option: str, stripped: bool, compile_c: Callable[..., Path]
) -> None:
    program = compile_c(KERNELS + GUARDED[name], option)
    assert verdict(observe(strip(program) if stripped else program), "x86_64") != "contradicts"


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("name", EXCEPTIONS)
@pytest.mark.parametrize("option", ["-O0", "-O2"])
def test_what_an_exception_leads_to_does_not_agree(name: str, option: str, stripped: bool, tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ is here")
    program = tmp_path / "program"
    command = [compiler, "-x", "c++", "-", option, "-o", str(program)]
    subprocess.run(command, input=KERNELS + EXCEPTIONS[name], text=True, check=True)
    assert verdict(observe(strip(program) if stripped else program), "x86_64") != "agrees"


@pytest.mark.parametrize("stripped", [False, True])
def test_an_entry_of_a_table_that_a_check_picks(stripped: bool, compile_c: Callable[..., Path]) -> None:
    program = compile_c(
        KERNELS
        + """
        static void (*const kernels[])(int) = {slow, fast, fastest};
        static int level(void) {
            if (__builtin_cpu_supports("avx512dq")) return 2;
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        }
        int main(int argc, char **argv) { kernels[level()](argc); return a[argc]; }
        """,
        "-O2",
    )
    assert verdict(observe(strip(program) if stripped else program), "x86_64") == "agrees"
