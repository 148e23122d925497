"""Does the host have the GPU, the driver and the kind of code that the image was built for?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpc3 import tables
from hpc3.fingerprint import Fingerprint, HostGpu
from hpc3.versions import is_at_least

from ..cuda import (
    CodeSupport,
    Driver,
    DriverSupport,
    code_support,
    driver_support,
    is_dropped,
    newest_toolkit,
    released_driver,
    unmet_requirements,
)
from ..evidence import environment_side, find_remedy, host_side, image_sides
from ..image import Image
from ..verdict import Judgement, Side, Verdict

FACET = "gpu"
_INTEL_DRIVERS = ("i915", "xe")
_CODE = ("hardware.gpu.architecture", "hardware.gpu.ptx")


def check_gpu(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield what the GPUs say to the image: always at least one judgement."""
    wanted = image.values("hardware.gpu.vendor")
    stated = image_sides(image, "hardware.gpu.vendor")
    if not wanted:
        reason = "Cannot tell: the image does not say whether it needs a GPU."
        yield Judgement(FACET, Verdict.UNKNOWN, "GPU_NOT_STATED", reason, stated)
    elif wanted == ("none",):
        yield Judgement(FACET, Verdict.OK, "GPU_NOT_NEEDED", "The software uses no GPU.", stated)
    elif host.gpus is None:
        reason = f"The host's GPUs are not known: {host.why_unknown('gpus')}"
        yield Judgement(FACET, Verdict.UNKNOWN, "GPU_HOST_UNKNOWN", reason, stated)
    else:
        present = [gpu for gpu in host.gpus if gpu.vendor in wanted]
        if not present:
            yield _absent(host, wanted, stated)
        for gpu in present:
            yield from _RULES[gpu.vendor](image, host, gpu)


def _absent(host: Fingerprint, wanted: tuple[str, ...], stated: tuple[Side, ...]) -> Judgement:
    there = host_side("gpus", [gpu.vendor for gpu in host.gpus or ()])
    reason = f"The image needs a GPU of {' or '.join(wanted)}; the host has {there.value or 'none'}."
    return Judgement(
        FACET, Verdict.FAILS, "GPU_ABSENT", reason, stated, (there,), "run it where such a GPU is: srun --gpus=1 …"
    )


def _nvidia(image: Image, host: Fingerprint, gpu: HostGpu) -> Iterator[Judgement]:
    yield from _cuda_driver(image, host, gpu)
    yield from _cuda_requirements(image, host, gpu)
    yield from _cuda_code(image, host, gpu)


def _cuda_driver(image: Image, host: Fingerprint, gpu: HostGpu) -> Iterator[Judgement]:
    toolkit, least = image.value("hardware.gpu.cuda.version"), image.value("hardware.gpu.driver.version")
    evidence = image_sides(image, "hardware.gpu.cuda.version", "hardware.gpu.driver.version")
    driver = (host_side("gpus.driver", gpu.driver),)
    if not gpu.driver or not (toolkit or least):
        lacking = "the host does not say its driver" if not gpu.driver else "the image does not say its CUDA toolkit"
        yield Judgement(FACET, Verdict.UNKNOWN, "GPU_DRIVER_UNKNOWN", f"Cannot tell: {lacking}.", evidence, driver)
        return
    support = driver_support(toolkit, gpu.driver, _platform(host)) if toolkit else DriverSupport.UNKNOWN
    if support is DriverSupport.TOO_OLD or (least and not is_at_least(gpu.driver, least)):
        yield _driver_too_old(image, host, gpu, toolkit or least, evidence, driver)
    elif support is DriverSupport.FULL:
        reason = f"Driver {gpu.driver} runs all of CUDA {toolkit}."
        yield Judgement(FACET, Verdict.OK, "GPU_DRIVER_OK", reason, evidence, driver)
    elif support is DriverSupport.MINOR_VERSION:
        reason = (
            f"Driver {gpu.driver} is older than CUDA {toolkit}: minor-version compatibility runs it, without PTX "
            "and without what is new in the toolkit."
        )
        yield Judgement(
            FACET, Verdict.DEGRADED, "GPU_DRIVER_MINOR", reason, evidence, driver, _ask_for_driver(image, host)
        )
    elif least:
        reason = f"Driver {gpu.driver} is at least {least}, which the image asks for."
        yield Judgement(FACET, Verdict.OK, "GPU_DRIVER_OK", reason, evidence, driver)
    else:
        reason = f"Cannot tell: no table has a driver for CUDA {toolkit}."
        yield Judgement(FACET, Verdict.UNKNOWN, "GPU_TOOLKIT_UNKNOWN", reason, evidence, driver)


