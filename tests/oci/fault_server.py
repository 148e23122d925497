"""A registry in this process that does what no real one can be made to do: lie, break off, ask for tokens that die.

It keeps manifests and blobs in dictionaries. A test changes ``before``: a function that sees each request first and may
answer it in its own way.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


@dataclass
class FaultyRegistry:
    host: str = ""
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    before: Callable[[Handler], bool] = lambda handler: False

    def ref(self, name: str) -> str:
        return f"docker://{self.host}/{name}"

    def put_image(self, repository: str, tag: str, **more: Any) -> bytes:
        """Store a small image and return its manifest."""
        config = b'{"architecture": "amd64", "os": "linux", "config": {}}'
        self.blobs[digest_of(config)] = config
        descriptor = {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(config),
            "size": len(config),
        }
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor, "layers": [], **more}
        raw = json.dumps(document).encode()
        for name in (tag, digest_of(raw)):
            self.manifests[f"{repository}:{name}"] = (raw, OCI_MANIFEST)
        return raw

    def at(self, name: str) -> dict[str, Any]:
        return json.loads(self.manifests[name][0])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: FaultyRegistry

    def log_message(self, *_: object) -> None:
        pass

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        self.registry.requests.append((self.command, self.path, self.headers.get("Authorization", "")))
        if not self.registry.before(self):
            self.serve()

    do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - the names that http.server calls

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        stated = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), **stated}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self) -> bool:
        """Break the connection in the middle."""
        self.close_connection = True
        self.connection.close()
        return True

    def serve(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        parts = url.path.removeprefix("/v2/").rsplit("/", 2)
        if url.path.endswith("/blobs/uploads/"):
            self.answer(202, Location=f"{url.path}one")
        elif "/blobs/uploads/" in url.path:
            digest = urllib.parse.parse_qs(url.query)["digest"][0]
            assert digest_of(self.body) == digest
            self.registry.blobs[digest] = self.body
            self.answer(201)
        elif len(parts) == 3 and parts[1] == "blobs":
            blob = self.registry.blobs.get(parts[2])
            self.answer(200 if blob is not None else 404, blob or b"")
        elif len(parts) == 3 and parts[1] == "manifests":
            self.manifest(parts[0], parts[2])
        else:
            self.answer(404)

    def manifest(self, repository: str, name: str) -> None:
        if self.command == "PUT":
            stored = (self.body, self.headers["Content-Type"])
            self.registry.manifests[f"{repository}:{name}"] = stored
            self.registry.manifests[f"{repository}:{digest_of(self.body)}"] = stored
            self.answer(201, Docker_Content_Digest=digest_of(self.body))
            return
        raw, kind = self.registry.manifests.get(f"{repository}:{name}", (b"", ""))
        if not raw:
            self.answer(404)
        else:
            self.answer(200, raw, Content_Type=kind, Docker_Content_Digest=digest_of(raw))


@contextlib.contextmanager
def serve_faults() -> Iterator[FaultyRegistry]:
    registry = FaultyRegistry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"registry": registry}))
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
