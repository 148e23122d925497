"""Names by which run-time dispatch shows: of imports, of functions compiled for a target, of whole libraries."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from hpc3.tables import rows

#: Data or functions of other objects by which code learns the CPU's features: GCC's libgcc, glibc's loader.
FEATURE_IMPORTS = frozenset(
    {
        "__aarch64_cpu_features",
        "__cpu_features2",
        "__cpu_model",
        "__parse_hwcap_and_convert_at_platform",
        "_dl_x86_cpu_features",
        "_rtld_global_ro",
    }
)
FEATURE_FUNCTIONS = frozenset(
    {
        "__builtin_cpu_supports",
        "__getauxval",
        "__get_cpuid",
        "__get_cpuid_max",
        "__x86_get_cpu_features",
        "__x86_get_cpuid_feature_leaf",
        "_dl_x86_get_cpu_features",
        "elf_aux_info",
        "getauxval",
    }
)
#: Functions of the C and C++ libraries that never come back.
FINAL_FUNCTIONS = frozenset(
    {
        "_Exit",
        "_Unwind_Resume",
        "__assert_fail",
        "__chk_fail",
        "__cxa_rethrow",
        "__cxa_throw",
        "__fortify_fail",
        "__stack_chk_fail",
        "_exit",
        "_gfortran_stop_string",
        "abort",
        "exit",
        "longjmp",
        "quick_exit",
    }
)
#: Targets in lower-case names of functions: GCC's target_clones (``f.avx2.0``), OpenBLAS (``dgemm_kernel_haswell``),
#: Highway's namespaces (``n_sve2``).
_TARGET_NAME = re.compile(
    r"[._](sse[0-9_]*|opteron(_sse3)?|nano|ssse3|avx[0-9a-z_]*|fma[34]?|bmi2?|xop|aesni|evex[0-9a-z_]*|arch_[a-z0-9_-]+|x86[_-](64[_-])?v[234]|"
    r"core2|nehalem|penryn|dunnington|sandybridge|ivybridge|haswell|broadwell|skylakex?|cooperlake|icelake[a-z_]*|"
    r"cascadelake|sapphirerapids|atom|barcelona|bobcat|bulldozer|piledriver|steamroller|excavator|zen[0-9]*|znver[0-9]|"
    r"a64fx|armv[89][a-z0-9]*|asimd[a-z]*|cortex_?[ax][0-9]+|falkor|neoverse_?[nv][0-9]|sme[0-9_]*|sve2?(_[a-z0-9]+)?|"
    r"thunderx[a-z0-9]*|tsv110|vortex[a-z0-9]*|(cpu_)?power([89]|10)|vsx[234]?)"
    r"(?=$|[._ie])"  # i and e go on in a mangled C++ name
)
#: mkl_: what oneMKL has beyond SSE2 lies behind its own dispatch (its Developer Guide, "Instruction Set Specific
#: Dispatching on Intel Architectures"). c, d, e: AVX, AVX2, AVX-512 in the vector function ABI, called by code compiled
#: for them only (libmvec).
_TARGET_PREFIXES = ("mkl_", *(f"_zgv{isa}{mask}" for isa in "cde" for mask in "nm"))
#: glibc's list of its own IFUNC variants, for its tests: names each, calls none.
LISTS = ("__libc_ifunc_impl_list",)
#: Folders in which glibc's loader looks for what suits the CPU: glibc-hwcaps, and until 2.36 those named after a
#: platform or a feature, right below where libraries lie. It looks there for libraries only.
_TARGET_FOLDER = re.compile(
    r"/glibc-hwcaps/[^/]+/(.+/)?[^/]+\.so(\.[^/]*)?$|"
    r"/lib[^/]*(/[^/]+-linux-[^/]+)?(/tls|/x86_64)*(/haswell|/xeon_phi|/avx512_1)+(/x86_64)?/[^/]+\.so(\.[^/]*)?$"
)
#: Names by which a program picks whole plug-ins.
_TARGET_PLUGIN = re.compile(r"[._-](avx2?|avx512[a-z]*|haswell|skylakex?|zen[0-9]|x86[_-]64[_-]v[234])\.so(\.[^/]*)?$")

_SSE = ("sse3", "ssse3", "sse4_1", "sse4_2")
_AVX = (*_SSE, "popcnt", "avx")
#: Features that every processor with a feature has; only the chains that matter for vector code.
IMPLIED = {
    "avx": _AVX,
    "avx2": _AVX,
    "avx512f": (*_AVX, "avx2", "f16c", "fma"),
    "fma": _AVX,
    "sse4_1": _SSE[:3],
    "sse4_2": _SSE,
    "ssse3": _SSE[:2],
}


def is_for_a_target(name: str) -> bool:
    """Whether a function's name says that it was compiled for a target."""
    lower = name.lower()  # a search that ignores case is three times slower
    return lower.startswith(_TARGET_PREFIXES) or _TARGET_NAME.search(lower) is not None


class Told(NamedTuple):
    """What the names of functions tell, each function by its number.

    Attributes:
        lists: that list IFUNCs.
        for_a_target: compiled for a target.
        asking: that ask the CPU for its features.
    """

    lists: set[int]
    for_a_target: set[int]
    asking: set[int]


def told_by_names(names: Iterable[tuple[int, str]]) -> Told:
    """Return what the numbered names of functions tell."""
    told = Told(set(), set(), set())
    for number, name in names:
        if name in LISTS:
            told.lists.add(number)
        elif name in FEATURE_FUNCTIONS:
            told.asking.add(number)
        elif is_for_a_target(name):
            told.for_a_target.add(number)
    return told


def is_in_target_folder(path: str) -> bool:
    """Whether the loader picks a library for a CPU by the folder where it lies."""
    return _TARGET_FOLDER.search("/" + path) is not None


def is_named_plugin(path: str) -> bool:
    """Whether a library's file name says that it is for a CPU: a program that loads it by name asks before."""
    return _TARGET_PLUGIN.search(path) is not None


@cache
def is_known_dispatcher(soname: str, path: str) -> bool:
    """Whether an object is known to keep the CPU's features in memory and to branch on them (``dispatchers.json``)."""
    names = (soname, posixpath.basename(path))
    return any(re.fullmatch(row["sonames"], name) for row in rows("dispatchers") for name in names if name)


@cache
def is_chosen_whole(soname: str) -> bool:
    """Whether a library holds nothing but code for a CPU, and another library asks before it calls it."""
    return bool(soname) and any(row["whole"] and re.fullmatch(row["sonames"], soname) for row in rows("dispatchers"))
