"""Requests to one registry host: its scheme is found out, its challenges are answered, its refusals become errors."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING

from hpc3.errors import StoreError

from .connections import Access, is_loopback, origin
from .http_client import Answer, HttpClient
from .manifest import MANIFEST_LIMIT
from .reference import DOCKER_HUB

if TYPE_CHECKING:
    from .token_auth import Authenticator

_TALKS_TLS = b"HTTP request to an HTTPS server"  # Go's net/http; nginx says "plain HTTP request was sent to HTTPS port"
_TALKS_TLS_NGINX = b"sent to HTTPS port"


class RegistryClient:
    """The requests to one registry host: its address, its scheme, its authorisations.

    Args:
        host: as references name it.
        access: how it is reached.
        writing: whether tokens are asked for that allow pushing.
    """

    def __init__(self, host: str, access: Access, *, writing: bool) -> None:
        self.host = host
        self._writing = writing
        self._http = HttpClient(access)
        self._access = access
        self._lock = Lock()
        self._auth: Authenticator | None = None
        name = host.rpartition(":")[0] if re.search(r":[0-9]+$", host) else host
        # This machine's registries mostly speak plain HTTP; one that does not says so, and is then spoken TLS to.
        plain = access.plain_http or (is_loopback(name) and not access.ca_file)
        self._base = f"{'http' if plain else 'https'}://{'registry-1.docker.io' if host == DOCKER_HUB else host}"

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def request(
        self,
        method: str,
        repository: str,
        path: str,
        *,
        ok: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = MANIFEST_LIMIT,
    ) -> Answer:
        """Send a request about a repository, authorised as the registry asks for.

        Args:
            method: HTTP method.
            repository: name in the registry.
            path: below ``/v2/REPOSITORY/``, or an absolute URL that the registry gave.
            ok: statuses that are an answer; others are errors.
            headers: besides the authorisation.
            body: content.
            limit: most bytes of the answer.

        Raises:
            StoreError: it fails, or another status comes back.
        """
        answer = self._authorised(method, repository, path, headers or {}, body, limit)
        if answer.status not in ok:
            raise _refusal(answer, f"{self.host}/{repository}")
        return answer

    def stream(self, repository: str, path: str) -> Iterator[bytes]:
        """Yield a large blob in chunks."""
        self.request("HEAD", repository, path, ok=(200,))  # settles scheme and authorisation
        url, headers = self._url(repository, path), self._authorisation(self._url(repository, path), repository)
        status, chunks = self._http.stream(url, headers)
        if status != 200:
            raise _refusal(Answer(status, {}), f"{self.host}/{repository}")
        yield from chunks

    def _authorised(
        self, method: str, repository: str, path: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Answer:
        url = self._url(repository, path)
        sent = self._authorisation(url, repository)
        answer = self._http.exchange(method, url, {**headers, **sent}, body=body, limit=limit)
        if answer.status == 400 and url.startswith("http://") and _needs_tls(answer):
            self._base = self._base.replace("http://", "https://", 1)
            return self._authorised(method, repository, path, headers, body, limit)
        if answer.status == 401 and origin(url) == origin(self._base):
            used = sent.get("Authorization", "")
            fresh = self._authenticator().answer(answer, repository, writing=self._writing, used=used)
            answer = self._http.exchange(method, url, {**headers, "Authorization": fresh}, body=body, limit=limit)
        return answer

    def _url(self, repository: str, path: str) -> str:
        """Return the address of a request; an absolute one stays, lifted to TLS where the registry has it."""
        if not path.startswith(("http://", "https://")):
            return urllib.parse.urljoin(f"{self._base}/v2/{repository}/", path)
        if self._base.startswith("https://") and path.startswith("http://"):
            lifted = "https://" + path[len("http://") :]
            if origin(lifted) == origin(self._base):
                return lifted  # a registry behind a TLS proxy that does not know it
            raise StoreError("leads to a place without TLS", where=self.host)
        return path

    def _authorisation(self, url: str, repository: str) -> dict[str, str]:
        """Return the ``Authorization`` header for a URL; empty where it is not the registry's own."""
        header = self._auth.header(repository, writing=self._writing) if self._auth is not None else ""
        return {"Authorization": header} if header and origin(url) == origin(self._base) else {}

    def _authenticator(self) -> Authenticator:
        """Return what answers challenges; a registry that has none never pays for it."""
        with self._lock:
            if self._auth is None:
                from .token_auth import Authenticator

                self._auth = Authenticator(self.host, self._http, plain_http=self._access.plain_http)
            return self._auth


def _needs_tls(answer: Answer) -> bool:
    return _TALKS_TLS in answer.body or _TALKS_TLS_NGINX in answer.body


def _refusal(answer: Answer, where: str) -> StoreError:
    """Return the error for a status; of the registry's own words only its error codes are shown."""
    meaning = {
        401: "does not accept who you are",
        403: "does not allow this",
        404: "has no such thing",
        405: "does not allow this",
        409: "is in conflict",
        413: "finds this too large",
        429: "has had too many requests",
    }.get(answer.status, "fails" if answer.status >= 500 else "refuses")
    codes = sorted(set(re.findall(rb'"code"\s*:\s*"([A-Z_]{1,40})"', answer.body[:65536])))
    detail = ", ".join([str(answer.status), *(code.decode() for code in codes)])
    remedy = "log in with the right account" if answer.status in (401, 403) else ""
    return StoreError(f"the registry {meaning} ({detail})", where=where, remedy=remedy)
