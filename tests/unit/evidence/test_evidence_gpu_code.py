from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.evidence.elf import read_elf
from hpc3.evidence.gpu_code import read_gpu_code
from unit.evidence.binaries import elf_with_section, fat_binary, hip_bundle

_KERNEL = "__global__ void k(float *a) { a[threadIdx.x] *= 2; }\nint main() { k<<<1, 1>>>(0); return 0; }\n"


def gpu_code(data: bytes) -> tuple[set[tuple[str, str]], str]:
    stream = io.BytesIO(data)
    code, trouble = read_gpu_code(stream, read_elf(stream))
    return {(each.kind, each.architecture) for each in code}, trouble


def test_nvidia_entries() -> None:
    raw = fat_binary((2, 80, 0x11), (2, 90, 0x100011), (1, 100, 0x200011)) + bytes(24) + fat_binary((2, 75, 0x11))
    found, trouble = gpu_code(elf_with_section(".nv_fatbin", raw))
    assert found == {("cubin", "sm_80"), ("cubin", "sm_90a"), ("ptx", "compute_100f"), ("cubin", "sm_75")}
    assert trouble == ""


def test_the_offset_points_at_the_entry() -> None:
    data = elf_with_section(".nv_fatbin", fat_binary((2, 80, 0x11)))
    stream = io.BytesIO(data)
    (code,), _ = read_gpu_code(stream, read_elf(stream))
    assert struct.unpack_from("<H", data, code.offset)[0] == 2


def test_hip_bundles() -> None:
    host = "host-x86_64-unknown-linux-gnu-"
    raw = hip_bundle(host, "hipv4-amdgcn-amd-amdhsa--gfx90a:sramecc+:xnack-") + bytes(4096)
    raw += hip_bundle(host, "hipv4-amdgcn-amd-amdhsa--gfx1100")
    assert gpu_code(elf_with_section(".hip_fatbin", raw)) == ({("hip", "gfx90a"), ("hip", "gfx1100")}, "")


def test_compressed_hip_bundles() -> None:
    plain = hip_bundle("hipv4-amdgcn-amd-amdhsa--gfx942")
    packed = zlib.compress(plain)
    raw = b"CCOB" + struct.pack("<HHII8x", 2, 0, 24 + len(packed), len(plain)) + packed
    assert gpu_code(elf_with_section(".hip_fatbin", raw)) == ({("hip", "gfx942")}, "")
    found, trouble = gpu_code(elf_with_section(".hip_fatbin", raw.replace(struct.pack("<HH", 2, 0), b"\2\0\1\0", 1)))
    assert (found, "Zstandard" in trouble) == (set(), True)


def test_a_decompression_bomb_stays_small() -> None:
    packed = zlib.compress(bytes(200 << 20), 9)
    raw = b"CCOB" + struct.pack("<HHII8x", 2, 0, 24 + len(packed), 200 << 20) + packed
    found, _ = gpu_code(elf_with_section(".hip_fatbin", raw))
    assert found == set()


def test_what_is_broken_is_told_and_the_rest_kept() -> None:
    raw = fat_binary((2, 80, 0x11)) + struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 1 << 40)
    found, trouble = gpu_code(elf_with_section(".nv_fatbin", raw))
    assert found == {("cubin", "sm_80")}
    assert "larger than its section" in trouble


@given(st.binary(max_size=300))
def test_garbage_never_crashes(garbage: bytes) -> None:
    for section, start in ((".nv_fatbin", b"\x50\xed\x55\xba"), (".hip_fatbin", b"__CLANG_OFFLOAD_BUNDLE__")):
        gpu_code(elf_with_section(section, garbage))
        gpu_code(elf_with_section(section, start + garbage))
    gpu_code(elf_with_section(".hip_fatbin", b"CCOB" + garbage))


@pytest.mark.corpus
def test_what_nvcc_writes(tmp_path: Path) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not here")
    (tmp_path / "k.cu").write_text(_KERNEL)
    wanted = ["arch=compute_80,code=sm_80", "arch=compute_90,code=[sm_90,compute_90]", "arch=compute_90a,code=sm_90a"]
    options = [word for each in wanted for word in ("-gencode", each)]
    done = subprocess.run(["nvcc", *options, "k.cu", "-o", "k"], cwd=tmp_path, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nvcc does not compile here: {done.stderr[-200:]}")
    found, trouble = gpu_code((tmp_path / "k").read_bytes())
    assert found == {("cubin", "sm_80"), ("cubin", "sm_90"), ("cubin", "sm_90a"), ("ptx", "compute_90")}
    assert trouble == ""
