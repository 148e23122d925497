from __future__ import annotations

import pytest

from hpc3.consume.infer import inferred_statements
from hpc3.consume.validate import validate_subject
from hpc3.oci.reference import parse_reference
from hpc3.vocabulary import key
from unit.consume.test_consume_validate import GPU, GPU_ENV, codes, subject

ROCM = {
    key("hardware.gpu.vendor"): "amd",
    key("hardware.gpu.runtime"): "rocm",
    key("hardware.gpu.architecture"): "gfx90a",
    key("hardware.gpu.rocm.version"): "6.0",
}
VERSION = key("software.version")
MPI = key("mpi.implementation")
TARGET = key("hardware.cpu.optimized.version")


def names_otherwise(tag: str, changes: dict[str, str]) -> list[str]:
    found = validate_subject(subject(dict(changes), tag=tag, reference=f"reg/app:{tag}"))
    return [each.message.partition(" names ")[2].partition(",")[0] for each in found if each.code == "HPC407"]


@pytest.mark.parametrize(
    ("tag", "changes", "word"),
    [
        ("2025.3-cuda11.8", GPU, "cuda11.8"),
        ("2025.3-cuda-11.8", GPU, "cuda11.8"),
        ("2025.3-cuda11", GPU, "cuda11"),
        ("2025.3-cu121", GPU, "cu121"),
        ("cuda12.1", {}, "cuda12.1"),
        ("2025.3-rocm5.4", ROCM, "rocm5.4"),
        ("2025.3-gfx942", ROCM, "gfx942"),
        ("2025.3-gfx942", {}, "gfx942"),
        ("2025.3-openmpi", {}, "openmpi"),
        ("2025.3-openmpi4.1", {}, "openmpi4.1"),
        ("2025.3-impi", {}, "impi"),
        ("2025.3-intel-mpi", {}, "intelmpi"),
        ("2025.3-mpich3.4", {}, "mpich3.4"),
        ("2025.3-zen3", {TARGET: "x86_64_v3"}, "zen3"),
        ("2025.3-arm64", {}, "arm64"),
        ("2024.1", {}, "2024.1"),
        ("2024.1_cpu", {}, "2024.1"),
        ("24.05-py3", {VERSION: "23.11"}, "24.05"),
    ],
)
def test_a_tag_that_names_something_else(tag: str, changes: dict[str, str], word: str) -> None:
    assert names_otherwise(tag, changes) == [word]


@pytest.mark.parametrize(
    ("tag", "changes"),
    [
        ("2025.3-cuda12.4-mpich-zen3-amd64", GPU),
        ("2025.3-cuda12-cu124-cuda-12.4", GPU),
        ("cuda121", GPU),
        ("24.05-py3", GPU),
        ("12.4.1-devel-ubuntu22.04", GPU),
        ("2.3.0", {VERSION: "2.3.0+cu121"}),
        ("2.3.0-cu124", {**GPU, VERSION: "2.3.0+cu124"}),
        ("2.3.0_cu124", {**GPU, VERSION: "2.3.0+cu124"}),
        ("v2025.3", {}),
        ("2025.3", {VERSION: "v2025.3"}),
        ("2025.3.1-openmpi-mpich4", {}),
        ("2025.3-mvapich2", {MPI: "mvapich", key("mpi.version"): "3.0"}),
        ("2025.3-cray-mpich", {MPI: "cray-mpich"}),
        ("2025.3-x86-64-v3", {}),
        ("2025.3-m1", {}),
        ("2025.3-haswell-zen3", {}),
        ("2025.3-zen4", {TARGET: "x86_64_v3", key("hardware.cpu.optimized.mode"): "dispatch"}),
        ("2025.3-amd64-arm64", {}),
        ("latest", {}),
        ("", {}),
    ],
)
def test_a_tag_that_denies_nothing(tag: str, changes: dict[str, str]) -> None:
    assert names_otherwise(tag, changes) == []