def _driver_too_old(
    image: Image, host: Fingerprint, gpu: HostGpu, wanted: str, evidence: tuple[Side, ...], driver: tuple[Side, ...]
) -> Judgement:
    if image.value("hardware.gpu.driver.mode") == "compat" and gpu.brand == "tesla":
        reason = (
            f"Driver {gpu.driver} is too old for {wanted}; the image's forward-compatibility libraries carry it on "
            "this data-centre GPU where they come first."
        )
        remedy = "put the image's cuda-compat folder first: LD_LIBRARY_PATH=/usr/local/cuda/compat"
        return Judgement(FACET, Verdict.DEGRADED, "GPU_DRIVER_COMPAT", reason, evidence, driver, remedy)
    reason = f"Driver {gpu.driver} is too old for {wanted} (cudaErrorInsufficientDriver)."
    return Judgement(FACET, Verdict.FAILS, "GPU_DRIVER_TOO_OLD", reason, evidence, driver, _ask_for_driver(image, host))


def _cuda_requirements(image: Image, host: Fingerprint, gpu: HostGpu) -> Iterator[Judgement]:
    """Yield a warning where engines that read ``NVIDIA_REQUIRE_*`` would refuse to start the image."""
    if not gpu.driver:
        return
    capability = re.sub(r"sm_([0-9]+)([0-9])", r"\1.\2", gpu.architecture)
    asked = Driver(gpu.driver, newest_toolkit(gpu.driver, _platform(host)), capability, gpu.brand or "unknown")
    for name in unmet_requirements(image.environment, asked):
        reason = (
            f"Engines that read {name} (Enroot, nvidia-container-runtime) refuse this driver; Apptainer's --nv and "
            "Podman's CDI do not look at it."
        )
        yield Judgement(
            FACET,
            Verdict.DEGRADED,
            "GPU_REQUIRE_UNMET",
            reason,
            (environment_side(image, name),),
            (host_side("gpus.driver", gpu.driver), host_side("gpus.brand", gpu.brand)),
            "NVIDIA_DISABLE_REQUIRE=1",
        )


def _cuda_code(image: Image, host: Fingerprint, gpu: HostGpu) -> Iterator[Judgement]:
    cubins, ptx = image.values("hardware.gpu.architecture"), image.value("hardware.gpu.ptx")
    cubins = tuple(name for name in cubins if name.startswith("sm_"))
    toolkit = image.value("hardware.gpu.cuda.version")
    evidence, there = image_sides(image, *_CODE), (host_side("gpus.architecture", gpu.architecture),)
    if not gpu.architecture or not (cubins or ptx):
        lacking = "the host does not say its GPU's" if not gpu.architecture else "the image does not say its"
        yield Judgement(
            FACET, Verdict.UNKNOWN, "GPU_CODE_UNKNOWN", f"Cannot tell: {lacking} architecture.", evidence, there
        )
        return
    support = code_support(gpu.architecture, cubins, ptx)
    if support is CodeSupport.NATIVE:
        reason = f"The image has native code for {gpu.architecture}."
        yield Judgement(FACET, Verdict.OK, "GPU_CODE_NATIVE", reason, evidence, there)
    elif support is CodeSupport.SAME_MAJOR:
        reason = f"No code for {gpu.architecture}: it runs that of an older GPU of the same generation."
        yield Judgement(FACET, Verdict.DEGRADED, "GPU_CODE_OLDER", reason, evidence, there, find_remedy(image))
    elif support is CodeSupport.PTX:
        yield _ptx(image, host, gpu, toolkit, evidence, there)
    elif image.is_partial and not ptx:
        reason = f"No native code for {gpu.architecture}; an index does not say whether the image holds PTX."
        yield Judgement(FACET, Verdict.UNKNOWN, "GPU_PTX_NOT_STATED", reason, evidence, there)
    else:
        dropped = (
            f" CUDA {toolkit} makes none for it any more." if toolkit and is_dropped(toolkit, gpu.architecture) else ""
        )
        reason = f"No code in the image runs on {gpu.architecture} (no kernel image is available).{dropped}"
        yield Judgement(FACET, Verdict.FAILS, "GPU_CODE_NONE", reason, evidence, there, find_remedy(image))


def _ptx(
    image: Image, host: Fingerprint, gpu: HostGpu, toolkit: str, evidence: tuple[Side, ...], there: tuple[Side, ...]
) -> Judgement:
    support = driver_support(toolkit, gpu.driver, _platform(host)) if toolkit and gpu.driver else DriverSupport.UNKNOWN
    if support is DriverSupport.MINOR_VERSION:
        # CUDA Compatibility: the driver's compiler does not read PTX of a newer toolkit.
        reason = f"Only PTX fits {gpu.architecture}, and driver {gpu.driver} does not compile that of CUDA {toolkit}."
        return Judgement(FACET, Verdict.FAILS, "GPU_PTX_TOO_NEW", reason, evidence, there, find_remedy(image))
    reason = f"No native code for {gpu.architecture}: its PTX is compiled at the first start, which takes long."
    remedy = "keep the compiled code: CUDA_CACHE_PATH=$SCRATCH/.nv CUDA_CACHE_MAXSIZE=4294967296"
    return Judgement(FACET, Verdict.DEGRADED, "GPU_CODE_PTX", reason, evidence, there, remedy)


