"""Working on many images at once: in parallel, and one bad image does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hpc3.errors import Hpc3Error, InputError
from hpc3.oci.opening import Stores
from hpc3.oci.reference import ImageReference

from .plan import Plan, plan_apply
from .wanted import Wish

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of one image: a result, or the error that stopped it."""

    reference: ImageReference
    result: T | None = None
    error: Hpc3Error | None = None


def apply_to(stores: Stores, reference: ImageReference, wish: Wish, *, writing: bool) -> Plan:
    """Plan for one image and, when ``writing``, carry the plan out.

    Raises:
        Hpc3Error: as `plan_apply` and `ImageStore.publish`.
    """
    store = stores.open(reference)
    plan = plan_apply(store, reference, wish)
    if writing and plan.publication is not None:
        store.publish(plan.publication)
    return plan


def each_image(
    work: Callable[[ImageReference], T], references: Sequence[ImageReference], threads: int
) -> Iterator[Outcome[T]]:
    """Yield what ``work`` makes of each image, in the order of the references."""

    def attempt(reference: ImageReference) -> Outcome[T]:
        try:
            return Outcome(reference, work(reference))
        except Hpc3Error as error:
            return Outcome(reference, error=error)
        except OSError as error:
            reason = f"{error.filename or 'system'}: {error.strerror or error}"
            return Outcome(reference, error=InputError(reason, where=str(reference)))

    if len(references) == 1 or threads == 1:
        yield from map(attempt, references)
        return
    from concurrent.futures import ThreadPoolExecutor  # for many: one image is done before this is imported

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hpc3") as pool:
        try:
            yield from pool.map(attempt, references)
        finally:
            pool.shutdown(cancel_futures=True)