@pytest.mark.parametrize(
    ("reference", "tag"),
    [
        ("oci:c-tag121:cuda12.1-cudnn8", "cuda12.1-cudnn8"),
        ("oci:./c-tag121:cuda12.1-cudnn8", "cuda12.1-cudnn8"),
        ("oci:cuda12.1-dir", ""),
        ("oci:/a/b:localhost/app:2025.3", "2025.3"),
        ("oci:/a/b:localhost/app", ""),
        ("reg:5000/app", "latest"),
        ("reg.io/app:1.2@sha256:" + "a" * 64, "1.2"),
        ("reg.io/app@sha256:" + "a" * 64, ""),
    ],
)
def test_the_tag_of_a_reference(reference: str, tag: str) -> None:
    assert parse_reference(reference).short_tag == tag


def test_a_folder_is_no_software() -> None:
    assert inferred_statements("oci:cuda12.1-dir", {}, {}) == {}
    found = inferred_statements("oci:c-tag121:cuda12.1-cudnn8", {}, {})
    assert found[key("hardware.gpu.cuda.version")] == "12.1"
    assert key("software.name") not in found


@pytest.mark.parametrize(
    ("variables", "changes", "denied"),
    [
        (["CUDA_VERSION=12.1.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.1"], {}, {"CUDA_VERSION", "NVIDIA_REQUIRE_CUDA"}),
        (["CUDA_VERSION=11.8.0"], GPU, {"CUDA_VERSION"}),
        (["OPENMPI_VERSION=4.1.6"], {}, {"OPENMPI_VERSION"}),
        (["MPICH_VERSION=3.4.3"], {}, {"MPICH_VERSION"}),
        (["ROCM_VERSION=5.4", "CUDA_VERSION=12.1"], ROCM, {"ROCM_VERSION", "CUDA_VERSION"}),
        (["ROCM_PATH=/opt/rocm"], {}, {"ROCM_PATH"}),
        (["ROCM_PATH=/opt/rocm"], GPU, set()),
        (["CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.0"], GPU, set()),
        (["CUDA_VERSION=garbage"], GPU, set()),
        (["ROCM_VERSION=6.0.2"], ROCM, set()),
        (["OPENMPI_VERSION=4.1.6", "MPICH_VERSION=4.2.2"], {}, set()),
        (["OPENMPI_VERSION=4.1.6"], {MPI: "threadmpi"}, set()),
        (["OPENMPI_VERSION=4.1.6"], {MPI: "none"}, set()),
    ],
)
def test_the_environment_is_not_denied(variables: list[str], changes: dict[str, str], denied: set[str]) -> None:
    found = validate_subject(subject(dict(changes), {"Env": ["PATH=/bin", *variables]}))
    said = {each.message.split("says ")[1].partition("=")[0] for each in found if each.code == "HPC406"}
    assert said == denied


@pytest.mark.parametrize(
    ("requirement", "is_newer"),
    [
        ("cuda>=13.0", True),
        ("cuda>=13", True),
        ("cuda>12.4", True),
        ("cuda=12.5", True),
        ("cuda>12", False),
        ("driver>=570,cuda>=12.8 cuda>=13.0", True),
        ("cuda>=12.0", False),
        ("cuda>=12", False),
        ("cuda>=9.0", False),
        ("cuda>=12.4.1", False),
        ("cuda>=13.0 cuda>=12.4", False),
        ("cuda<13", False),
        ("brand=tesla,driver>=450,driver<451 cuda>=11.0", False),
        ("cuda>=13.0 brand=tesla,driver>=525,driver<526", False),
        ("", False),
    ],
)
def test_only_a_newer_cuda_is_too_much(requirement: str, is_newer: bool) -> None:
    environment = ["PATH=/bin", f"NVIDIA_REQUIRE_CUDA={requirement}", *GPU_ENV]
    assert ("HPC412" in codes(subject(dict(GPU), {"Env": environment}))) is is_newer
    assert "HPC412" not in codes(subject(dict(GPU), {"Env": [*environment, "NVIDIA_DISABLE_REQUIRE=true"]}))
