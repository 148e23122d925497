"""HTTP to registries as they are: slow, rate-limited, redirecting, breaking off, and not always honest.

Bounds: every wait has a timeout, every body a limit, every retry an end. Credentials go to the registry itself and to
the token server that it names, never along a redirect to elsewhere. Messages name the host and the path, never a header
or a query: both may hold secrets.
"""

from __future__ import annotations

import http.client
import socket
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone

from hpc3.errors import InputError, StoreError

from .connections import Access, Connections, Reply, origin, shown

_BODY_DEADLINE = 300.0  # seconds for a body that is kept in memory, however slowly it drips
_ATTEMPTS = 4
_LONGEST_WAIT = 60.0  # seconds; a server that asks for more is not waited for
_REDIRECTS = 5
_BUSY = (429, 500, 502, 503, 504)
_REDIRECT = (301, 302, 303, 307, 308)
_SMALL_BODY = 1024 * 1024  # of a redirect, which nobody reads


@dataclass(frozen=True)
class Answer:
    """What a server answered: status, headers with lower-case names, the body, its challenges."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    challenges: tuple[str, ...] = field(default=())


class HttpClient:
    """Requests with retries and redirects, over connections that threads share."""

    def __init__(self, access: Access) -> None:
        self._connections = Connections(access)

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None = None, limit: int
    ) -> Answer:
        """Send a request and return the answer with its whole body.

        Raises:
            StoreError: the server cannot be reached, breaks off, or stays busy.
            InputError: the body is longer than ``limit`` bytes.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                reply, place = self._follow(method, url, headers, body)
                answer = _read(reply, limit, place)
            except (OSError, http.client.HTTPException) as error:
                if attempt == _ATTEMPTS:
                    raise _broken(url, error) from error
                time.sleep(_backoff(attempt))
                continue
            if answer.status not in _BUSY or attempt == _ATTEMPTS:
                return answer
            time.sleep(_wait(answer, attempt, place))
        raise AssertionError("every attempt returns or raises")

    def stream(self, url: str, headers: Mapping[str, str]) -> tuple[int, Iterator[bytes]]:
        """Send a GET and return the answer's status and its body in chunks; no retry once the body flows."""
        try:
            reply, place = self._follow("GET", url, headers, None)
        except (OSError, http.client.HTTPException) as error:
            raise _broken(url, error) from error
        return reply.status, _flow(reply, place)

    def _follow(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[Reply, str]:
        """Send a request along redirects; return the reply and where it came from."""
        sent = {"Accept-Encoding": "identity", **headers}
        for _ in range(_REDIRECTS + 1):
            reply = self._connections.send(method, url, sent, body)
            if reply.status not in _REDIRECT or method not in ("GET", "HEAD"):
                return reply, url
            target = urllib.parse.urljoin(url, reply.headers.get("Location", ""))
            _read(reply, _SMALL_BODY, url)
            if origin(target) != origin(url):
                sent = {name: value for name, value in sent.items() if name != "Authorization"}
            if url.startswith("https://") and not target.startswith("https://"):
                raise StoreError("redirects to a place without TLS", where=shown(url))
            url = target
        raise StoreError("redirects without end", where=shown(url))


def _read(reply: Reply, limit: int, url: str) -> Answer:
    deadline = time.monotonic() + _BODY_DEADLINE
    body = bytearray()
    with closing(reply.chunks()) as chunks:
        for chunk in chunks:
            body += chunk
            if len(body) > limit:
                raise InputError(f"answer is longer than {limit} bytes", where=shown(url))
            if time.monotonic() > deadline:
                raise StoreError(f"answer took longer than {_BODY_DEADLINE:.0f} seconds", where=shown(url))
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return Answer(reply.status, headers, bytes(body), tuple(reply.headers.get_all("WWW-Authenticate") or ()))


def _flow(reply: Reply, url: str) -> Iterator[bytes]:
    try:
        yield from reply.chunks()
    except (OSError, http.client.HTTPException) as error:
        raise _broken(url, error) from error


def _wait(answer: Answer, attempt: int, url: str) -> float:
    """Return how long to wait before the next attempt, in seconds (RFC 9110, Retry-After)."""
    stated = answer.headers.get("retry-after", "")
    if not stated:
        return _backoff(attempt)
    if stated.isdigit():
        wait = float(stated)
    else:
        import email.utils

        try:
            wait = (email.utils.parsedate_to_datetime(stated) - datetime.now(timezone.utc)).total_seconds()
        except (TypeError, ValueError):
            return _backoff(attempt)
    if wait > _LONGEST_WAIT:
        raise StoreError(f"asks to come back in {wait:.0f} seconds", where=shown(url), remedy="try later")
    return max(0.0, wait)


def _backoff(attempt: int) -> float:
    return 0.2 * 2.0**attempt


def _broken(url: str, error: Exception) -> StoreError:
    if isinstance(error, socket.timeout):
        return StoreError("gives no answer in time", where=shown(url))
    return StoreError(f"breaks the connection ({type(error).__name__})", where=shown(url))
