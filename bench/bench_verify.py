"""How fast, how small and how right ``hpc3 verify`` is.

Run it with an interpreter into which ``hpc3[verify]`` is installed: ``python bench/bench_verify.py [ROOTFS]``. Without
a root file system it looks at this one's ``/usr``. The accuracy comes from programs compiled here, each for one of
GCC's targets, with run-time dispatch and without; those for other families where their cross compilers are here. Speeds
are of CPU time, so that a busy machine does not count. The image of 5 GB is made in the temporary folder.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from measure import Row, hpc3, measure, print_rows

from corpus import test_other_families as other
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

IMAGE_BYTES = 5 << 30
MEMORY_GOAL = 300


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


def print_other_families(scratch: Path) -> None:
    """Print the same for programs without dispatch for AArch64 and POWER."""
    for family, compiler in other.COMPILERS.items():
        if shutil.which(compiler) is None:
            print(f"{family}: {compiler} is not here")
            continue
        right = lies = 0
        programs = [program for program in other.PROGRAMS if program[0] == family]
        for _, option, target, level in programs:
            (scratch / option).mkdir()
            command = [compiler, "-x", "c", "-", *OPTIONS, option, "-o", str(scratch / option / "program"), "-lm"]
            subprocess.run(command, input=other.PLAIN, text=True, check=True)
            observed = observe(scratch / option / "program")
            right += floor_level(use_of(observed)) == level and verdict(observed, target) == "agrees"
            lies += level != family and verdict(observed, family) == "agrees"
        print(f"{family}: level right: {right} of {len(programs)}, 'agrees' with a target that is too low: {lies}")


def build_image(layout: Path, root: Path, size: int) -> None:
    """Write an OCI layout with one image of about so many bytes: the files of a folder, again and again."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layer = layout / "layer.tar"
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    with tarfile.open(layer, "w") as tar:
        copy = 0
        while tar.offset < size:
            for path in files:
                if tar.offset >= size:
                    break
                tar.add(path, f"copy{copy}/{path.relative_to(root)}", recursive=False)
            copy += 1
    with layer.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    layers = [_descriptor("application/vnd.oci.image.layer.v1.tar", digest, layer.stat().st_size)]
    layer.rename(blobs / digest)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _blob(blobs, "application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    }
    index = {"schemaVersion": 2, "manifests": [_blob(blobs, manifest["mediaType"], manifest)]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _blob(blobs: Path, media_type: object, document: object) -> dict[str, object]:
    raw = json.dumps(document).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (blobs / digest).write_bytes(raw)
    return _descriptor(media_type, digest, len(raw))


def _descriptor(media_type: object, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def print_memory(scratch: Path, root: Path) -> None:
    build_image(scratch / "image", root, IMAGE_BYTES)
    sample = measure(hpc3("verify", f"oci:{scratch / 'image'}", "--no-isa", "--quiet"), repeat=1)
    rows = [
        Row("most memory (MB / goal)", sample.memory / 1e6 / MEMORY_GOAL, "", 1.0),
        Row("most memory", sample.memory / 1e6, "MB", MEMORY_GOAL),
        Row("CPU time for 200 MB of image", sample.processor / (IMAGE_BYTES / 200e6), "s", 1.0),
    ]
    print_rows(f"an image of {IMAGE_BYTES / 1e9:.1f} GB, without disassembly", rows)
    shutil.rmtree(scratch / "image")


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
        print_memory(Path(scratch), root)
        print_accuracy(Path(scratch))
        print_other_families(Path(scratch))


if __name__ == "__main__":
    main()
