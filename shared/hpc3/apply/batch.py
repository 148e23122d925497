"""Applying to many images at once: in parallel, and one bad image does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from hpc3.errors import Hpc3Error, InputError, printable
from hpc3.oci.opening import Stores
from hpc3.oci.reference import ImageReference

from .plan import Plan, Wish, plan_apply

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What became of one image: a plan that was carried out, or the error that stopped it."""

    reference: ImageReference
    plan: Plan | None = None
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


def apply_to_all(
    stores: Stores, references: Sequence[ImageReference], wish: Wish, *, writing: bool, threads: int
) -> Iterator[Outcome]:
    """Apply to every image and yield what became of each, in the order of the references."""

    def attempt(reference: ImageReference) -> Outcome:
        try:
            return Outcome(reference, apply_to(stores, reference, wish, writing=writing))
        except Hpc3Error as error:
            return Outcome(reference, error=error)
        except OSError as error:
            reason = printable(f"{error.filename or 'system'}: {error.strerror or error}")
            return Outcome(reference, error=InputError(reason, where=str(reference)))

    yield from in_parallel(attempt, references, threads)


def in_parallel(work: Callable[[ImageReference], T], items: Iterable[ImageReference], threads: int) -> Iterator[T]:
    """Yield the results of ``work`` in the order of the items."""
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hpc3") as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)
