"""How fast, how small and how right ``hpc3 verify`` is.

Run it with an interpreter into which ``hpc3[verify]`` is installed: ``python bench/bench_verify.py [ROOTFS]``. Without
a root file system it looks at this one's ``/usr``. The accuracy comes from programs compiled here, each for one of
GCC's targets, with run-time dispatch and without. Speeds are of CPU time, so that a busy machine does not count.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def print_accuracy(scratch: Path) -> None:
    right = total = lies = 0
    for march, target in TARGETS.items():
        for kind in ("plain", "clones", "checked", "pointer"):
            source = KERNELS % {"attribute": ""} + MAIN if kind == "plain" else dispatching_source(kind)
            observed = observe(compile_c(scratch / f"{march}-{kind}", source, march))
            total += 1
            right += floor_level(use_of(observed)) == expected_level(march) and verdict(observed, target) == "agrees"
            lies += expected_level(march) != "x86_64" and verdict(observed, "x86_64") == "agrees"
    print(f"instruction-set level right: {right} of {total} programs ({100 * right / total:.1f} %)")
    print(f"'agrees' with a target that is too low: {lies} of {total}")


def print_walk(root: Path) -> None:
    for attempt in ("cold", "warm"):
        start = time.process_time()
        observed = observe_tree(DirectoryTree(root))
        seconds = time.process_time() - start
        size = observed.image_bytes / 1e6
        print(f"{root} ({attempt}): {observed.files} files, {size:.0f} MB, {size / seconds:.0f} MB/s of CPU time")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"most memory so far: {peak:.0f} MB")


def print_disassembly(root: Path) -> None:
    code_bytes, seconds = 0, 0.0
    for path in sorted(root.rglob("*.so*"))[:120]:
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
        print(f"disassembly: {code_bytes / 1e6:.0f} MB of code, {code_bytes / 1e6 / seconds:.1f} MB/s of CPU time")


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("/usr")
    print_walk(root)
    print_disassembly(root)
    with tempfile.TemporaryDirectory() as scratch:
        print_accuracy(Path(scratch))


if __name__ == "__main__":
    main()
