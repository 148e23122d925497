"""Do the host's libraries that will be put into the container find the C library they need?"""

from __future__ import annotations

from collections.abc import Iterator

from hpc3.fingerprint import Fingerprint
from hpc3.versions import is_at_least

from ..evidence import host_side, image_sides
from ..image import Image
from ..swap import best_swap
from ..verdict import Judgement, Side, Verdict
from .fabric import injectable_libfabric

FACET = "libc"
_IMAGE = ("system.libc.name", "system.libc.version")


def check_libc(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield one judgement: what counts is what each library needs, not which C library the host has."""
    name, version = image.value("system.libc.name"), image.value("system.libc.version")
    evidence = image_sides(image, *_IMAGE)
    injected = _injected(image, host)
    if not name or (name == "glibc" and not version):
        reason = "Cannot tell whether host libraries fit: the image does not say which C library it has."
        yield Judgement(FACET, Verdict.UNKNOWN, "LIBC_NOT_STATED", reason, evidence)
    elif not injected:
        reason = "No library of the host is put into the container."
        yield Judgement(FACET, Verdict.OK, "LIBC_ALONE", reason, evidence)
    elif name != "glibc":
        reason = f"Host libraries need glibc, and the image has {name}: it keeps its own libraries."
        yield Judgement(FACET, _verdict(image), "LIBC_OTHER", reason, evidence, injected)
    else:
        too_new = [side for side in injected if side.value and not is_at_least(version, side.value)]
        if too_new:
            listed = ", ".join(f"{side.subject} needs GLIBC_{side.value}" for side in too_new)
            reason = f"The image's glibc {version} is too old for host libraries: {listed}."
            remedy = "Sarus' glibc hook, or an image with a newer base"
            yield Judgement(FACET, _verdict(image), "LIBC_TOO_OLD", reason, evidence, tuple(too_new), remedy)
        else:
            reason = f"The host's libraries find what they need in glibc {version}."
            yield Judgement(FACET, Verdict.OK, "LIBC_OK", reason, evidence, injected)


def _injected(image: Image, host: Fingerprint) -> tuple[Side, ...]:
    """Return each host library that would be put in, with the highest ``GLIBC_x.y`` that it needs."""
    sides = []
    if image.value("mpi.portability.mode") in ("bind", "replace"):
        swap = best_swap(image, host)
        if swap:
            sides.append(host_side(swap.mpi.soname or "libmpi", swap.mpi.glibc))
    wished = image.values("mpi.portability.optimization")
    if {"libfabric-inject", "libfabric-provider"} & set(wished) and host.libraries:
        path = injectable_libfabric(image, host)
        sides += [host_side(lib.soname, lib.glibc) for lib in host.libraries if lib.path == path]
    return tuple(sides)


def _verdict(image: Image) -> Verdict:
    """A swap that the image must have is a failure; one that it may have only costs speed."""
    return Verdict.FAILS if image.value("mpi.portability.mode") == "bind" else Verdict.DEGRADED
