"""What the registry client does when a registry lies, breaks off, is busy, or asks for tokens."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpc3.errors import Hpc3Error
from hpc3.oci import http_client
from oci.fault_server import OCI_MANIFEST, FaultyRegistry, Handler, digest_of, serve_faults
from oci.oci_peers import ANNOTATIONS, NAME, hpc3, hpc3_ok

LOGIN = base64.b64encode(b"user:pass:word").decode()


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyRegistry]:
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(http_client, "_backoff", lambda attempt: 0.01)
    with serve_faults() as registry:
        yield registry


def apply(registry: FaultyRegistry, name: str = "app:1", **options: object) -> str:
    """Apply in this process and return the new digest."""
    from hpc3.apply.batch import apply_to
    from hpc3.apply.wanted import Wish
    from hpc3.oci.opening import Stores
    from hpc3.oci.reference import parse_reference

    wish = Wish(annotations=ANNOTATIONS, **options)  # type: ignore[arg-type]
    with Stores(writing=True) as stores:
        return apply_to(stores, parse_reference(registry.ref(name)), wish, writing=True).after


def test_a_well_behaved_server_first(faulty: FaultyRegistry) -> None:
    faulty.put_image("app", "1")
    digest = apply(faulty)
    assert digest_of(faulty.manifests["app:1"][0]) == digest
    assert faulty.at("app:1")["annotations"][NAME] == "tiny"


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"{}", {}, "schemaVersion"),
        (b"<html>", {}, "not JSON"),
        (b'{"schemaVersion": 2, "config": {}}', {"Docker_Content_Digest": "sha256:" + "0" * 64}, "content has digest"),
        (b'{"schemaVersion": 2}', {"Docker_Content_Digest": "md5:0"}, "no digest"),
        (b"x" * (4 * 1024 * 1024 + 1), {}, "longer than"),
        (None, {"Content_Type": "text/html"}, "was given as text/html"),
        (None, {"Content_Type": "application/vnd.oci.image.index.v1+json"}, "was given as"),
    ],
)
def test_lies_are_found_out(faulty: FaultyRegistry, body: bytes | None, headers: dict[str, str], message: str) -> None:
    raw = faulty.put_image("app", "1")
    faulty.before = lambda handler: handler.answer(200, raw if body is None else body, **headers) or True
    with pytest.raises(Hpc3Error, match=message) as caught:
        apply(faulty)
    assert caught.value.exit_code == 3


def test_a_blob_with_another_digest_is_refused(faulty: FaultyRegistry) -> None:
    faulty.put_image("app", "1")
    for digest in list(faulty.blobs):
        faulty.blobs[digest] = faulty.blobs[digest].replace(b"amd64", b"arm64")
    with pytest.raises(Hpc3Error, match="content has digest"):
        apply(faulty)


def test_a_truncated_answer_is_asked_for_again_and_then_an_error(faulty: FaultyRegistry) -> None:
    raw = faulty.put_image("app", "1")

    def truncate(handler: Handler) -> bool:
        handler.answer(200, raw[:-10], Content_Length=str(len(raw)), Content_Type=OCI_MANIFEST)
        handler.close_connection = True
        return True

    faulty.before = truncate
    with pytest.raises(Hpc3Error, match="breaks the connection"):
        apply(faulty)
    assert len(faulty.requests) == 4


@pytest.mark.parametrize("times", [1, 99])
def test_a_connection_reset_at_every_step_leaves_the_tag_whole(faulty: FaultyRegistry, times: int) -> None:
    before = faulty.put_image("app", "1")
    apply(faulty)
    steps = len(faulty.requests)
    after = faulty.manifests["app:1"][0]
    for step in range(steps):
        faulty.blobs.clear()
        faulty.put_image("app", "1")
        seen = {"requests": 0, "resets": 0}

        def reset(handler: Handler, step: int = step, seen: dict[str, int] = seen) -> bool:
            seen["requests"] += 1
            if seen["requests"] > step and seen["resets"] < times:
                seen["resets"] += 1
                return handler.reset()
            return False

        faulty.before = reset
        if times == 1:
            apply(faulty)
            assert faulty.manifests["app:1"][0] == after
        else:
            with pytest.raises(Hpc3Error) as caught:
                apply(faulty)
            assert caught.value.exit_code == 4
            assert faulty.manifests["app:1"][0] == before


def test_a_busy_server_is_waited_for_as_it_asks(faulty: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty.put_image("app", "1")
    naps: list[float] = []
    monkeypatch.setattr(http_client.time, "sleep", naps.append)
    busy = iter([429, 503])

    def refuse(handler: Handler) -> bool:
        status = next(busy, 0)
        if status:
            handler.answer(status, Retry_After="7")
        return bool(status)

    faulty.before = refuse
    apply(faulty)
    assert naps == [7.0, 7.0]


def test_a_server_that_is_busy_for_an_hour_is_not_waited_for(faulty: FaultyRegistry) -> None:
    faulty.put_image("app", "1")
    faulty.before = lambda handler: handler.answer(429, Retry_After="3600") or True
    with pytest.raises(Hpc3Error, match="come back in 3600 seconds"):
        apply(faulty)


@pytest.mark.parametrize("status", [400, 403, 405, 409, 413, 500, 502, 504])
def test_refusals_show_codes_and_nothing_that_the_server_says(faulty: FaultyRegistry, status: int) -> None:
    faulty.put_image("app", "1")
    words = b'{"errors": [{"code": "DENIED", "message": "your secret is \x1b[31m hunter2"}]}'
    faulty.before = lambda handler: handler.answer(status, words) or True
    with pytest.raises(Hpc3Error, match=f"{status}, DENIED") as caught:
        apply(faulty)
    assert "hunter2" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_tag_that_moves_meanwhile_is_left_alone(faulty: FaultyRegistry) -> None:
    faulty.put_image("app", "1")

    def move(handler: Handler) -> bool:
        if handler.command == "HEAD" and handler.path.endswith("/manifests/1"):
            faulty.put_image("app", "1", annotations={"by": "somebody else"})
        return False

    faulty.before = move
    with pytest.raises(Hpc3Error, match="moved from"):
        apply(faulty)
    assert faulty.at("app:1")["annotations"] == {"by": "somebody else"}


def test_a_server_that_stores_something_else_is_reported(faulty: FaultyRegistry) -> None:
    faulty.put_image("app", "1")

    def store_other(handler: Handler) -> bool:
        if handler.command == "PUT" and "/manifests/" in handler.path:
            handler.answer(201, Docker_Content_Digest="sha256:" + "1" * 64)
            return True
        return False

    faulty.before = store_other
    with pytest.raises(Hpc3Error, match="stored sha256:1111"):
        apply(faulty)


def test_referrers_by_the_api_and_no_fallback_tag_where_there_is_one(faulty: FaultyRegistry) -> None:
    from hpc3.apply.attach import Attachment

    faulty.put_image("app", "1")

    def with_api(handler: Handler) -> bool:
        if handler.command == "PUT" and b'"subject"' in handler.body:
            faulty.manifests["app:artifact"] = (handler.body, OCI_MANIFEST)
            handler.answer(201, OCI_Subject=json.loads(handler.body)["subject"]["digest"])
            return True
        if "/referrers/" in handler.path:
            body = b'{"schemaVersion": 2, "manifests": []}'
            handler.answer(200, body, Content_Type="application/vnd.oci.image.index.v1+json")
            return True
        return False

    faulty.before = with_api
    attachment = Attachment("application/spdx+json", (("application/spdx+json", "s.json", b"{}"),))
    digest = apply(faulty, attachments=(attachment,))
    assert faulty.at("app:artifact")["subject"]["digest"] == digest
    assert not [name for name in faulty.manifests if name.startswith("app:sha256-")]


def test_tags_are_read_page_by_page(faulty: FaultyRegistry) -> None:
    for tag in "abc":
        faulty.put_image("app", tag)
    signature = "sha256-" + "0" * 64 + ".sig"

    def paged(handler: Handler) -> bool:
        url = urllib.parse.urlsplit(handler.path)
        if not url.path.endswith("/tags/list"):
            return False
        last = urllib.parse.parse_qs(url.query).get("last", [""])[0]
        page = {"": ["c", signature], "c": ["a"], "a": ["b"]}[last]
        link = {"": "c", "c": "a"}.get(last)
        headers = {"Link": f'</v2/app/tags/list?last={link}>; rel="next"'} if link else {}
        handler.answer(200, json.dumps({"name": "app", "tags": page}).encode(), **headers)
        return True

    faulty.before = paged
    shown = json.loads(hpc3_ok("inspect", faulty.ref("app"), "--all-tags").out)
    assert [image["reference"][-1] for image in shown] == ["a", "b", "c"]


def test_credentials_do_not_follow_a_redirect(faulty: FaultyRegistry, tmp_path: Path) -> None:
    faulty.put_image("app", "1")
    (tmp_path / ".docker").mkdir()
    login = base64.b64encode(b"user:secret").decode()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {faulty.host: {"auth": login}}}))
    with serve_faults() as elsewhere:
        elsewhere.blobs = faulty.blobs

        def redirect(handler: Handler) -> bool:
            if handler.headers.get("Authorization") != f"Basic {login}":
                handler.answer(401, WWW_Authenticate='Basic realm="x"')
                return True
            if handler.command == "GET" and "/blobs/" in handler.path:
                handler.answer(307, Location=f"http://{elsewhere.host}{handler.path}?signature=hunter2")
                return True
            return False

        faulty.before = redirect
        apply(faulty)
        assert elsewhere.requests
        assert {authorization for _, _, authorization in elsewhere.requests} == {""}
        elsewhere.before = lambda handler: handler.answer(302, Location=handler.path) or True
        with pytest.raises(Hpc3Error, match="without end") as caught:
            apply(faulty)
        assert "hunter2" not in str(caught.value)


class TokenServer:
    """Gives tokens that allow what they were asked for, a few times, and remembers what was asked."""

    def __init__(self, registry: FaultyRegistry, uses: int = 1000, life: int = 300) -> None:
        self.registry, self.uses, self.life = registry, uses, life
        self.asked: list[tuple[str, str]] = []
        self.tokens: dict[str, list[object]] = {}

    def __call__(self, handler: Handler) -> bool:
        if handler.path.startswith("/token"):
            self.give(handler)
            return True
        repository = (
            handler.path.removeprefix("/v2/").split("/manifests/")[0].split("/blobs/")[0].split("/referrers")[0]
        )
        action = "pull" if handler.command in ("GET", "HEAD") else "push"
        name = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        token = self.tokens.get(name)
        if token and token[0] == repository and action in str(token[1]) and int(str(token[2])) > 0:
            token[2] = int(str(token[2])) - 1
            return False
        scope = f"repository:{repository}:{'pull' if action == 'pull' else 'pull,push'}"
        challenge = f'Bearer realm="http://{self.registry.host}/token",service="reg",scope="{scope}"'
        handler.answer(401, WWW_Authenticate=challenge)
        return True

    def give(self, handler: Handler) -> None:
        query = handler.body.decode() or urllib.parse.urlsplit(handler.path).query
        form = urllib.parse.parse_qs(query)
        self.asked.append((form["scope"][0], form.get("refresh_token", [handler.headers.get("Authorization", "")])[0]))
        _, repository, actions = form["scope"][0].split(":")
        name = f"token{len(self.asked)}"
        self.tokens[name] = [repository, actions, self.uses]
        handler.answer(200, json.dumps({"token": name, "expires_in": self.life}).encode())


def test_one_bearer_token_reads_and_writes(faulty: FaultyRegistry) -> None:
    faulty.put_image("a/app", "1")
    faulty.before = tokens = TokenServer(faulty)
    apply(faulty, "a/app:1")
    assert tokens.asked == [("repository:a/app:pull,push", "")]
    assert faulty.at("a/app:1")["annotations"][NAME] == "tiny"


def test_tokens_are_kept_per_repository_and_only_for_what_is_done(faulty: FaultyRegistry) -> None:
    for name in ("one", "two"):
        faulty.put_image(name, "1")
    faulty.before = tokens = TokenServer(faulty)
    assert hpc3("inspect", faulty.ref("one:1"), faulty.ref("two:1")).code == 0
    assert sorted(tokens.asked) == [("repository:one:pull", ""), ("repository:two:pull", "")]


@pytest.mark.parametrize("limits", [{"uses": 2}, {"life": 1}])
def test_a_token_that_dies_is_renewed(faulty: FaultyRegistry, limits: dict[str, int]) -> None:
    faulty.put_image("app", "1")
    faulty.before = TokenServer(faulty, **limits)
    apply(faulty)
    assert faulty.at("app:1")["annotations"][NAME] == "tiny"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            {"auth": base64.b64encode(b"user:pass:word").decode()},
            "Basic " + base64.b64encode(b"user:pass:word").decode(),
        ),
        ({"identitytoken": "refresh-me"}, "refresh-me"),
    ],
)
def test_the_token_server_gets_the_credentials(
    faulty: FaultyRegistry, tmp_path: Path, entry: dict[str, str], expected: str
) -> None:
    faulty.put_image("app", "1")
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {faulty.host: entry}}))
    faulty.before = tokens = TokenServer(faulty)
    apply(faulty)
    assert {credential for _, credential in tokens.asked} == {expected}


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Negotiate",
        'Bearer realm="http://token.example.org/t",service="x"',
        'Bearer realm="file:///etc/passwd"',
        'Bearer service="x"',
        'Bearer realm="',
        'Basic realm="x"',
    ],
)
def test_challenges_that_cannot_be_met_are_errors(faulty: FaultyRegistry, challenge: str) -> None:
    faulty.put_image("app", "1")
    faulty.before = lambda handler: handler.answer(401, WWW_Authenticate=challenge) or True
    with pytest.raises(Hpc3Error) as caught:
        apply(faulty)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("answer", [b"[]", b"{", b'{"token": "a\\r\\nb"}', b'{"token": 1}', b"{}"])
def test_token_servers_that_give_no_token_are_errors(faulty: FaultyRegistry, answer: bytes) -> None:
    faulty.put_image("app", "1")

    def give_nonsense(handler: Handler) -> bool:
        if handler.path.startswith("/token"):
            handler.answer(200, answer)
        else:
            handler.answer(401, WWW_Authenticate=f'Bearer realm="http://{faulty.host}/token"')
        return True

    faulty.before = give_nonsense
    with pytest.raises(Hpc3Error):
        apply(faulty)


def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(
    faulty: FaultyRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.put_image("app", "1")
    seen: list[str] = []

    def as_proxy(handler: Handler) -> bool:
        if handler.path.startswith("http://"):
            seen.append(handler.headers.get("Proxy-Authorization", ""))
            handler.path = urllib.parse.urlsplit(handler.path).path
        return False

    faulty.before = as_proxy
    monkeypatch.setenv("http_proxy", f"http://me:pw@{faulty.host}")
    monkeypatch.setenv("no_proxy", "")
    apply(faulty)
    assert not seen
    done = hpc3("inspect", "docker://registry.example:5000/app:1", "--plain-http")
    assert done.code == 0, done.err
    assert set(seen) == {"Basic " + base64.b64encode(b"me:pw").decode()}


def test_plain_http_to_other_machines_is_not_tried_unasked(faulty: FaultyRegistry) -> None:
    done = hpc3("inspect", "docker://localhost.localdomain.invalid:1/app:1")
    assert done.code == 4
    assert "https://" in done.err


def test_a_silent_server_is_given_up(faulty: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    release = threading.Event()
    faulty.before = lambda handler: release.wait(20) and handler.reset()
    monkeypatch.setattr(http_client, "_ATTEMPTS", 1)
    from hpc3.oci.connections import Access
    from hpc3.oci.opening import Stores
    from hpc3.oci.reference import parse_reference

    with Stores(Access(timeout=0.3)) as stores:
        reference = parse_reference(faulty.ref("app:1"))
        with pytest.raises(Hpc3Error, match="gives no answer in time"):
            stores.open(reference).resolve(reference)
    release.set()
