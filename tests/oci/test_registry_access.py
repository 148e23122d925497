"""Who may do what: htpasswd, TLS, credential files and helpers, against a real registry."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from oci.oci_peers import NAME, Registry, free_port, hpc3, hpc3_ok, need, run, serve_registry

pytestmark = pytest.mark.registry

PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with TLS by a CA of its own, and htpasswd."""
    need("htpasswd", "openssl")
    folder = tmp_path_factory.mktemp("guarded")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
        "-addext", names, "-keyout", folder / "key.pem", "-out", folder / "ca.crt",
    )  # fmt: skip
    (folder / "htpasswd").write_text(run("htpasswd", "-Bbn", "user", PASSWORD))
    extra = [
        f"  tls: {{certificate: {folder / 'ca.crt'}, key: {folder / 'key.pem'}}}",
        f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}",
    ]
    with serve_registry(folder, extra=extra, ca=str(folder / "ca.crt")) as running:
        auth = auth_file(folder / "auth.json", running.host)
        yield replace(running, env=(("REGISTRY_AUTH_FILE", str(auth)),))


def auth_file(path: Path, key: str, password: str = PASSWORD) -> Path:
    encoded = base64.b64encode(f"user:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {key: {"auth": encoded}}}))
    return path


@pytest.fixture
def nobody(tmp_path: Path) -> dict[str, str]:
    """An environment without any credentials."""
    empty = tmp_path / "home"
    empty.mkdir()
    cleared = dict.fromkeys(("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"), "")
    return {**cleared, "HOME": str(empty), "XDG_RUNTIME_DIR": str(empty)}


def test_it_works_with_ca_and_credentials(guarded: Registry, tiny: Path, wanted: Path) -> None:
    guarded.push(tiny, "app:1")
    done = hpc3_ok("apply", guarded.ref("app:1"), "--from", wanted, "--ca", guarded.ca, env=dict(guarded.env))
    assert guarded.raw("app:1")["annotations"][NAME] == "tiny"
    assert done.digests[1] == guarded.digest("app:1")


def test_a_certificate_of_nobody_we_know_is_refused(guarded: Registry, wanted: Path) -> None:
    done = hpc3("apply", guarded.ref("app:1"), "--from", wanted, env=dict(guarded.env))
    assert done.code == 4
    assert "not trusted" in done.err
    assert "--ca" in done.err


@pytest.mark.parametrize("place", ["REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "HOME"])
def test_credentials_are_found_where_the_engines_keep_them(
    guarded: Registry, tiny: Path, nobody: dict[str, str], tmp_path: Path, place: str
) -> None:
    guarded.push(tiny, "found:1")
    files = {
        "REGISTRY_AUTH_FILE": "auth.json",
        "DOCKER_CONFIG": "config.json",
        "XDG_RUNTIME_DIR": "containers/auth.json",
        "XDG_CONFIG_HOME": "containers/auth.json",
        "HOME": ".docker/config.json",
    }
    path = tmp_path / "place" / files[place]
    path.parent.mkdir(parents=True)
    auth_file(path, f"{guarded.host}/found")
    value = path if place == "REGISTRY_AUTH_FILE" else tmp_path / "place"
    env = {**nobody, place: str(value)}
    assert hpc3_ok("inspect", guarded.ref("found:1"), "--ca", guarded.ca, env=env).out


def test_a_credential_helper_is_asked(guarded: Registry, tiny: Path, nobody: dict[str, str], tmp_path: Path) -> None:
    guarded.push(tiny, "helped:1")
    helper = tmp_path / "bin/docker-credential-test"
    helper.parent.mkdir()
    helper.write_text(
        f'#!/bin/sh\nread key; [ "$key" = "{guarded.host}" ] || exit 1\n'
        f'echo \'{{"Username":"user","Secret":"{PASSWORD}"}}\'\n'
    )
    helper.chmod(0o755)
    for content in ({"credHelpers": {guarded.host: "test"}}, {"credsStore": "test", "auths": {guarded.host: {}}}):
        (tmp_path / "config.json").write_text(json.dumps(content))
        env = {**nobody, "DOCKER_CONFIG": str(tmp_path), "PATH": f"{helper.parent}:{os.environ['PATH']}"}
        assert hpc3_ok("inspect", guarded.ref("helped:1"), "--ca", guarded.ca, env=env).out
    helper.write_text("#!/bin/sh\necho credentials not found in native keychain; exit 1\n")
    assert "asks who you are" in hpc3("inspect", guarded.ref("helped:1"), "--ca", guarded.ca, env=env).err
    helper.unlink()
    assert "is not installed" in hpc3("inspect", guarded.ref("helped:1"), "--ca", guarded.ca, env=env).err


def test_strangers_and_wrong_passwords_are_told_so_without_the_secret(
    guarded: Registry, tiny: Path, nobody: dict[str, str], tmp_path: Path
) -> None:
    guarded.push(tiny, "secret:1")
    stranger = hpc3("inspect", guarded.ref("secret:1"), "--ca", guarded.ca, env=nobody)
    assert (stranger.code, stranger.out) == (4, "")
    assert "log" in stranger.err
    wrong = auth_file(tmp_path / "auth.json", guarded.host, "wrong-battery-staple")
    refused = hpc3(
        "inspect", guarded.ref("secret:1"), "--ca", guarded.ca, env={**nobody, "REGISTRY_AUTH_FILE": str(wrong)}
    )
    assert refused.code == 4
    for secret in ("wrong-battery-staple", base64.b64encode(b"user:wrong-battery-staple").decode()):
        assert secret not in refused.err + refused.out


@pytest.mark.parametrize("content", ["{", '{"auths": []}', '{"auths": {"HOST": {"auth": "not base64!"}}}'])
def test_broken_credential_files_are_named(
    guarded: Registry, nobody: dict[str, str], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "auth.json"
    path.write_text(content.replace("HOST", guarded.host))
    env = {**nobody, "REGISTRY_AUTH_FILE": str(path)}
    done = hpc3("inspect", guarded.ref("app:1"), "--ca", guarded.ca, env=env)
    assert done.code == 3
    assert str(path) in done.err
    assert "not base64!" not in done.err


def test_a_registry_that_is_not_there_is_reported_at_once(wanted: Path) -> None:
    begun = time.monotonic()
    done = hpc3("apply", f"docker://127.0.0.1:{free_port()}/x:1", "--from", wanted)
    assert done.code == 4
    assert "refused" in done.err
    assert time.monotonic() - begun < 5
