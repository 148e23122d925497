"""Connections to servers, kept open and shared by threads: plain, over TLS, or through a proxy.

On `http.client` of the standard library. urllib3 would be the well-kept library for this, but a third of the time that
annotating an image takes would go into importing it, and Spack's own Python, which hpc3 also runs in, has none.
"""

from __future__ import annotations

import base64
import http.client
import re
import socket
import ssl
import urllib.parse
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from hpc3.errors import InputError, StoreError, UsageError, printable

CHUNK = 256 * 1024
_CONNECT_TIMEOUT = 10.0  # seconds
_CERTIFICATES = ("/etc/containers/certs.d", "/etc/docker/certs.d")  # containers-certs.d(5)
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"  # RFC 3986: reserved ones, and what is escaped already


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
class _Route:
    """A server and the way to it; connections of one route are alike."""

    scheme: str
    host: str
    port: int
    proxy: str = ""


class Reply:
    """An answer whose body is still to be read."""

    def __init__(self, response: http.client.HTTPResponse, connections: Connections, route: _Route) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._connections = connections
        self._route = route

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield the body; once it was read the connection serves others.

        Raises:
            http.client.HTTPException: it ends before it should.
        """
        whole = False
        try:
            while chunk := self._response.read(CHUNK):
                yield chunk
            if self._response.length:  # http.client does not say so when it reads in parts
                raise http.client.IncompleteRead(b"", self._response.length)
            whole = not self._response.will_close
        finally:
            self._connections.give_back(self._route, self, reusable=whole)


class Connections:
    """Open connections by route."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._idle: dict[_Route, list[http.client.HTTPConnection]] = {}
        self._busy: dict[int, http.client.HTTPConnection] = {}
        self._tls: dict[str, ssl.SSLContext] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for connection in (*self._busy.values(), *(c for idle in self._idle.values() for c in idle)):
                connection.close()
            self._idle.clear()
            self._busy.clear()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """Send a request and return the reply, its body unread.

        Raises:
            StoreError: the server cannot be reached.
            OSError, http.client.HTTPException: it breaks off.
        """
        url = urllib.parse.quote(url, safe=_URL_CHARACTERS)
        route = self._route(url)
        sent = dict(headers)
        parts = urllib.parse.urlsplit(url)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if route.proxy and route.scheme == "http":
            target = urllib.parse.urlunsplit(parts._replace(fragment=""))
            sent.update(_proxy_login(route.proxy))
        while True:
            connection = self._take_idle(route)
            fresh = connection is None
            connection = connection or self._connect(route, url)
            try:
                connection.request(method, target, body=body, headers=sent)
                reply = Reply(connection.getresponse(), self, route)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if fresh or not isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                    raise
                continue  # the server had closed a connection that it kept open for a while
            with self._lock:
                self._busy[id(reply)] = connection
            return reply

    def give_back(self, route: _Route, reply: Reply, *, reusable: bool) -> None:
        """Keep the connection of a reply for the next request, or close it."""
        with self._lock:
            connection = self._busy.pop(id(reply), None)
            idle = self._idle.setdefault(route, [])
            if connection is not None and reusable and len(idle) < self._access.threads:
                idle.append(connection)
            elif connection is not None:
                connection.close()

    def _take_idle(self, route: _Route) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(route)
            return idle.pop() if idle else None

    def _route(self, url: str) -> _Route:
        """Return the way to a URL: through a proxy where the environment names one."""
        scheme, host, port = origin(url)
        if is_loopback(host):
            return _Route(scheme, host, port)
        import urllib.request  # not for this machine: it takes a while to import

        if urllib.request.proxy_bypass(f"{host}:{port}"):
            return _Route(scheme, host, port)
        proxies = urllib.request.getproxies()
        return _Route(scheme, host, port, proxies.get(scheme) or proxies.get("all") or "")

    def _connect(self, route: _Route, url: str) -> http.client.HTTPConnection:
        host, port = (route.host, route.port) if not route.proxy else _proxy_address(route.proxy)
        connection = http.client.HTTPConnection(host, port, timeout=_CONNECT_TIMEOUT)
        if route.scheme == "https":
            context = self._tls_context(f"{route.host}:{route.port}" if route.port != 443 else route.host)
            connection = http.client.HTTPSConnection(host, port, timeout=_CONNECT_TIMEOUT, context=context)
            if route.proxy:
                connection.set_tunnel(route.host, route.port, headers=_proxy_login(route.proxy))
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(url, error) from error
        connection.sock.settimeout(self._access.timeout)
        return connection

    def _tls_context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._tls:
                self._tls[host] = _new_tls_context(host, self._access.ca_file)
            return self._tls[host]


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without port, is this machine."""
    name = host.strip("[]")
    return name in ("localhost", "::1") or bool(re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", name))


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL: what a credential belongs to.

    Raises:
        StoreError: it is no URL of HTTP.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        plain = url.rpartition("@")[2].partition("?")[0]  # what is before and behind may be a secret
        raise StoreError("is no URL", where=printable(plain, 100)) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StoreError("is no URL of HTTP", where=shown(url))
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def shown(url: str) -> str:
    """Return a URL as messages may show it: without user, query and fragment."""
    parts = urllib.parse.urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 300)


def _new_tls_context(host: str, ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    files = [ca_file] if ca_file else []
    files += [str(path) for folder in _CERTIFICATES for path in sorted(Path(folder, host).glob("*.crt"))]
    for path in files:
        try:
            context.load_verify_locations(path)
        except OSError as error:  # ssl.SSLError is one
            raise InputError("holds no certificate that can be read", where=path) from error
    return context


def _proxy_address(proxy: str) -> tuple[str, int]:
    scheme, host, port = origin(proxy if "://" in proxy else f"http://{proxy}")
    if scheme != "http":
        raise UsageError("only proxies that are spoken to by http:// are understood", where=host)
    return host, port


def _proxy_login(proxy: str) -> dict[str, str]:
    parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if not parts.username:
        return {}
    login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode("ascii")}


def _unreachable(url: str, error: Exception) -> StoreError:
    where = shown(url)
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreError("has a certificate that is not trusted", where=where, remedy="--ca FILE")
    if isinstance(error, ssl.SSLError):
        return StoreError("does not speak TLS", where=where, remedy="--plain-http, if that is meant")
    if isinstance(error, socket.timeout):
        return StoreError("cannot be reached in time", where=where)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return StoreError(f"cannot be reached: {printable(reason)}", where=where)
