from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hpc3.consume.cuda import (
    CodeSupport,
    Driver,
    DriverSupport,
    code_support,
    driver_support,
    is_dropped,
    is_met,
    newest_toolkit,
    unmet_requirements,
)
from hpc3.consume.facets.gpu import check_gpu
from hpc3.consume.verdict import Verdict, worst
from hpc3.fingerprint import Fingerprint, HostGpu, Kernel
from hpc3.tables import rows
from hpc3.versions import version_numbers
from unit.consume.consumer_examples import A100, CUDA, MI250X, ROCM, host, image


def older(version: str) -> str:
    """A driver just below ``version``."""
    numbers = list(version_numbers(version))
    numbers[-1] -= 1
    return ".".join(map(str, numbers)) if numbers[-1] >= 0 else f"{numbers[0] - 1}.99"


@pytest.mark.parametrize("row", rows("cuda_drivers"), ids=lambda r: f"{r['platform']}-{r['cuda']}-{r['kind'][:5]}")
def test_every_row_of_nvidias_tables(row: dict[str, str]) -> None:
    least, platform = row["driver_min"], row["platform"]
    if row["kind"] == "toolkit":
        assert driver_support(row["cuda"], least, platform) is DriverSupport.FULL
        assert driver_support(row["cuda"], older(least), platform) is not DriverSupport.FULL
    else:
        toolkits = [
            r
            for r in rows("cuda_drivers")
            if r["kind"] == "toolkit" and r["platform"] == platform and r["cuda"].partition(".")[0] == row["cuda"]
        ]
        assert toolkits
        for toolkit in toolkits:
            assert driver_support(toolkit["cuda"], least, platform) is not DriverSupport.TOO_OLD
            if version_numbers(older(least)) < version_numbers(toolkit["driver_min"]):
                assert driver_support(toolkit["cuda"], older(least), platform) is DriverSupport.TOO_OLD


def test_newest_toolkit_of_a_driver() -> None:
    assert newest_toolkit("550.54.15") == "12.4"
    assert newest_toolkit("300.1") == ""


# Compatibility guides of Ampere, Ada, Hopper and Blackwell (docs.nvidia.com/cuda): binary compatibility holds within
# a major revision, upwards; PTX runs on everything newer; architecture-specific ("a") code on that very one.
@pytest.mark.parametrize(
    ("gpu", "cubins", "ptx", "support"),
    [
        ("sm_80", ("sm_80",), "", CodeSupport.NATIVE),
        ("sm_86", ("sm_80",), "", CodeSupport.SAME_MAJOR),
        ("sm_80", ("sm_86",), "", CodeSupport.NONE),
        ("sm_90", ("sm_80",), "", CodeSupport.NONE),
        ("sm_90", ("sm_80",), "compute_80", CodeSupport.PTX),
        ("sm_80", ("sm_90",), "compute_90", CodeSupport.NONE),
        ("sm_90", ("sm_90a",), "", CodeSupport.NATIVE),
        ("sm_100", ("sm_90a",), "compute_90a", CodeSupport.NONE),
        ("sm_103", ("sm_100a",), "", CodeSupport.NONE),
        ("sm_103", ("sm_100f",), "", CodeSupport.SAME_MAJOR),
        ("sm_120", (), "compute_90", CodeSupport.PTX),
        ("sm_70", (), "", CodeSupport.NONE),
    ],
)
def test_code_on_gpus(gpu: str, cubins: tuple[str, ...], ptx: str, support: CodeSupport) -> None:
    assert code_support(gpu, cubins, ptx) is support


def test_dropped_architectures() -> None:
    assert is_dropped("13.0", "sm_70")
    assert not is_dropped("12.9", "sm_70")
    assert is_dropped("12.0", "sm_37")


def requirement(third_party: Path, version: str) -> str:
    return (third_party / "nvidia-require" / f"cuda-{version}.txt").read_text("utf-8").strip()


