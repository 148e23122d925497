"""HTTP to one registry, as registries are: slow, rate-limited, redirecting, behind proxies, and not always honest.

Bounds: every wait has a timeout, every body a limit, every retry an end. Credentials go to the registry itself and to
the token server that it names, never along a redirect to elsewhere, and never over plain HTTP except to this machine or
when plain HTTP was asked for. Messages name the host and the path, never a header or a query: both may hold secrets.
"""

from __future__ import annotations

import ipaddress
import ssl
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, ReadTimeoutError, SSLError

from hpc3.errors import InputError, StoreError, UsageError, printable

_CONNECT_TIMEOUT = 10.0  # seconds
_BODY_DEADLINE = 300.0  # seconds for a body that is kept in memory, however slowly it drips
_ATTEMPTS = 4
_LONGEST_WAIT = 60.0  # seconds; a server that asks for more is not waited for
_REDIRECTS = 5
_CHUNK = 256 * 1024
_BUSY = (429, 500, 502, 503, 504)
_REDIRECT = (301, 302, 303, 307, 308)
_CERTIFICATES = ("/etc/containers/certs.d", "/etc/docker/certs.d")  # containers-certs.d(5)


@dataclass(frozen=True)
class Access:
    """How registries are reached.

    Attributes:
        ca_file: PEM file of a certificate authority that is trusted besides the system's; empty for none.
        plain_http: whether credentials and content may go over plain HTTP to hosts other than this machine.
        timeout: seconds that a server may be silent.
        threads: how many requests may run at once.
    """

    ca_file: str = ""
    plain_http: bool = False
    timeout: float = 30.0
    threads: int = 16


@dataclass(frozen=True)
class Answer:
    """What a server answered: status, headers with lower-case names, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    challenges: tuple[str, ...] = field(default=())


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without port, is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class HttpClient:
    """Connections that are kept open and shared by threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.clear()

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
                response, url = self._follow(method, url, headers, body)
                try:
                    answer = _answer(response, limit, url)
                finally:
                    response.release_conn()
            except (ProtocolError, ReadTimeoutError) as error:
                if attempt == _ATTEMPTS:
                    raise _unreachable(url, error) from error
                time.sleep(_backoff(attempt))
                continue
            except HTTPError as error:
                raise _unreachable(url, error) from error
            if answer.status not in _BUSY or attempt == _ATTEMPTS:
                return answer
            time.sleep(_wait(answer, attempt, url))
        raise AssertionError("every attempt returns or raises")

    def stream(self, url: str, headers: Mapping[str, str]) -> tuple[Answer, Iterator[bytes]]:
        """Send a GET and return the answer's head and its body in chunks; no retry once the body flows."""
        try:
            response, url = self._follow("GET", url, headers, None)
        except HTTPError as error:
            raise _unreachable(url, error) from error
        return Answer(response.status, _headers(response)), _chunks(response, url)

    def _follow(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[Any, str]:
        """Send a request along redirects; return the response and where it came from."""
        sent = {"Accept-Encoding": "identity", **headers}
        for _ in range(_REDIRECTS + 1):
            response = self._pool(url).request(
                method, url, headers=sent, body=body, preload_content=False, redirect=False, retries=False
            )
            if response.status not in _REDIRECT or method not in ("GET", "HEAD"):
                return response, url
            target = urllib.parse.urljoin(url, response.headers.get("Location", ""))
            response.drain_conn()
            response.release_conn()
            if origin(target) != origin(url):
                sent = {name: value for name, value in sent.items() if name != "Authorization"}
            if not target.startswith("https://") and (url.startswith("https://") or not target.startswith("http://")):
                raise StoreError("redirects to a place without TLS", where=shown(url))
            url = target
        raise StoreError("redirects without end", where=shown(url))

    def _pool(self, url: str) -> urllib3.PoolManager:
        """Return the connections for a URL: through a proxy where the environment names one."""
        parts = urllib.parse.urlsplit(url)
        proxy = self._proxy(parts.scheme, parts.hostname or "", parts.netloc.rpartition("@")[2])
        certificates = parts.netloc if parts.scheme == "https" else ""
        key = (proxy, certificates)
        if key not in self._pools:
            self._pools[key] = self._new_pool(proxy, certificates)
        return self._pools[key]

    def _proxy(self, scheme: str, host: str, netloc: str) -> str:
        if is_loopback(host):
            return ""
        import urllib.request

        if urllib.request.proxy_bypass(netloc):
            return ""
        proxies = urllib.request.getproxies()
        return proxies.get(scheme) or proxies.get("all") or ""

    def _new_pool(self, proxy: str, certificates: str) -> urllib3.PoolManager:
        options: dict[str, Any] = {
            "maxsize": self._access.threads,
            "timeout": urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=self._access.timeout),
        }
        if certificates:
            options["ssl_context"] = self._tls_context(certificates)
        if not proxy:
            return urllib3.PoolManager(**options)
        url = proxy if "://" in proxy else f"http://{proxy}"
        if not url.startswith(("http://", "https://")):
            raise UsageError("only HTTP proxies are understood", where="proxy")
        parts = urllib.parse.urlsplit(url)
        if parts.username:
            login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=login)
            url = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        return urllib3.ProxyManager(url, **options)

    def _tls_context(self, host: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        files = [self._access.ca_file] if self._access.ca_file else []
        files += [str(path) for folder in _CERTIFICATES for path in sorted(Path(folder, host).glob("*.crt"))]
        for path in files:
            try:
                context.load_verify_locations(path)
            except OSError as error:  # ssl.SSLError is one
                raise InputError("holds no certificate that can be read", where=path) from error
        return context


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL: what a credential belongs to."""
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise StoreError("names a port that is none", where=shown(url)) from error
    return parts.scheme, parts.hostname or "", port or (443 if parts.scheme == "https" else 80)


def shown(url: str) -> str:
    """Return a URL as messages may show it: without user, query and fragment."""
    parts = urllib.parse.urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 300)


def _answer(response: Any, limit: int, url: str) -> Answer:
    deadline = time.monotonic() + _BODY_DEADLINE
    body = bytearray()
    while chunk := response.read(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > limit:
            response.close()
            raise InputError(f"answer is longer than {limit} bytes", where=shown(url))
        if time.monotonic() > deadline:
            response.close()
            raise StoreError(f"answer took longer than {_BODY_DEADLINE:.0f} seconds", where=shown(url))
    challenges = tuple(response.headers.getlist("WWW-Authenticate"))
    return Answer(response.status, _headers(response), bytes(body), challenges)


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _chunks(response: Any, url: str) -> Iterator[bytes]:
    try:
        while chunk := response.read(_CHUNK, decode_content=False):
            yield chunk
    except HTTPError as error:
        raise _unreachable(url, error) from error
    finally:
        response.close()


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


def _unreachable(url: str, error: Exception) -> StoreError:
    where = shown(url)
    if isinstance(error, SSLError):
        reason = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in reason or "certificate" in reason:
            return StoreError("has a certificate that is not trusted", where=where, remedy="--ca FILE")
        return StoreError("does not speak TLS", where=where, remedy="--plain-http, if that is meant")
    if isinstance(error, NewConnectionError):
        return StoreError(f"cannot be reached: {str(error).rpartition(': ')[2]}", where=where)
    if isinstance(error, ReadTimeoutError):
        return StoreError("gives no answer in time", where=where)
    kind = "breaks the connection" if isinstance(error, ProtocolError) else "cannot be reached"
    return StoreError(f"{kind} ({type(error).__name__})", where=where)
