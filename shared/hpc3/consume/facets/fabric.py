"""Do ranks talk through the host's fast network, or does everything fall back to TCP?"""

from __future__ import annotations

from collections.abc import Iterator

from hpc3.fingerprint import Fingerprint
from hpc3.versions import is_at_least

from ..evidence import host_side, image_sides
from ..image import Image
from ..swap import best_swap
from ..verdict import Judgement, Verdict

FACET = "fabric"
_IMAGE = ("communication.framework", "communication.providers")

_UCX = ("ucx", "ucx:rc", "ucx:ud")
#: Kind of card to what serves it: a framework of the vocabulary alone, or a provider. libfabric: fi_<provider>(7);
#: UCX serves everything that speaks verbs by its transports rc, ud and dc, the last on Mellanox cards alone
#: (openucx.readthedocs.io, "Transport list").
_SERVED_BY = {
    "cxi": ("ofi:cxi",),
    "efa": ("ofi:efa",),
    "hfi1": ("psm2", "ofi:opx", "ofi:psm2"),
    "mlx4": (*_UCX, "verbs", "ofi:verbs"),
    "mlx5": (*_UCX, "ucx:dc", "verbs", "ofi:verbs"),
    "irdma": (*_UCX, "verbs", "ofi:verbs", "psm3", "ofi:psm3"),
    "bnxt_re": (*_UCX, "verbs", "ofi:verbs"),
    "verbs": (*_UCX, "verbs", "ofi:verbs"),
}
#: Kinds whose cards want locked memory.
_VERBS_LIKE = ("mlx4", "mlx5", "irdma", "bnxt_re", "verbs", "efa", "hfi1")
_SLOW = "about 1 GB/s instead of 24 GB/s on Slingshot, by CSCS's measurements"


def check_fabric(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield what the host's network says to the image: at least one judgement."""
    if image.value("mpi.implementation") in ("none", "threadmpi"):
        reason = "Without MPI there is nothing to send."
        yield Judgement(FACET, Verdict.OK, "FABRIC_NOT_NEEDED", reason, image_sides(image, "mpi.implementation"))
        return
    evidence = image_sides(image, *_IMAGE)
    if host.fabrics is None:
        reason = f"The host's network is not known: {host.why_unknown('fabrics')}"
        yield Judgement(FACET, Verdict.UNKNOWN, "FABRIC_HOST_UNKNOWN", reason, evidence)
    elif not host.fabrics:
        reason = "The host has no fast network; TCP and shared memory serve."
        yield Judgement(FACET, Verdict.OK, "FABRIC_NONE", reason, evidence, (host_side("fabrics", ()),))
    else:
        yield _fast_network(image, host)
        yield from _locked_memory(host)


def served_natively(image: Image, kinds: set[str]) -> set[str]:
    """Return the kinds of cards that the image's own libraries serve."""
    frameworks, providers = set(image.values("communication.framework")), set(image.values("communication.providers"))
    # Where the transports of UCX are stated they decide: one that was built without verbs speaks TCP alone.
    if any(name.startswith("ucx:") for name in providers):
        frameworks.discard("ucx")
    has = frameworks | providers
    return {kind for kind in kinds if has & set(_SERVED_BY.get(kind, ()))}


def injectable_libfabric(image: Image, host: Fingerprint) -> str:
    """Return the path of the host's libfabric where it may take the place of the image's, else an empty string."""
    if "libfabric" not in image.values("communication.framework"):
        return ""
    needed, libc = image.value("libfabric.abi.version"), image.value("system.libc.version")
    for library in host.libraries or ():
        fits = library.name == "libfabric" and (not needed or not library.abi or is_at_least(library.abi, needed))
        if fits and (not library.glibc or not libc or is_at_least(libc, library.glibc)):
            return library.path
    return ""


def _fast_network(image: Image, host: Fingerprint) -> Judgement:
    evidence = image_sides(image, *_IMAGE)
    kinds = {fabric.kind for fabric in host.fabrics or ()}
    there = (host_side("fabrics", kinds),)
    swap = best_swap(image, host) if image.value("mpi.portability.mode") in ("bind", "replace") else None
    if swap and not swap.obstacles:
        reason = (
            f"The host's {swap.mpi.implementation}, which takes over, brings what {', '.join(sorted(kinds))} needs."
        )
        return Judgement(FACET, Verdict.OK, "FABRIC_SWAP", reason, evidence, there)
    if not image.values("communication.framework"):
        reason = "Cannot tell: the image does not say how its ranks talk."
        return Judgement(FACET, Verdict.UNKNOWN, "FABRIC_NOT_STATED", reason, evidence, there)
    native = served_natively(image, kinds)
    if native:
        reason = f"The image's own libraries serve {', '.join(sorted(native))}."
        return Judgement(FACET, Verdict.OK, "FABRIC_NATIVE", reason, evidence, there)
    library = injectable_libfabric(image, host)
    if library:
        reason = (
            f"The image's libraries do not serve {', '.join(sorted(kinds))}, but the host's libfabric may be put in."
        )
        return Judgement(
            FACET, Verdict.DEGRADED, "FABRIC_INJECT", reason, evidence, there, "hpc3 tweak IMAGE --engine ENGINE"
        )
    reason = f"Nothing in the image serves {', '.join(sorted(kinds))}: ranks talk over TCP ({_SLOW})."
    return Judgement(FACET, Verdict.DEGRADED, "FABRIC_TCP", reason, evidence, there)


def _locked_memory(host: Fingerprint) -> Iterator[Judgement]:
    limit = host.limits.memlock if host.limits else None
    if limit is None or limit < 0 or not any(f.kind in _VERBS_LIKE for f in host.fabrics or ()):
        return
    reason = f"Only {limit} KiB may be locked; cards that use verbs want no limit."
    yield Judgement(
        FACET,
        Verdict.DEGRADED,
        "FABRIC_MEMLOCK",
        reason,
        (),
        (host_side("limits.memlock", limit),),
        "ulimit -l unlimited",
    )