def _amd(image: Image, host: Fingerprint, gpu: HostGpu) -> Iterator[Judgement]:
    code = [name for name in image.values("hardware.gpu.architecture") if name.startswith("gfx")]
    evidence = image_sides(image, "hardware.gpu.architecture")
    there = (host_side("gpus.architecture", gpu.architecture),)
    if not code or not gpu.architecture:
        reason = "Cannot tell: the architecture of the image's code or of the host's GPU is not known."
        yield Judgement(FACET, Verdict.UNKNOWN, "GPU_CODE_UNKNOWN", reason, evidence, there)
    elif gpu.architecture in code:
        reason = f"The image has native code for {gpu.architecture}."
        yield Judgement(FACET, Verdict.OK, "GPU_CODE_NATIVE", reason, evidence, there)
    elif gpu.architecture.startswith("gfx103") and any(name.startswith("gfx103") for name in code):
        reason = f"No code for {gpu.architecture}, but for one with the same instructions; AMD does not support this."
        yield Judgement(
            FACET, Verdict.DEGRADED, "GPU_CODE_OVERRIDE", reason, evidence, there, "HSA_OVERRIDE_GFX_VERSION=10.3.0"
        )
    else:
        reason = f"No code in the image runs on {gpu.architecture} (hipErrorNoBinaryForGpu)."
        yield Judgement(FACET, Verdict.FAILS, "GPU_CODE_NONE", reason, evidence, there, find_remedy(image))
    yield from _rocm_driver(image, gpu)


def _rocm_driver(image: Image, gpu: HostGpu) -> Iterator[Judgement]:
    version, release = _minor(image.value("hardware.gpu.rocm.version")), _minor(gpu.rocm)
    evidence = image_sides(image, "hardware.gpu.rocm.version")
    there = (host_side("gpus.rocm", gpu.rocm),)
    tested = next((row["user_space"] for row in tables.rows("rocm_drivers") if row["driver"] == release), None)
    if not version or not release or tested is None:
        reason = "Whether AMD tested this ROCm with the host's driver is not known; it mostly runs."
        yield Judgement(FACET, Verdict.DEGRADED, "GPU_ROCM_UNKNOWN", reason, evidence, there)
    elif version in tested:
        reason = f"AMD tested ROCm {version} with the driver of ROCm {release}."
        yield Judgement(FACET, Verdict.OK, "GPU_ROCM_OK", reason, evidence, there)
    else:
        reason = f"AMD does not support ROCm {version} with the driver of ROCm {release}; it often runs."
        yield Judgement(FACET, Verdict.DEGRADED, "GPU_ROCM_UNTESTED", reason, evidence, there)


def _intel(image: Image, host: Fingerprint, gpu: HostGpu) -> Iterator[Judgement]:
    modules = host.kernel.modules if host.kernel else None
    if modules is not None and not set(modules) & set(_INTEL_DRIVERS):
        reason = f"The host has loaded no driver for its Intel GPU ({' or '.join(_INTEL_DRIVERS)})."
        there = (host_side("kernel.modules", modules),)
        yield Judgement(FACET, Verdict.FAILS, "GPU_DRIVER_MISSING", reason, (), there, find_remedy(image))
        return
    code = [name for name in image.values("hardware.gpu.architecture") if name.startswith("intel_gpu_")]
    evidence = image_sides(image, "hardware.gpu.architecture")
    there = (host_side("gpus.architecture", gpu.architecture),)
    if gpu.architecture and gpu.architecture in code:
        reason = f"The image has native code for {gpu.architecture}."
        yield Judgement(FACET, Verdict.OK, "GPU_CODE_NATIVE", reason, evidence, there)
    elif gpu.architecture and code:
        # SYCL's compilers put SPIR-V into most programs, for any GPU, and no annotation says whether they did.
        reason = (
            f"Cannot tell: no native code for {gpu.architecture}, and whether the image holds SPIR-V is not stated."
        )
        yield Judgement(FACET, Verdict.UNKNOWN, "GPU_SPIRV_NOT_STATED", reason, evidence, there)
    else:
        reason = "Cannot tell: the architecture of the image's code or of the host's GPU is not known."
        yield Judgement(FACET, Verdict.UNKNOWN, "GPU_CODE_UNKNOWN", reason, evidence, there)


_RULES = {"nvidia": _nvidia, "amd": _amd, "intel": _intel}


def _platform(host: Fingerprint) -> str:
    return "linux-aarch64" if host.cpu and host.cpu.family == "aarch64" else "linux-x86_64"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _ask_for_driver(image: Image, host: Fingerprint) -> str:
    toolkit = image.value("hardware.gpu.cuda.version")
    released = released_driver(toolkit, _platform(host)) if toolkit else ""
    wanted = released or image.value("hardware.gpu.driver.version")
    return f"ask for driver {wanted} or newer"
