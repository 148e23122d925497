"""How fast, how small and how right ``hpc3 verify`` is.

It looks at this machine's ``/usr``. The accuracy comes from programs compiled here, each for one of GCC's targets,
with run-time dispatch and without. Speeds are of CPU time, so that a busy machine does not count.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Measurement, run_group

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from corpus.test_instruction_sets import (
    KERNELS,
    MAIN,
    OPTIONS,
    TARGETS,
    dispatching_source,
    expected_level,
    observe,
    use_of,
    verdict,
)
from hpc3.consume.verify_cpu import floor_level
from hpc3.evidence.code import read_code
from hpc3.evidence.elf import UnreadableElf, read_elf
from hpc3.evidence.isa import analyse
from hpc3.evidence.scan import observe_tree
from hpc3.evidence.tree import DirectoryTree


def compile_c(folder: Path, source: str, march: str) -> Path:
    folder.mkdir()
    command = ["gcc", "-x", "c", "-", *OPTIONS, f"-march={march}", "-o", str(folder / "program"), "-lm"]
    subprocess.run(command, input=source, text=True, check=True)
    return folder / "program"


def accuracy(scratch: Path, targets: int) -> Iterator[Measurement]:
    right = total = lies = 0
    for march, target in list(TARGETS.items())[:targets]:
        for kind in ("plain", "clones", "checked", "pointer"):
            source = KERNELS % {"attribute": ""} + MAIN if kind == "plain" else dispatching_source(kind)
            observed = observe(compile_c(scratch / f"{march}-{kind}", source, march))
            total += 1
            right += floor_level(use_of(observed)) == expected_level(march) and verdict(observed, target) == "agrees"
            lies += expected_level(march) != "x86_64" and verdict(observed, "x86_64") == "agrees"
    yield Measurement(f"instruction-set level right, of {total} programs", 100 * right / total, "%", 95, at_least=True)
    yield Measurement("  'agrees' with a target that is too low", lies, "programs", 0)


def walk(root: Path) -> Iterator[Measurement]:
    for attempt in ("cold", "warm"):
        start = time.process_time()
        observed = observe_tree(DirectoryTree(root))
        seconds = time.process_time() - start
        size = observed.image_bytes / 1e6
        yield Measurement(f"{root} ({attempt}), without disassembly", size / seconds, "MB/s", 200, at_least=True)
    yield Measurement("  its size", size, "MB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Measurement("  most memory", peak, "MB", 300)


def disassembly(root: Path, libraries: int) -> Iterator[Measurement]:
    code_bytes, seconds = 0, 0.0
    for path in sorted(root.rglob("*.so*"))[:libraries]:
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as stream:
            try:
                elf = read_elf(stream)
            except UnreadableElf:
                continue
            if elf.family != "x86_64":
                continue
            code = read_code(stream, elf, str(path))
        start = time.process_time()
        analyse(code)
        seconds += time.process_time() - start
        code_bytes += code.code_bytes()
    if seconds:
        yield Measurement("disassembly", code_bytes / 1e6 / seconds, "MB/s", 8, at_least=True)
        yield Measurement("  code of it", code_bytes / 1e6, "MB")


def measurements(quick: bool) -> Iterator[Measurement]:
    yield from walk(Path("/usr/sbin" if quick else "/usr"))
    yield from disassembly(Path("/usr/lib"), 3 if quick else 120)
    with tempfile.TemporaryDirectory() as scratch:
        yield from accuracy(Path(scratch), 1 if quick else len(TARGETS))


if __name__ == "__main__":
    run_group("Is it true: hpc3 verify", measurements)
