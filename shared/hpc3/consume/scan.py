"""Scan registries into a catalog: in parallel, only what changed, and to be taken up again where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from hpc3.errors import Hpc3Error
from hpc3.oci.opening import Stores
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore

from .attached_sbom import SbomEntry, attached_sbom
from .catalog import Catalog
from .image import Image
from .reading import whole_images

_SAVE_EVERY = 100


@dataclass(frozen=True)
class Scanned:
    """What became of one name: its images and their SBOMs by digest, or nothing new, or the error that stopped it."""

    reference: ImageReference
    digest: str = ""
    images: tuple[Image, ...] = ()
    sboms: Mapping[str, tuple[SbomEntry, ...]] = field(default_factory=dict)
    error: Hpc3Error | None = None


def scan_images(
    catalog: Catalog, stores: Stores, references: Sequence[ImageReference], threads: int, *, with_sboms: bool = False
) -> Iterator[Scanned]:
    """Read every name and keep what is there; yield what became of each, in the order given.

    A name that still means the digest of the last scan costs one request. One that fails leaves what the catalog
    knew of it. What was read is kept in steps, so that a scan that is stopped continues where it was.

    Args:
        catalog: where it is kept.
        stores: how stores are opened.
        references: what to read.
        threads: how many at once.
        with_sboms: also read the SBOM that is attached to each image: three requests more, seven where the registry
            has no referrers API; an image that had none is asked again.

    Raises:
        InputError: the catalog cannot be written.
    """
    known = {str(reference): catalog.digest_of_tag(str(reference)) for reference in references}
    digests = catalog.digests_with_sbom() if with_sboms else catalog.digests()

    def read(reference: ImageReference) -> Scanned:
        try:
            store = stores.open(reference)
            head = store.resolve(reference)
            if head.digest == known[str(reference)] and not with_sboms:
                return Scanned(reference, head.digest)
            images = whole_images(store, reference, head, digests)
            scanned = Scanned(reference, head.digest, images)
            return _with_sboms(store, scanned) if with_sboms else scanned
        except Hpc3Error as error:
            return Scanned(reference, error=error)

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hpc3") as pool:
        try:
            for number, scanned in enumerate(pool.map(read, references), 1):
                for image in scanned.images:
                    catalog.put_image(image)
                for digest, entries in scanned.sboms.items():
                    catalog.put_sbom(digest, entries)
                if scanned.error is None:
                    catalog.put_tag(str(scanned.reference), scanned.digest)
                if number % _SAVE_EVERY == 0:
                    catalog.save()
                yield scanned
        finally:
            pool.shutdown(cancel_futures=True)
            catalog.save()


def _with_sboms(store: ImageStore, scanned: Scanned) -> Scanned:
    """Return what became of a name with the SBOMs of its images; one that cannot be read costs no image."""
    sboms = {}
    try:
        for image in scanned.images:
            entries = attached_sbom(store, image.digest)
            if entries:
                sboms[image.digest] = entries
    except Hpc3Error as error:
        return replace(scanned, sboms=sboms, error=error)
    return replace(scanned, sboms=sboms)
