"""Share a catalog: as an artifact in a registry that the sites have anyway."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator

from hpc3.errors import InputError
from hpc3.oci.edit import new_artifact
from hpc3.oci.manifest import EMPTY_BLOB, Descriptor, digest_of
from hpc3.oci.reference import ImageReference
from hpc3.oci.store import ImageStore, Publication

from .catalog import Catalog

ARTIFACT_TYPE = "application/vnd.hpc3.catalog.v1"
LAYER_TYPE = "application/vnd.hpc3.catalog.v1.lines+gzip"
#: What the text may be when unpacked; 100,000 images are less than half of it.
_MOST_BYTES = 2**30
_LONGEST_LINE = 4 * 2**20


def push_catalog(catalog: Catalog, store: ImageStore, target: ImageReference) -> str:
    """Publish a catalog under a tag and return the artifact's digest; an equal catalog gives an equal digest.

    Raises:
        StoreError: the store fails.
    """
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as stream:
        for line in catalog.lines():
            stream.write(line.encode("utf-8"))
    blob = packed.getvalue()
    manifest = new_artifact(ARTIFACT_TYPE, [Descriptor(LAYER_TYPE, digest_of(blob), len(blob))], None, {})
    store.publish(Publication(target, manifest, blobs=(EMPTY_BLOB, blob)))
    return manifest.digest


def pull_catalog(catalog: Catalog, store: ImageStore, source: ImageReference) -> int:
    """Take in a published catalog and return how many images it held.

    Raises:
        InputError: what is there is no catalog, or damaged.
        StoreError: the store fails.
    """
    manifest = store.resolve(source)
    if manifest.artifact_type != ARTIFACT_TYPE or len(manifest.layers) != 1:
        raise InputError("is no catalog", where=str(source))
    return catalog.put_lines(_unpacked(store.read_blob(manifest.layers[0]), str(source)), str(source))


def _unpacked(blob: bytes, where: str) -> Iterator[str]:
    """Yield the lines in a gzip file, each and all of bounded size.

    Raises:
        InputError: the file is damaged or too large.
    """
    total = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(blob)) as stream:
            while line := stream.readline(_LONGEST_LINE + 1):
                total += len(line)
                if len(line) > _LONGEST_LINE or total > _MOST_BYTES:
                    raise InputError(f"unpacks to more than {_MOST_BYTES} bytes, or to longer lines", where=where)
                yield line.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError("is damaged", where=where, remedy="pull it again, or ask its author") from error
