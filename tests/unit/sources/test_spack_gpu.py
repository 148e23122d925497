"""GPUs: which runtime is in the closure, and for which architectures its packages were built."""

from __future__ import annotations

from typing import Any

import pytest

from hpc3.facts import Gpu, Known, Unknown
from hpc3.sources.spack_gpu import least_driver
from unit.locks import Edge, Node, hash_of, node
from unit.sources.test_spack_facts import facts, value


def gpu_of(*nodes: Node, **options: Any) -> Gpu:
    found = value(facts(*nodes, **options).gpu)
    assert isinstance(found, Gpu)
    return found


CUDA = {"cuda": True, "cuda_arch": ["90", "80"]}


def test_none() -> None:
    assert gpu_of(node("app", variants={"cuda": False, "cuda_arch": ["80"]})) == Gpu(vendors=())


def test_cuda() -> None:
    assert gpu_of(node("app", "1", "cuda", variants=CUDA), node("cuda", "12.9.1")) == Gpu(
        vendors=("nvidia",), runtimes=("cuda",), architectures=("sm_80", "sm_90"), cuda="12.9.1",
        driver_min="525.60.13", driver_mode="inject",
    )  # fmt: skip


def test_architectures_of_all_built_components() -> None:
    nodes = (
        node("app", "1", "cuda", "lib", "ext", variants={"cuda": True, "cuda_arch": ["none"]}),
        node("lib", variants={"cuda": True, "cuda_arch": ["90a"]}),
        node("ext", external="/opt", variants={"cuda": True, "cuda_arch": ["70"]}),
        node("cuda", "12.4"),
    )
    assert gpu_of(*nodes).architectures == ("sm_90a",)


def test_architectures_without_the_switch_do_not_count() -> None:
    nodes = (node("app", "1", "cuda", variants={"cuda": False, "cuda_arch": ["80"]}), node("cuda", "12.4"))
    assert gpu_of(*nodes).architectures == ()


def test_build_only_cuda_does_not_count() -> None:
    nodes = (node("app", "1", Edge("cuda", ("build",)), variants=CUDA), node("cuda", "12.4"))
    assert gpu_of(*nodes) == Gpu(vendors=())


def test_two_cudas_are_unknown() -> None:
    nodes = (node("app", "1", "c1", "c2"), node("cuda", "12.4", key="c1"), node("cuda", "11.8", key="c2"))
    found = facts(*nodes).gpu
    assert isinstance(found, Unknown)
    assert found.reason == "the closure holds CUDA 11.8 and 12.4"


def test_rocm() -> None:
    nodes = (
        node("app", "1", "hip", "hsa-rocr-dev", variants={"rocm": True, "amdgpu_target": ["gfx90a", "gfx942"]}),
        node("hip", "7.0.2"), node("hsa-rocr-dev", "7.0.2"),
    )  # fmt: skip
    found = gpu_of(*nodes)
    assert (found.vendors, found.runtimes, found.rocm) == (("amd",), ("rocm",), "7.0.2")
    assert found.architectures == ("gfx90a", "gfx942")
    assert (found.cuda, found.driver_min) == ("", "")


def test_two_vendors_have_no_single_driver_mode() -> None:
    found = gpu_of(node("app", "1", "cuda", "hip"), node("cuda", "12.4"), node("hip", "7.0.2"))
    assert found.vendors == ("amd", "nvidia")
    assert found.runtimes == ("cuda", "rocm")
    assert found.driver_mode == ""


def test_external_cuda_is_a_runtime_too() -> None:
    found = facts(node("app", "1", "cuda", variants=CUDA), node("cuda", "12.4.0", external="/usr/local/cuda")).gpu
    assert isinstance(found, Known)
    assert found.value.cuda == "12.4.0"
    assert hash_of("cuda") in {e.node for e in found.evidence}


@pytest.mark.parametrize(
    ("cuda", "driver"), [("11.8.0", "450.80.02"), ("12.9.1", "525.60.13"), ("13.0.2", "580"), ("10.2", ""), ("x", "")]
)
def test_least_driver(cuda: str, driver: str) -> None:
    assert least_driver(cuda) == driver
