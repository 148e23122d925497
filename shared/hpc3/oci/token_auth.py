"""Answers to a registry's challenge: Basic, or a Bearer token per repository and action that is renewed in time.

Token protocol: https://distribution.github.io/distribution/spec/auth/token/ and ``…/oauth/`` for identity tokens.
"""

from __future__ import annotations

import re
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from hpc3.errors import InputError, StoreError

from .auth import Credentials, find_credentials
from .connections import is_loopback, shown
from .http_client import Answer, HttpClient
from .manifest import parse_json

_ANSWER_LIMIT = 1024 * 1024
_DEFAULT_LIFE = 60  # seconds, where the server states none (token spec)
_MARGIN = 5  # seconds before its end in which a token is no longer used
_PARAMETER = re.compile(r'([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"(?:^|,)\s*(basic|bearer)\s+(?=[A-Za-z][A-Za-z0-9_-]*\s*=)", re.IGNORECASE)
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class _Grant:
    """An ``Authorization`` value and the moment (monotonic) from which it is not used any more."""

    header: str
    until: float


class Authenticator:
    """The authorisations of one registry host, shared by threads.

    Args:
        host: as references name it.
        client: what token servers are asked through.
        plain_http: whether credentials may go over plain HTTP.
    """

    def __init__(self, host: str, client: HttpClient, *, plain_http: bool) -> None:
        self._host = host
        self._client = client
        self._plain_http = plain_http
        self._grants: dict[tuple[str, bool], _Grant] = {}
        self._lock = threading.Lock()

    def header(self, repository: str, *, writing: bool) -> str:
        """Return the ``Authorization`` value that is known to work now, or an empty string."""
        grant = self._grants.get((repository, writing))
        return grant.header if grant is not None and time.monotonic() < grant.until else ""

    def answer(self, refusal: Answer, repository: str, *, writing: bool, used: str) -> str:
        """Return an ``Authorization`` value for a request that was refused with 401.

        Args:
            refusal: the answer with its challenges.
            repository: that was asked for.
            writing: whether pushing is meant.
            used: the value that was refused, or empty.

        Raises:
            StoreError: there is nothing to answer with, or the token server refuses.
        """
        with self._lock:  # threads that are refused together ask for one token
            current = self.header(repository, writing=writing)
            if current and current != used:
                return current
            grant = self._grant(dict(_challenges(refusal)), repository, writing=writing, used=used)
            self._grants[(repository, writing)] = grant
            return grant.header

    def _grant(
        self, challenges: Mapping[str, Mapping[str, str]], repository: str, *, writing: bool, used: str
    ) -> _Grant:
        where = f"{self._host}/{repository}"
        credentials = find_credentials(self._host, repository)
        if "bearer" in challenges:
            return self._token(challenges["bearer"], repository, credentials, writing=writing)
        if "basic" not in challenges:
            raise StoreError("asks for an authentication that is not known here", where=where)
        if credentials is None or not credentials.user:
            raise StoreError("asks who you are", where=where, remedy=f"skopeo login {self._host}")
        if used == credentials.basic:
            raise StoreError("does not accept your user name and password", where=where, remedy="log in again")
        return _Grant(credentials.basic, float("inf"))

    def _token(
        self, challenge: Mapping[str, str], repository: str, credentials: Credentials | None, *, writing: bool
    ) -> _Grant:
        realm = challenge.get("realm", "")
        parts = urllib.parse.urlsplit(realm)
        plain = parts.scheme == "http" and (self._plain_http or is_loopback(parts.hostname or ""))
        if not (parts.scheme == "https" or plain) or not parts.hostname:
            raise StoreError("names a token server that is not reached by TLS", where=self._host)
        query = {"scope": _scope(challenge.get("scope", ""), repository, writing=writing)}
        if challenge.get("service"):
            query["service"] = challenge["service"]
        answer = self._ask(realm, query, credentials)
        if answer.status in (400, 401, 403):
            what = "refuses your credentials" if credentials else "gives no token to strangers"
            raise StoreError(what, where=shown(realm), remedy=f"skopeo login {self._host}")
        if answer.status != 200:
            raise StoreError(f"answers {answer.status}", where=shown(realm))
        return _grant_from(answer.body, shown(realm))

    def _ask(self, realm: str, query: Mapping[str, str], credentials: Credentials | None) -> Answer:
        if credentials is not None and credentials.identity_token:
            form = {
                **query,
                "grant_type": "refresh_token",
                "client_id": "hpc3",
                "refresh_token": credentials.identity_token,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            body = urllib.parse.urlencode(form).encode()
            return self._client.exchange("POST", realm, headers, body=body, limit=_ANSWER_LIMIT)
        headers = {"Authorization": credentials.basic} if credentials is not None else {}
        url = f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}"
        return self._client.exchange("GET", url, headers, limit=_ANSWER_LIMIT)


def _challenges(refusal: Answer) -> list[tuple[str, dict[str, str]]]:
    """Return scheme (lower case) and parameters of each challenge; one header may hold several (RFC 9110, 11.6.1)."""
    found = []
    for header in refusal.challenges:
        starts = list(_SCHEME.finditer(header))
        ends = [start.start() for start in starts[1:]] + [len(header)]
        for start, end in zip(starts, ends):
            parameters = {
                name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare
                for name, quoted, bare in _PARAMETER.findall(header[start.end() : end])
            }
            found.append((start[1].lower(), parameters))
    return found


def _scope(stated: str, repository: str, *, writing: bool) -> str:
    """Return the scope to ask for: what the registry states, and pushing where that is meant."""
    actions = {"pull", "push"} if writing else {"pull"}
    kind, name, listed = "repository", repository, ""
    if stated.count(":") >= 2 and " " not in stated:
        kind, _, rest = stated.partition(":")
        name, _, listed = rest.rpartition(":")
    actions |= set(filter(None, listed.split(",")))
    return f"{kind}:{name}:{','.join(sorted(actions))}"


def _grant_from(body: bytes, where: str) -> _Grant:
    document = parse_json(body, where)
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not _HEADER_VALUE.fullmatch(token):
        raise InputError("gave no token", where=where)
    life = document.get("expires_in")
    seconds = life if isinstance(life, (int, float)) and life > 0 else _DEFAULT_LIFE
    return _Grant(f"Bearer {token}", time.monotonic() + max(1.0, seconds - _MARGIN))
