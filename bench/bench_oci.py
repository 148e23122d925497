"""How fast annotating and inspecting are, against what people do without it.

The peers are docker-registry, skopeo and buildah; everything stays on loopback and in a temporary folder. Whole
processes are timed, the median is shown.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from measure import Measurement, hpc3, run_group

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the peers of the tests

from hpc3.oci.connections import Access
from hpc3.oci.http_client import HttpClient
from oci.oci_peers import ANNOTATIONS, Registry, Storage, free_port, serve_registry

ROUND_TRIP = 0.020  # seconds
CHUNK = 1024 * 1024


def measurements(quick: bool) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory(prefix="hpc3-bench-") as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        with serve_registry(folder / "registry") as registry:
            wanted = [write_wanted(folder / f"{i}.json", str(i)) for i in range(2)]
            yield from one_image(folder, registry, wanted, size_mb=8 if quick else 1000, repeat=1 if quick else 7)
            yield from many_images(folder, registry, wanted, 3 if quick else 200)
            yield from many_tags(registry, 5 if quick else 500)


def write_wanted(path: Path, version: str) -> Path:
    path.write_text(json.dumps({**ANNOTATIONS, "org.supercontainers.software.version": version}))
    return path


def one_image(folder: Path, registry: Registry, wanted: list[Path], size_mb: int, repeat: int) -> Iterator[Measurement]:
    for tag, size in (("small", 1), ("large", size_mb)):
        registry.push(write_layout(folder / tag, size), f"bench:{tag}")
    turn = iter(range(10**6))

    def apply(tag: str, *options: str) -> Callable[[], None]:
        # Each run states another version than the one before, so that each writes.
        return lambda: quiet(
            *hpc3("apply", registry.ref(f"bench:{tag}"), "--from", str(wanted[next(turn) % 2]), *options)
        )

    small = median(apply("small", "--annotations-only"), repeat)
    large = median(apply("large", "--annotations-only"), repeat)
    seen = len(registry.requests())
    apply("large", "--annotations-only")()
    requests = registry.requests()[seen:]
    busy = min(cpu_seconds(apply("large", "--annotations-only")) for _ in range(repeat))
    yield Measurement(f"hpc3 apply --annotations-only, {size_mb} MB: requests", len(requests), "requests", 3)
    yield Measurement("  blobs read for it", sum("/blobs/" in request for request in requests), "blobs", 0)
    yield Measurement("  whole process", large * 1e3, "ms")
    yield Measurement("  processor time of it", busy * 1e3, "ms")
    yield Measurement("  its time, away from that of 1 MB", abs(large / small - 1) * 100, "%", 10)
    yield Measurement("  with labels", median(apply("large"), repeat) * 1e3, "ms")
    skopeo = median(lambda: skopeo_edit(folder, registry), min(repeat, 3))
    buildah = median(lambda: buildah_edit(folder, registry), min(repeat, 2))
    yield Measurement(
        "  quicker than skopeo copy, edit, copy", skopeo / large, "times", 50, peer="skopeo", at_least=True
    )
    yield Measurement(
        "  quicker than buildah from, commit, push", buildah / large, "times", 100, peer="buildah", at_least=True
    )


def many_images(folder: Path, registry: Registry, wanted: list[Path], count: int) -> Iterator[Measurement]:
    references = [registry.ref(f"many:{i}") for i in range(count)]
    registry.push(folder / "small", "many:0")
    raw = registry.skopeo("inspect", "--raw", references[0]).encode()
    for i in range(1, count):
        put_tag(registry.host, "many", str(i), raw)
    (folder / "list").write_text("\n".join(references))
    options = ["--annotations-only", "--quiet"]
    together = timed(lambda: quiet(*hpc3("apply", "--list", str(folder / "list"), "--from", str(wanted[0]), *options)))

    def one_by_one() -> None:
        for reference in references:
            quiet(*hpc3("apply", reference, "--from", str(wanted[1]), *options))

    apart = timed(one_by_one)
    name = f"hpc3 apply, {count} images in one call, quicker than one process each"
    yield Measurement(name, apart / together, "times", 5, peer="one process each", at_least=True)


def many_tags(registry: Registry, count: int) -> Iterator[Measurement]:
    raw = registry.skopeo("inspect", "--raw", registry.ref("many:0")).encode()
    for i in range(count):
        put_tag(registry.host, "tags", f"t{i}", raw, with_blobs_of="many")
    with delayed(registry.host) as host:
        command = hpc3("inspect", f"docker://{host}/tags", "--all-tags", "--annotations-only", "--jobs", "32")
        seconds = median(lambda: quiet(*command), 3)
    name = f"hpc3 inspect, {count} tags at {ROUND_TRIP * 1e3:.0f} ms round trip"
    yield Measurement(name, seconds, "s", 1.5)


def write_layout(folder: Path, size_mb: int) -> Path:
    """Write a layout with one image of one layer of random bytes, packed without compressing."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    layer = folder / "layer"
    plain = hashlib.sha256()
    with gzip.GzipFile(layer, "wb", compresslevel=0, mtime=0) as packed:

        class Tee(io.RawIOBase):
            def write(self, data: bytes) -> int:  # type: ignore[override]
                plain.update(data)
                return packed.write(data)

        with tarfile.open(fileobj=Tee(), mode="w|") as tar:  # type: ignore[arg-type]
            for i in range(size_mb):
                member = tarfile.TarInfo(f"data{i}")
                member.size = CHUNK
                tar.addfile(member, io.BytesIO(os.urandom(CHUNK)))
    digest = hashlib.sha256()
    with layer.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    size = layer.stat().st_size
    layer.rename(blobs / digest.hexdigest())
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{plain.hexdigest()}"]}
    config = store(blobs, {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs})
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = store(
        blobs,
        {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": f"sha256:{digest.hexdigest()}",
                    "size": size,
                }
            ],
        },
    )
    (folder / "index.json").write_text(
        json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": manifest_type, **manifest}]})
    )
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return folder


