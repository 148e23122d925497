"""Consumers: the fingerprint of this host, ``find`` in a catalog of 100,000 images, and the website of 10,000.

Run it with an interpreter into which hpc3 is installed: ``python bench/bench_consume.py``. The goal for ``find`` is
held against the query, from opening the catalog to the ranking, in a process that is already running; what the whole
command costs besides, mostly Python's start and imports, is printed below it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Row, hpc3, measure, print_rows

from hpc3.consume.catalog import Catalog
from hpc3.consume.find import rank_images
from hpc3.consume.site.build import build_site
from hpc3.fingerprint import Fingerprint
from hpc3.host.document import fingerprint_from_json

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


def query_seconds(path: Path, node: Fingerprint) -> float:
    """Return the least time of nine from opening the catalog to the ranking of the hundred images of a software."""
    taken = []
    for number in range(9):
        start = time.perf_counter()
        with Catalog(path) as catalog:
            ranked = rank_images(catalog.images_of(f"app{number}"), node)
        taken.append(time.perf_counter() - start)
        assert len(ranked) == 100
    return min(taken)


def main() -> None:
    node = fingerprint_from_json(json.dumps(NODE), "node")
    read = measure(hpc3("fingerprint"), 15)
    rows = [
        Row("hpc3 fingerprint, whole process", read.seconds, "s", 0.1),
        Row("  processor time, with the engines that it asks for their version", read.processor, "s"),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "node.json").write_text(json.dumps(NODE), "utf-8")
        path = filled(folder, 100_000)
        rows.append(
            Row(
                "find among 100,000 images, from opening the catalog to the ranking",
                query_seconds(path, node),
                "s",
                0.05,
            )
        )
        command = hpc3("find", "app1", "--catalog", str(path), "--host", str(folder / "node.json"))
        rows.append(Row("  the whole command", measure(command, 9).seconds, "s"))
        rows.append(Row("  hpc3 --help, to compare", measure(hpc3("--help"), 9).seconds, "s"))
        start = time.perf_counter()
        with Catalog(filled(folder, 10_000)) as catalog:
            start = time.perf_counter()
            build_site(catalog.images(), [node], folder / "site")
        rows.append(Row("catalog site, 10,000 images, one host", time.perf_counter() - start, "s"))
        rows.append(
            Row("  images.js, that its search reads", (folder / "site/images.js").stat().st_size / 2**20, "MiB", 4)
        )
    print_rows("Consumers", rows)


if __name__ == "__main__":
    main()
