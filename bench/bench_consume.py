"""Consumers: the fingerprint of this host, ``find`` in a catalog of 100,000 images, and the website of 10,000.

The goal for ``find`` is held against the query, from opening the catalog to the ranking, in a process that is already
running; what the whole command costs besides, mostly Python's start and imports, is printed below it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hpc3.consume.catalog import Catalog
from hpc3.consume.find import rank_images
from hpc3.consume.site.build import build_site
from hpc3.fingerprint import Fingerprint
from hpc3.host.document import fingerprint_from_json
from measure import Measurement, hpc3, measure, run_group

PREFIX = "org.supercontainers."
NODE = {
    "schema": "hpc3.fingerprint/1",
    "name": "node",
    "cpu": {"family": "x86_64", "target": "zen3"},
    "kernel": {"version": "5.14", "page_size": 4096, "modules": []},
    "libc": {"name": "glibc", "version": "2.31"},
    "launcher": {"name": "slurm", "pmi": ["pmi2"]},
    **{name: [] for name in ("gpus", "fabrics", "libraries", "mpis", "runtimes", "devices")},
}
STATED = {
    "hardware.cpu.optimized.mode": "microarch",
    "hardware.gpu.vendor": "none",
    "mpi.abi.family": "mpich",
    "mpi.implementation": "mpich",
    "mpi.pmi": "pmi1,pmi2",
    "mpi.portability.mode": "hybrid",
    "mpi.version": "4.2.2",
    "os.vendor": "debian",
    "os.version": "12",
    "software.version": "2025.3",
    "system.libc.name": "glibc",
    "system.libc.version": "2.36",
}


def catalog_lines(images: int) -> Iterator[str]:
    """Yield a catalog's text: 100 images of each software, of four targets."""
    yield '{"schema": "hpc3.catalog/1"}\n'
    for number in range(images):
        target = ("x86_64_v3", "zen2", "zen3", "zen4")[number % 4]
        stated = {**STATED, "software.name": f"app{number // 100}", "hardware.cpu.optimized.version": target}
        yield json.dumps(
            {
                "digest": f"sha256:{number:064x}",
                "reference": f"docker://registry.example/app{number // 100}:{number}",
                "places": {"annotation": {PREFIX + key: value for key, value in stated.items()}},
            }
        )


def filled(folder: Path, images: int) -> Path:
    """Return a catalog of so many images."""
    path = folder / f"{images}.sqlite"
    with Catalog(path, create=True) as catalog:
        catalog.put_lines(catalog_lines(images), "made here")
    return path


def measurements(quick: bool) -> Iterator[Measurement]:
    """Yield what the consumers cost; see `run_group`."""
    repeat = 1 if quick else 15
    read = measure(hpc3("fingerprint"), repeat)
    yield Measurement("hpc3 fingerprint, whole process", read.seconds, "s", 0.1)
    yield Measurement("  processor time, with the engines that it asks for their version", read.processor, "s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from measure_find(folder, 1_000 if quick else 100_000, repeat)
        yield from measure_site(folder, 100 if quick else 10_000)


def measure_find(folder: Path, images: int, repeat: int) -> Iterator[Measurement]:
    node = folder / "node.json"
    node.write_text(json.dumps(NODE), "utf-8")
    path = filled(folder, images)
    yield Measurement(
        f"find among {images:,} images, from opening the catalog to the ranking", query_seconds(path), "s", 0.05
    )
    command = hpc3("find", "app1", "--catalog", str(path), "--host", str(node))
    yield Measurement("  the whole command", measure(command, repeat).seconds, "s")
    yield Measurement("  hpc3 --help, to compare", measure(hpc3("--help"), repeat).seconds, "s")


def query_seconds(path: Path) -> float:
    """Return the least time of nine from opening the catalog to the ranking of the hundred images of a software."""
    node, taken = node_of_examples(), []
    for number in range(9):
        start = time.perf_counter()
        with Catalog(path) as catalog:
            ranked = rank_images(catalog.images_of(f"app{number}"), node)
        taken.append(time.perf_counter() - start)
        assert len(ranked) == 100
    return min(taken)


def measure_site(folder: Path, images: int) -> Iterator[Measurement]:
    with Catalog(filled(folder, images)) as catalog:
        start = time.perf_counter()
        build_site(catalog.images(), [node_of_examples()], folder / "site")
        yield Measurement(f"catalog site, {images:,} images, one host", time.perf_counter() - start, "s")
    size = (folder / "site/images.js").stat().st_size / 2**20
    yield Measurement("  images.js, that its search reads", size, "MiB", 4)


def node_of_examples() -> Fingerprint:
    return fingerprint_from_json(json.dumps(NODE), "node")


if __name__ == "__main__":
    run_group("Consumers", measurements)
