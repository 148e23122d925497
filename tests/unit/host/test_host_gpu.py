from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpc3.errors import InputError
from hpc3.fingerprint import HostGpu
from hpc3.host.gpu import gfx_name, gpus_from_nvidia_smi, read_gpus

TABLE = """\
| NVIDIA-SMI 545.23.08              Driver Version: 545.23.08    CUDA Version: 12.3     |
|   0  NVIDIA A100-SXM4-80GB          On  | 00000000:07:00.0 Off |                    0 |
| N/A   29C    P0              61W / 500W |      4MiB / 81920MiB |      0%      Default |
|   1  NVIDIA A100-SXM4-80GB          On  | 00000000:0B:00.0 Off |                    0 |
"""


def said_by_eessi(script: Path) -> str:
    """What EESSI's archdetect prints for what the script plays."""
    return script.with_suffix(".output").read_text("utf-8").strip()


def played(script: Path) -> str:
    return "\n".join(re.findall(r'^echo "(.*)"$', script.read_text("utf-8"), re.MULTILINE))


def test_every_dump_of_eessi(third_party: Path) -> None:
    scripts = sorted((third_party / "eessi-archdetect/nvidia-smi").glob("*.sh"))
    assert len(scripts) >= 5
    for script in scripts:
        gpus = gpus_from_nvidia_smi(played(script), script.name)
        said = said_by_eessi(script)
        if said.startswith("non-zero exit"):
            assert gpus == ()  # EESSI fails where there is no device; here that is an answer
        else:
            assert {f"accel/nvidia/cc{gpu.architecture[3:]}" for gpu in gpus} == {said}


def test_gpus_are_counted(third_party: Path) -> None:
    four = played(third_party / "eessi-archdetect/nvidia-smi/4xa100.sh")
    (gpu,) = gpus_from_nvidia_smi(four)
    assert (gpu.count, gpu.architecture, gpu.driver, gpu.brand) == (4, "sm_80", "545.23.08", "tesla")


def test_the_table_that_people_paste() -> None:
    (gpu,) = gpus_from_nvidia_smi(TABLE)
    assert gpu == HostGpu("nvidia", "NVIDIA A100-SXM4-80GB", count=2, driver="545.23.08", brand="tesla")


@pytest.mark.parametrize("text", ["", "\n\n", "NVIDIA A100", "command not found, really"])
def test_what_is_not_nvidia_smi(text: str) -> None:
    with pytest.raises(InputError):
        gpus_from_nvidia_smi(text)


# Names from the ROCm documentation: gfx_target_version is major*10000 + minor*100 + stepping.
@pytest.mark.parametrize(
    ("number", "name"),
    [(90010, "gfx90a"), (90402, "gfx942"), (90008, "gfx908"), (110000, "gfx1100"), (100302, "gfx1032")],
)
def test_gfx_names(number: int, name: str) -> None:
    assert gfx_name(number) == name


def test_amd_from_sysfs(tmp_path: Path) -> None:
    nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
    for node, version in (("0", 0), ("1", 90010), ("2", 90010)):
        (nodes / node).mkdir(parents=True)
        (nodes / node / "properties").write_text(f"cpu_cores_count 0\ngfx_target_version {version}\n")
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    (tmp_path / "sys/module/amdgpu/version").write_text("6.8.5\n")
    assert read_gpus(tmp_path) == (HostGpu("amd", "", "gfx90a", 2, "6.8.5"),)


def intel_card(root: Path, address: str, device: str, driver: str = "") -> None:
    card = root / "sys/bus/pci/devices" / address
    card.mkdir(parents=True)
    for name, text in (("class", "0x038000"), ("vendor", "0x8086"), ("device", device)):
        (card / name).write_text(f"{text}\n")
    if driver:
        (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
        (card / "driver").symlink_to(root / "sys/bus/pci/drivers" / driver)


def test_intel_from_pci(tmp_path: Path) -> None:
    intel_card(tmp_path, "0000:18:00.0", "0x0bd5", "i915")
    intel_card(tmp_path, "0000:2a:00.0", "0x0bd5", "i915")
    intel_card(tmp_path, "0000:3a:00.0", "0xe20b", "xe")
    intel_card(tmp_path, "0000:4a:00.0", "0x3e92")
    (tmp_path / "sys/module/i915").mkdir(parents=True)
    (tmp_path / "sys/module/i915/version").write_text("1.24.2.17\n")
    assert read_gpus(tmp_path) == (
        HostGpu("intel"),
        HostGpu("intel", "Intel Arc B580 Graphics", "intel_gpu_bmg_g21"),
        HostGpu("intel", "Intel Data Center GPU Max 1550", "intel_gpu_pvc", 2, "1.24.2.17"),
    )


def test_nvidia_from_procfs(tmp_path: Path) -> None:
    card = tmp_path / "sys/bus/pci/devices/0000:07:00.0"
    card.mkdir(parents=True)
    (card / "class").write_text("0x030200\n")
    (card / "vendor").write_text("0x10de\n")
    proc = tmp_path / "proc/driver/nvidia"
    (proc / "gpus/0000:07:00.0").mkdir(parents=True)
    (proc / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22\n")
    (proc / "gpus/0000:07:00.0/information").write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 1\n")
    assert read_gpus(tmp_path) == (HostGpu("nvidia", "NVIDIA H100 80GB HBM3", "", 1, "550.54.14", "tesla"),)


def test_a_card_without_a_driver_is_still_a_card(tmp_path: Path) -> None:
    card = tmp_path / "sys/bus/pci/devices/0"
    card.mkdir(parents=True)
    (card / "class").write_text("0x030200\n")
    (card / "vendor").write_text("0x10de\n")
    assert read_gpus(tmp_path) == (HostGpu("nvidia"),)
