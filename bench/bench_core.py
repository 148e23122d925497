"""From lock to Dockerfile: start-up, a real lock of 114 nodes, and how it grows to 20,000 nodes.

Run it with an interpreter into which hpc3 is installed (not editable: there the byte code is not always kept):
``python bench/bench_core.py``. The peer is the interpreter itself, ``python -c pass``.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import Row, hpc3, measure, print_rows

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


def main() -> None:
    python = measure([sys.executable, "-c", "pass"], 25).seconds
    rows = [Row("hpc3 --help, to python -c pass", measure(hpc3("--help"), 25).seconds / python, "times", 3)]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("spack.yaml", "spack.lock"):
            shutil.copy(LOCK.parent / name, folder)
        bare = measure(hpc3("containerize", folder), 15).seconds
    rows.append(Row("hpc3 containerize, PyTorch lock of 114 nodes, whole process", bare, "s", 0.15))
    asked = measure(hpc3("containerize", str(LOCK.parent)), 15).seconds
    rows.append(Row("  with what Spack was asked beside it (licences, sources)", asked, "s"))
    with tempfile.TemporaryDirectory() as folder:
        seconds = {}
        for nodes in (5_000, 20_000):
            lock = Path(folder) / f"{nodes}.lock"
            lock.write_text(json.dumps(enlarged_lock(nodes)), "utf-8")
            sample = measure(hpc3("annotations", str(lock)), 3)
            seconds[nodes] = sample.seconds
        rows.append(Row("hpc3 annotations, 20,000 nodes, whole process", seconds[20_000], "s", 2))
        rows.append(
            Row("  its time, to four times that of 5,000 nodes", seconds[20_000] / seconds[5_000] / 4, "times", 1.3)
        )
        rows.append(Row("  its memory, to the size of the file", sample.memory / lock.stat().st_size, "times", 10))
    print_rows("From lock to Dockerfile", rows)


if __name__ == "__main__":
    main()
