from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from hpc3.oci.auth import Credentials, credential_files, find_credentials
from hpc3.oci.http_client import Answer
from hpc3.oci.token_auth import _challenges, _scope


def entry(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:pw".encode()).decode()}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}


def user_for(environment: dict[str, str], auths: dict[str, object], host: str, repository: str) -> str | None:
    Path(environment["REGISTRY_AUTH_FILE"]).write_text(json.dumps({"auths": auths}))
    found = find_credentials(host, repository, environment)
    return found.user if found is not None else None


def test_the_longest_key_wins(environment: dict[str, str]) -> None:
    auths: dict[str, object] = {name: entry(name) for name in ("reg.io", "reg.io/a", "reg.io/a/b")}
    assert user_for(environment, auths, "reg.io", "a/b") == "reg.io/a/b"
    assert user_for(environment, auths, "reg.io", "a/c/d") == "reg.io/a"
    assert user_for(environment, auths, "reg.io", "ab") == "reg.io"
    assert user_for(environment, auths, "other.io", "a/b") is None


@pytest.mark.parametrize("key", ["docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_has_many_names(environment: dict[str, str], key: str) -> None:
    assert user_for(environment, {key: entry("me")}, "docker.io", "library/ubuntu") == "me"


@pytest.mark.parametrize("key", ["reg.io:5000", "https://reg.io:5000", "https://reg.io:5000/v1/"])
def test_hosts_as_docker_wrote_them(environment: dict[str, str], key: str) -> None:
    assert user_for(environment, {key: entry("me")}, "reg.io:5000", "a") == "me"


def test_an_empty_entry_is_none(environment: dict[str, str]) -> None:
    assert user_for(environment, {"reg.io": {}}, "reg.io", "a") is None


def test_the_first_file_that_knows_wins(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "docker")}
    files = list(credential_files(environment))
    assert files[0] == tmp_path / "docker/config.json"
    assert tmp_path / ".docker/config.json" not in files
    assert list(credential_files({"HOME": "/h"}))[-1] == Path("/h/.docker/config.json")


def test_credentials_are_never_printed() -> None:
    assert "pw" not in repr(Credentials("me", "pw", "token"))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['Basic realm="x"'], {"basic": {"realm": "x"}}),
        (['bearer Realm="https://a/t",service="s, t",scope="repository:a:pull,push"'],
         {"bearer": {"realm": "https://a/t", "service": "s, t", "scope": "repository:a:pull,push"}}),
        (['Bearer realm="r", Basic realm="b"'], {"bearer": {"realm": "r"}, "basic": {"realm": "b"}}),
        (['Basic realm="b"', "Bearer realm=r"], {"basic": {"realm": "b"}, "bearer": {"realm": "r"}}),
        (['Bearer realm="a\\"b"'], {"bearer": {"realm": 'a"b'}}),
        (["Negotiate", ""], {}),
    ],
)  # fmt: skip
def test_challenges_are_read(headers: list[str], expected: dict[str, dict[str, str]]) -> None:
    assert dict(_challenges(Answer(401, {}, b"", tuple(headers)))) == expected


@pytest.mark.parametrize(
    ("stated", "writing", "expected"),
    [
        ("", False, "repository:a/b:pull"),
        ("", True, "repository:a/b:pull,push"),
        ("repository:proxy/a/b:pull", True, "repository:proxy/a/b:pull,push"),
        ("repository:a/b:delete", False, "repository:a/b:delete,pull"),
        ("nonsense", False, "repository:a/b:pull"),
    ],
)
def test_the_scope_is_what_is_needed(stated: str, writing: bool, expected: str) -> None:
    assert _scope(stated, "a/b", writing=writing) == expected
