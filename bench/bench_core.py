"""From lock to Dockerfile: start-up, a real lock of 114 nodes, and how it grows to 20,000 nodes.

The peer is the interpreter itself, ``python -c pass``.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Measurement, hpc3, measure, run_group

LOCK = Path(__file__).parent.parent / "recipes" / "pytorch-cuda" / "spack.lock"


def enlarged_lock(nodes: int) -> dict[str, Any]:
    """Return a lock of about ``nodes`` nodes: copies of a real one side by side, each with hashes of its own."""
    document = json.loads(LOCK.read_text("utf-8"))
    originals = document["concrete_specs"]
    copies = round(nodes / len(originals))
    random.seed(0)
    specs: dict[str, Any] = {}
    roots: list[dict[str, str]] = []
    for number in range(copies):
        new = {old: "".join(random.choices("abcdefghijklmnopqrstuvwxyz234567", k=32)) for old in originals}
        for old, node in originals.items():
            node = copy.deepcopy(node)
            node["hash"] = new[old]
            for edge in node.get("dependencies", []):
                edge["hash"] = new[edge["hash"]]
                if number:  # one MPI is enough, and more are an error
                    edge["parameters"]["virtuals"] = [v for v in edge["parameters"]["virtuals"] if v != "mpi"]
            specs[new[old]] = node
        roots.extend({"hash": new[root["hash"]], "spec": root["spec"]} for root in document["roots"])
    return {**document, "concrete_specs": specs, "roots": roots}


def measurements(quick: bool) -> Iterator[Measurement]:
    repeat = 3 if quick else 25
    python = measure([sys.executable, "-c", "pass"], repeat).seconds
    start = measure(hpc3("--help"), repeat).seconds
    yield Measurement("hpc3 --help, to python -c pass", start / python, "times", 3, peer="python -c pass")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("spack.yaml", "spack.lock"):
            shutil.copy(LOCK.parent / name, folder)
        bare = measure(hpc3("containerize", folder), repeat).seconds
    yield Measurement("hpc3 containerize, PyTorch lock of 114 nodes, whole process", bare, "s", 0.15)
    asked = measure(hpc3("containerize", str(LOCK.parent)), repeat).seconds
    yield Measurement("  with what Spack was asked beside it (licences, sources)", asked, "s")
    yield from growth(500 if quick else 5_000)


def growth(nodes: int) -> Iterator[Measurement]:
    """Measure a lock of so many nodes, and one of four times as many."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (nodes, 4 * nodes):
            lock = Path(folder) / f"{count}.lock"
            lock.write_text(json.dumps(enlarged_lock(count)), "utf-8")
            sample = measure(hpc3("annotations", str(lock)), 3)
            seconds[count] = sample.seconds
        memory = sample.memory / lock.stat().st_size
    yield Measurement(f"hpc3 annotations, {4 * nodes:,} nodes, whole process", seconds[4 * nodes], "s", 2)
    grown = seconds[4 * nodes] / seconds[nodes] / 4
    yield Measurement(f"  its time, to four times that of {nodes:,} nodes", grown, "times", 1.3)
    yield Measurement("  its memory, to the size of the file", memory, "times", 10)


if __name__ == "__main__":
    run_group("From lock to Dockerfile", measurements)
