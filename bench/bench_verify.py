"""How fast, how small and how right ``hpc3 verify`` is.

It looks at this machine's ``/usr``, and at an image of 5 GB made of it in the temporary folder. The accuracy comes from
programs compiled here, each for one of GCC's targets, with run-time dispatch and without; for other families too where
their cross compilers are here. Speeds are of CPU time, so that a busy machine does not count.
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
from collections.abc import Iterator
from pathlib import Path

from measure import Measurement, hpc3, measure, run_group

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

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
from hpc3.evidence.elf import UnreadableElf, read_elf
from hpc3.evidence.isa import analyse
from hpc3.evidence.scan import observe_tree
from hpc3.evidence.tree import DirectoryTree

IMAGE_BYTES = 5 << 30


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


def other_families(scratch: Path, programs: int) -> Iterator[Measurement]:
    """Yield the same for programs without dispatch for AArch64 and POWER."""
    for family, compiler in other.COMPILERS.items():
        if shutil.which(compiler) is None:
            yield Measurement(f"level right, of programs for {family}", None, why_not=f"{compiler} is not here")
            continue
        right = lies = 0
        compiled = [program for program in other.PROGRAMS if program[0] == family][:programs]
        for _, option, target, level in compiled:
            (scratch / option).mkdir()
            command = [compiler, "-x", "c", "-", *OPTIONS, option, "-o", str(scratch / option / "program"), "-lm"]
            subprocess.run(command, input=other.PLAIN, text=True, check=True)
            observed = observe(scratch / option / "program")
            right += floor_level(use_of(observed)) == level and verdict(observed, target) == "agrees"
            lies += level != family and verdict(observed, family) == "agrees"
        share = 100 * right / len(compiled)
        yield Measurement(f"level right, of {len(compiled)} programs for {family}", share, "%", 95, at_least=True)
        yield Measurement(f"  'agrees' with a target that is too low, for {family}", lies, "programs", 0)


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
    digest = subprocess.run(["sha256sum", layer], capture_output=True, text=True, check=True).stdout.split()[0]
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


def memory(scratch: Path, root: Path, size: int) -> Iterator[Measurement]:
    build_image(scratch / "image", root, size)
    sample = measure(hpc3("verify", f"oci:{scratch / 'image'}", "--no-isa", "--quiet"), repeat=1)
    yield Measurement(f"most memory for an image of {size / 1e9:.1f} GB", sample.memory / 1e6, "MB", 300)
    yield Measurement("  image read in a second of CPU time", size / 1e6 / sample.processor, "MB/s", 200, at_least=True)
    sample = measure(hpc3("verify", f"oci:{scratch / 'image'}", "--processes", "1", "--quiet"), repeat=1)
    yield Measurement("  most memory with disassembly, one process", sample.memory / 1e6, "MB", 300)
    shutil.rmtree(scratch / "image")


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
            taken = []
            for _ in range(3):  # noise only adds
                start = time.process_time()
                use = analyse(stream, elf, str(path))
                taken.append(time.process_time() - start)
            code_bytes += use.code_bytes
            seconds += min(taken)
    if seconds:
        yield Measurement("disassembly", code_bytes / 1e6 / seconds, "MB/s", 8, at_least=True)
        yield Measurement("  code of it", code_bytes / 1e6, "MB")


def measurements(quick: bool) -> Iterator[Measurement]:
    yield from walk(Path("/usr/sbin" if quick else "/usr"))
    yield from disassembly(Path("/usr/lib"), 3 if quick else 120)
    with tempfile.TemporaryDirectory() as scratch:
        yield from memory(Path(scratch), Path("/usr"), 50_000_000 if quick else IMAGE_BYTES)
        yield from accuracy(Path(scratch), 1 if quick else len(TARGETS))
        yield from other_families(Path(scratch), 1 if quick else len(other.PROGRAMS))


if __name__ == "__main__":
    run_group("Is it true: hpc3 verify", measurements)
