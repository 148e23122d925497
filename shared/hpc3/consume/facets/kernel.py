"""Is the kernel new enough, are its pages small enough, does it have the modules?"""

from __future__ import annotations

from collections.abc import Iterator

from hpc3.fingerprint import Fingerprint, Kernel
from hpc3.versions import is_at_least

from ..evidence import host_side, image_sides
from ..image import Image
from ..verdict import Judgement, Verdict

FACET = "kernel"
_LEAST, _PAGE, _MODULES = "system.kernel.version.min", "system.page.size.max", "system.kernel.modules.required"
_OPTIONAL = "system.kernel.modules.optional"


def check_kernel(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield what the kernel says to the image: always at least one judgement."""
    if host.kernel is None:
        reason = f"The host's kernel is not known: {host.why_unknown('kernel')}"
        yield Judgement(FACET, Verdict.UNKNOWN, "KERNEL_HOST_UNKNOWN", reason)
        return
    found = [*_version(image, host.kernel), *_page_size(image, host.kernel), *_modules(image, host.kernel)]
    yield from found
    if not found:
        reason = "The image asks nothing of the kernel that this one lacks."
        evidence = image_sides(image, _LEAST, _PAGE, _MODULES)
        yield Judgement(
            FACET, Verdict.OK, "KERNEL_OK", reason, evidence, (host_side("kernel.version", host.kernel.version),)
        )


def _version(image: Image, kernel: Kernel) -> Iterator[Judgement]:
    least = image.value(_LEAST)
    if least and not is_at_least(kernel.version, least):
        reason = f"The image's C library needs kernel {least} (FATAL: kernel too old)."
        there = (host_side("kernel.version", kernel.version),)
        yield Judgement(FACET, Verdict.FAILS, "KERNEL_TOO_OLD", reason, image_sides(image, _LEAST), there)


def _page_size(image: Image, kernel: Kernel) -> Iterator[Judgement]:
    most = image.value(_PAGE)
    there = (host_side("kernel.page_size", kernel.page_size),)
    if most and kernel.page_size is None:
        reason = f"The image tolerates pages of {most} bytes at most; the host does not say its own."
        yield Judgement(FACET, Verdict.UNKNOWN, "KERNEL_PAGE_UNKNOWN", reason, image_sides(image, _PAGE), there)
    elif most and kernel.page_size is not None and kernel.page_size > int(most):
        reason = f"The image was linked for pages of {most} bytes at most; the kernel's have {kernel.page_size}."
        yield Judgement(FACET, Verdict.FAILS, "KERNEL_PAGE_SIZE", reason, image_sides(image, _PAGE), there)


def _modules(image: Image, kernel: Kernel) -> Iterator[Judgement]:
    loaded = kernel.modules
    there = (host_side("kernel.modules", loaded),)
    for name, verdict, code in (
        (_MODULES, Verdict.FAILS, "KERNEL_MODULE"),
        (_OPTIONAL, Verdict.DEGRADED, "KERNEL_OPTIONAL"),
    ):
        wanted = image.values(name)
        missing = [] if loaded is None else [module for module in wanted if module.replace("-", "_") not in loaded]
        if wanted and loaded is None:
            reason = "Which modules the host's kernel has is not known."
            yield Judgement(FACET, Verdict.UNKNOWN, "KERNEL_MODULES_UNKNOWN", reason, image_sides(image, name), there)
        elif missing:
            reason = f"The kernel has no {', '.join(missing)}."
            yield Judgement(FACET, verdict, code, reason, image_sides(image, name), there, f"modprobe {missing[0]}")
