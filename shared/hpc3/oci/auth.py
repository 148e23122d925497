"""Who we are to a registry: the credential files and helpers that podman, skopeo and docker use.

Order (containers-auth.json(5), then Docker): ``REGISTRY_AUTH_FILE``; ``$DOCKER_CONFIG/config.json``;
``$XDG_RUNTIME_DIR/containers/auth.json`` (root: ``/run/containers/0/auth.json``);
``$XDG_CONFIG_HOME/containers/auth.json``; ``~/.docker/config.json`` unless ``DOCKER_CONFIG`` is set. In a file the
longest matching key wins: ``host/folder/name``, ``host/folder``, ``host``. No message ever holds a secret.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpc3.errors import InputError, StoreError

from .manifest import parse_json
from .reference import DOCKER_HUB

_FILE_LIMIT = 4 * 1024 * 1024
_HELPER_TIMEOUT = 30  # seconds; a helper may ask a daemon, never a person
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")
#: What docker-credential-helpers answer for "I have none" (credentials/error.go).
_HELPER_HAS_NONE = ("credentials not found", "no credentials")


@dataclass(frozen=True)
class Credentials:
    """A user name with a password, or an identity token of OAuth 2; never printed."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header of the Basic scheme."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


def find_credentials(host: str, repository: str, environment: Mapping[str, str] | None = None) -> Credentials | None:
    """Return the credentials for a repository, or None for an anonymous visitor.

    Raises:
        InputError: a credential file is not what it should be.
        StoreError: a credential helper fails.
    """
    for path in credential_files(os.environ if environment is None else environment):
        document = _read_file(path)
        if document is not None:
            found = _in_file(document, host, repository, path)
            if found is not None:
                return found
    return None


def credential_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield the places where credentials may be, most specific first."""
    home = Path(environment.get("HOME") or "/")
    if environment.get("REGISTRY_AUTH_FILE"):
        yield Path(environment["REGISTRY_AUTH_FILE"])
    if environment.get("DOCKER_CONFIG"):
        yield Path(environment["DOCKER_CONFIG"]) / "config.json"
    if environment.get("XDG_RUNTIME_DIR"):
        yield Path(environment["XDG_RUNTIME_DIR"]) / "containers/auth.json"
    yield Path(f"/run/containers/{os.getuid()}/auth.json")
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers/auth.json"
    if not environment.get("DOCKER_CONFIG"):
        yield home / ".docker/config.json"


def _read_file(path: Path) -> Mapping[str, Any] | None:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_FILE_LIMIT)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return parse_json(raw, str(path)) if raw.strip() else None


def _in_file(document: Mapping[str, Any], host: str, repository: str, path: Path) -> Credentials | None:
    entries, helpers = document.get("auths", {}), document.get("credHelpers", {})
    store = document.get("credsStore")
    if not isinstance(entries, dict) or not isinstance(helpers, dict):
        raise InputError("auths or credHelpers is no object", where=str(path))
    for key in _keys(host, repository):
        helper = helpers.get(key)
        if helper:
            return _ask_helper(str(helper), key, path)
        entry = entries.get(key)
        if isinstance(entry, dict):
            found = _from_entry(entry, f"{path}: auths.{key}")
            if found is not None:
                return found
    for key in _HUB_KEYS[:1] if host == DOCKER_HUB else (host,):
        if store:
            return _ask_helper(str(store), key, path)
    return None


def _keys(host: str, repository: str) -> Iterator[str]:
    parts = repository.split("/")
    for i in range(len(parts), 0, -1):
        yield f"{host}/{'/'.join(parts[:i])}"
    yield host
    yield from _HUB_KEYS if host == DOCKER_HUB else (f"https://{host}", f"https://{host}/v1/", f"https://{host}/v2/")


def _from_entry(entry: Mapping[str, Any], where: str) -> Credentials | None:
    token = entry.get("identitytoken")
    if token:
        return Credentials(identity_token=str(token))
    encoded = entry.get("auth")
    if not encoded:
        user = entry.get("username")
        return Credentials(str(user), str(entry.get("password") or "")) if user else None
    try:
        user, separator, password = base64.b64decode(str(encoded), validate=True).decode("utf-8").partition(":")
    except ValueError:
        raise InputError("is not base64 of user:password", where=where) from None  # the cause would show the secret
    if not separator:
        raise InputError("is not base64 of user:password", where=where)
    return Credentials(user, password.rstrip("\0"))


def _ask_helper(name: str, key: str, path: Path) -> Credentials | None:
    """Ask ``docker-credential-NAME`` (https://github.com/docker/docker-credential-helpers, "Development")."""
    if not _HELPER_NAME.fullmatch(name):
        raise InputError("names no credential helper", where=str(path))
    import subprocess

    program = f"docker-credential-{name}"
    try:
        done = subprocess.run(
            [program, "get"], input=key.encode(), capture_output=True, timeout=_HELPER_TIMEOUT, check=False
        )
    except FileNotFoundError as error:
        raise StoreError("is not installed", where=program, remedy=f"it is named in {path}") from error
    except subprocess.TimeoutExpired:
        raise StoreError(f"gave no answer in {_HELPER_TIMEOUT} seconds", where=program) from None
    if done.returncode:
        if any(phrase in done.stdout.decode("utf-8", "replace").lower() for phrase in _HELPER_HAS_NONE):
            return None
        raise StoreError(f"failed with exit code {done.returncode}", where=program, remedy="log in again")
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise StoreError("gave an answer without Username and Secret", where=program) from None
    return Credentials(identity_token=secret) if user == "<token>" else Credentials(user, secret)
