"""Images that say the truth but for one lie: the lie is caught, and nothing else is called one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpc3.cli import main
from hpc3.vocabulary import key
from unit.consume.oci_layouts import layer_of_folder, write_layout
from unit.consume.root_file_systems import build_root, compile_c
from unit.consume.test_consume_verify import TRUE
from unit.evidence.binaries import elf_with_section, fat_binary

CONFIG = {"Env": ["PATH=/opt/app/bin:/usr/bin"], "Cmd": ["/bin/bash", "-l"]}
GPU = {
    "hardware.gpu.architecture": "sm_80,sm_90",
    "hardware.gpu.cuda.version": "12.4",
    "hardware.gpu.ptx": "compute_90",
    "hardware.gpu.runtime": "cuda",
    "hardware.gpu.vendor": "nvidia",
}
STATED = {**TRUE, **GPU, "hardware.cpu.optimized.mode": "generic", "hardware.cpu.optimized.version": "x86_64_v3"}
#: Adds 64 numbers with AVX2, and asks nobody whether the processor has it.
VECTORS = """
#include <immintrin.h>
int numbers[64];
int main(void) {
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < 64; i += 8) sum = _mm256_add_epi32(sum, _mm256_loadu_si256((__m256i *)(numbers + i)));
    return _mm256_extract_epi32(sum, 0);
}
"""
LIES = [
    ("target", {"hardware.cpu.optimized.version": "x86_64_v2"}),
    ("target", {"hardware.cpu.optimized.version": "neoverse_v1", "hardware.cpu.optimized.mode": "microarch"}),
    ("MPI", {"mpi.implementation": "mpich"}),
    ("MPI", {"mpi.implementation": "none"}),
    ("MPI", {"mpi.version": "5.0.3"}),
    ("MPI", {"mpi.abi.family": "mpich"}),
    ("MPI", {"mpi.abi.soname": "libmpi.so.12"}),
    ("glibc", {"system.libc.version": "2.28"}),
    ("glibc", {"system.libc.name": "musl"}),
    ("CUDA", {"hardware.gpu.cuda.version": "11.8"}),
    ("CUDA", {"hardware.gpu.architecture": "sm_80,sm_100"}),
    ("CUDA", {"hardware.gpu.ptx": "compute_100"}),
    ("CUDA", {"hardware.gpu.vendor": "none"}),
    ("CUDA", {"hardware.gpu.runtime": "rocm"}),
]


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a layer of GPU software with MPI whose code needs AVX2."""
    root = build_root(tmp_path_factory.mktemp("root"))
    runtime = compile_c(
        root / "usr/lib/x86_64-linux-gnu/libcudart.so.12.4.127",
        "int cudaMalloc(void) { return 0; }",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libcudart.so.12",
    )
    compile_c(root / "opt/app/bin/vectors", VECTORS, "-mavx2")
    compile_c(
        root / "opt/app/bin/kernels", "int cudaMalloc(void); int main(void) { return cudaMalloc(); }", str(runtime)
    )
    code = fat_binary((2, 80, 0x11), (2, 90, 0x11), (1, 90, 0x11))
    (root / "opt/app/lib").mkdir()
    (root / "opt/app/lib/libkernels.so").write_bytes(elf_with_section(".nv_fatbin", code))
    return layer_of_folder(root)


def lies_found(layer: bytes, stated: dict[str, str], folder: Path, capfd: pytest.CaptureFixture[str]) -> set[str]:
    annotations = {key(name): value for name, value in stated.items()}
    reference = write_layout(folder / "layout", [layer], annotations, config=CONFIG)
    code = main(["verify", reference, "--format", "json", "--processes", "1"])
    compared = json.loads(capfd.readouterr().out)["comparisons"]
    found = {each["key"] for each in compared if each["verdict"] == "contradicts"}
    assert code == (1 if found else 0)
    assert all(each["reason"] for each in compared)
    return found


def test_the_truth_is_no_lie(layer: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert lies_found(layer, STATED, tmp_path, capfd) == set()


@pytest.mark.parametrize("lie", [lie for _, lie in LIES], ids=[f"{kind}-{next(iter(lie))}" for kind, lie in LIES])
def test_each_lie_is_caught_alone(
    lie: dict[str, str], layer: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (name, *_) = lie
    assert lies_found(layer, {**STATED, **lie}, tmp_path, capfd) == {key(name)}