# The gaps are real: a branch that is not listed and does not run the toolkit in full is refused.
@pytest.mark.parametrize(
    ("driver", "accepted"),
    [("470.82.01", True), ("510.47.03", False), ("520.61.05", False), ("525.85.12", True), ("530.30.02", False),
     ("535.54.03", True), ("545.23.08", False), ("550.54.15", True), ("570.86.10", True)],
)  # fmt: skip
def test_real_requirement_of_cuda_12_4(third_party: Path, driver: str, accepted: bool) -> None:
    on = Driver(driver, newest_toolkit(driver), "8.0", "tesla")
    assert is_met(requirement(third_party, "12.4.1"), on) is accepted


def test_real_requirement_names_brands(third_party: Path) -> None:
    on = Driver("470.82.01", newest_toolkit("470.82.01"), "8.6", "nvs")
    assert not is_met(requirement(third_party, "12.1.1"), on)
    assert is_met(requirement(third_party, "12.1.1"), replace(on, brand="geforce"))


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("", True),
        ("cuda>=12.4", True),
        ("cuda>=12.5", False),
        ("cuda>=99 driver>=550", True),
        ("driver>=550,driver<551", True),
        ("driver>=551,driver<552", False),
        ("arch>=8.0", True),
        ("arch=9.0", False),
        ("brand=tesla", True),
        ("brand!=tesla", False),
        ("colour=green", True),
        ("nonsense", True),
    ],
)
def test_requirement_grammar(text: str, met: bool) -> None:
    assert is_met(text, Driver("550.54.15", "12.4", "8.0", "tesla")) is met


def test_switches_around_requirements() -> None:
    old = Driver("470.1", "11.4", "8.0", "tesla")
    assert unmet_requirements({"NVIDIA_REQUIRE_CUDA": "cuda>=12.4"}, old) == ("NVIDIA_REQUIRE_CUDA",)
    assert unmet_requirements({"NVIDIA_REQUIRE_CUDA": "cuda>=12.4", "NVIDIA_DISABLE_REQUIRE": "1"}, old) == ()
    assert unmet_requirements({"CUDA_VERSION": "12.4.1"}, old) == ("CUDA_VERSION",)
    assert unmet_requirements({}, old) == ()


def verdicts(stated: object, gpu: HostGpu) -> dict[str, Verdict]:
    return {f.code: f.verdict for f in check_gpu(stated, host(gpus=(gpu,)))}  # type: ignore[arg-type]


def test_an_image_on_its_gpu() -> None:
    assert worst(check_gpu(image(CUDA), host(gpus=(A100,)))) is Verdict.OK


def test_no_gpu_fails_and_unknown_gpus_are_unknown() -> None:
    assert worst(check_gpu(image(CUDA), host(gpus=()))) is Verdict.FAILS
    assert worst(check_gpu(image(CUDA), Fingerprint())) is Verdict.UNKNOWN
    assert worst(check_gpu(image(without="hardware.gpu.vendor"), host())) is Verdict.UNKNOWN


def test_driver_between_the_two_tables() -> None:
    assert verdicts(image(CUDA), replace(A100, driver="535.54.03"))["GPU_DRIVER_MINOR"] is Verdict.DEGRADED


def test_ptx_alone_under_an_older_driver_fails() -> None:
    ptx_only = image(CUDA, hardware__gpu__architecture="sm_70", hardware__gpu__ptx="compute_80")
    assert verdicts(ptx_only, replace(A100, driver="535.54.03"))["GPU_PTX_TOO_NEW"] is Verdict.FAILS
    assert verdicts(ptx_only, A100)["GPU_CODE_PTX"] is Verdict.DEGRADED


def test_driver_below_the_major_release() -> None:
    old = replace(A100, driver="470.82.01")
    assert verdicts(image(CUDA), old)["GPU_DRIVER_TOO_OLD"] is Verdict.FAILS
    compat = image(CUDA, hardware__gpu__driver__mode="compat")
    assert verdicts(compat, old)["GPU_DRIVER_COMPAT"] is Verdict.DEGRADED
    assert verdicts(compat, replace(old, brand="geforce"))["GPU_DRIVER_TOO_OLD"] is Verdict.FAILS


def test_what_the_image_demands_counts_besides_the_tables() -> None:
    assert verdicts(image(CUDA, hardware__gpu__driver__version="560.1"), A100)["GPU_DRIVER_TOO_OLD"] is Verdict.FAILS