def store(blobs: Path, document: dict) -> dict:
    raw = json.dumps(document).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (blobs / digest).write_bytes(raw)
    return {"digest": f"sha256:{digest}", "size": len(raw)}


def skopeo_edit(folder: Path, registry: Registry) -> None:
    """Copy to a folder, edit the manifest there, copy back: what annotating with skopeo is."""
    copy = folder / "copy"
    quiet("skopeo", "copy", "--src-tls-verify=false", registry.ref("bench:large"), f"dir:{copy}")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest.setdefault("annotations", {}).update(ANNOTATIONS)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    quiet("skopeo", "copy", "--dest-tls-verify=false", f"dir:{copy}", registry.ref("bench:skopeo"))
    shutil.rmtree(copy)


def buildah_edit(folder: Path, registry: Registry) -> None:
    """Pull, annotate, commit, push, from an empty storage."""
    storage = Storage(folder / "storage")
    name = storage.buildah("from", "--pull-always", "--tls-verify=false", registry.ref("bench:large")).strip()
    storage.buildah("config", *[f"--annotation={k}={v}" for k, v in ANNOTATIONS.items()], name)
    storage.buildah("commit", "-q", name, "localhost/annotated")
    storage.buildah("push", "--tls-verify=false", "localhost/annotated", registry.ref("bench:buildah"))
    shutil.rmtree(folder / "storage")


def put_tag(host: str, repository: str, tag: str, raw: bytes, with_blobs_of: str = "") -> None:
    http = HttpClient(Access())
    if with_blobs_of:
        manifest = json.loads(raw)
        for blob in (manifest["config"], *manifest["layers"]):
            mount = f"http://{host}/v2/{repository}/blobs/uploads/?mount={blob['digest']}&from={with_blobs_of}"
            assert http.exchange("POST", mount, {}, body=b"", limit=CHUNK).status == 201
    headers = {"Content-Type": json.loads(raw)["mediaType"]}
    url = f"http://{host}/v2/{repository}/manifests/{tag}"
    assert http.exchange("PUT", url, headers, body=raw, limit=CHUNK).status == 201
    http.close()


@contextmanager
def delayed(target: str) -> Iterator[str]:
    """Forward connections with a delay both ways, as a network has one."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=forward, args=(port, target), daemon=True)
    process.start()
    wait_for(port)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


def wait_for(port: int) -> None:
    while True:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)


def forward(port: int, target: str) -> None:
    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65536):
            loop.call_later(ROUND_TRIP / 2, writer.write, data)
        loop.call_later(ROUND_TRIP / 2, writer.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(ROUND_TRIP)  # the handshake
        host, _, number = target.partition(":")
        other_reader, other_writer = await asyncio.open_connection(host, int(number))
        await asyncio.gather(pipe(reader, other_writer), pipe(other_reader, writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        async with server:
            await server.serve_forever()

    asyncio.run(run())


def median(work: Callable[[], None], times: int) -> float:
    return statistics.median(timed(work) for _ in range(times))


def cpu_seconds(work: Callable[[], None]) -> float:
    """Return the processor time of the processes that ``work`` runs: what other load does not change much."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def timed(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def quiet(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


if __name__ == "__main__":
    run_group("Annotate and inspect", measurements)