def test_missing_facts_are_unknown() -> None:
    assert verdicts(image(CUDA), replace(A100, driver=""))["GPU_DRIVER_UNKNOWN"] is Verdict.UNKNOWN
    assert verdicts(image(CUDA), replace(A100, architecture=""))["GPU_CODE_UNKNOWN"] is Verdict.UNKNOWN
    silent = image(CUDA, hardware__gpu__ptx="", without="hardware.gpu.architecture")
    assert verdicts(silent, A100)["GPU_CODE_UNKNOWN"] is Verdict.UNKNOWN


def test_volta_and_cuda_13() -> None:
    new = image(CUDA, hardware__gpu__architecture="sm_80", hardware__gpu__cuda__version="13.0")
    v100 = HostGpu("nvidia", "Tesla V100", "sm_70", 4, "580.65.06", "tesla")
    (judgement,) = [f for f in check_gpu(new, host(gpus=(v100,))) if f.code == "GPU_CODE_NONE"]
    assert "makes none for it any more" in judgement.reason


# rocm.docs.amd.com, user and kernel-space support matrix of 6.3.0.
@pytest.mark.parametrize("row", rows("rocm_drivers"), ids=lambda row: row["driver"])
def test_every_row_of_amds_table(row: dict[str, object]) -> None:
    for release in row["user_space"]:  # type: ignore[attr-defined]
        stated = image(ROCM, hardware__gpu__rocm__version=f"{release}.1")
        said = verdicts(stated, replace(MI250X, rocm=f"{row['driver']}.0"))
        assert said["GPU_ROCM_OK"] is Verdict.OK
    old = image(ROCM, hardware__gpu__rocm__version="4.0.0")
    assert verdicts(old, replace(MI250X, rocm=f"{row['driver']}.0"))["GPU_ROCM_UNTESTED"] is Verdict.DEGRADED


def test_amd_code_must_fit_exactly() -> None:
    assert worst(check_gpu(image(ROCM), host(gpus=(MI250X,)))) is Verdict.OK
    assert verdicts(image(ROCM), replace(MI250X, architecture="gfx942"))["GPU_CODE_NONE"] is Verdict.FAILS


def test_requirement_string_is_read_from_the_image(third_party: Path) -> None:
    stated = replace(image(CUDA), environment={"NVIDIA_REQUIRE_CUDA": requirement(third_party, "12.4.1")})
    said = verdicts(stated, replace(A100, driver="545.23.08"))
    assert said["GPU_REQUIRE_UNMET"] is Verdict.DEGRADED
    assert said["GPU_DRIVER_MINOR"] is Verdict.DEGRADED
    assert not re.search("UNMET", str(verdicts(stated, A100)))


PONTE_VECCHIO = HostGpu("intel", "Intel Data Center GPU Max 1550", "intel_gpu_pvc", 6)


@pytest.mark.parametrize(
    ("code", "gpu", "modules", "expected"),
    [
        ("intel_gpu_acm_g10,intel_gpu_pvc", PONTE_VECCHIO, ("i915",), {"GPU_CODE_NATIVE": Verdict.OK}),
        ("intel_gpu_acm_g10", PONTE_VECCHIO, ("xe",), {"GPU_SPIRV_NOT_STATED": Verdict.UNKNOWN}),
        ("", PONTE_VECCHIO, ("xe",), {"GPU_CODE_UNKNOWN": Verdict.UNKNOWN}),
        ("intel_gpu_pvc", HostGpu("intel"), ("xe",), {"GPU_CODE_UNKNOWN": Verdict.UNKNOWN}),
        ("intel_gpu_pvc", PONTE_VECCHIO, ("fuse",), {"GPU_DRIVER_MISSING": Verdict.FAILS}),
        ("intel_gpu_pvc", PONTE_VECCHIO, None, {"GPU_CODE_NATIVE": Verdict.OK}),
    ],
)
def test_intel(code: str, gpu: HostGpu, modules: tuple[str, ...] | None, expected: dict[str, Verdict]) -> None:
    on = host(gpus=(gpu,), kernel=Kernel("6.8", 4096, modules))
    stated = image(hardware__gpu__vendor="intel", hardware__gpu__architecture=code)
    assert {judgement.code: judgement.verdict for judgement in check_gpu(stated, on)} == expected
