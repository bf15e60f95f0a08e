"""What a client makes of answers that the registry of the other tests does not give: tokens, redirects, a busy server."""

from __future__ import annotations

import http.server
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from spark_lib.errors import RegistryUnavailable
from spark_lib.registry.image import credentials
from spark_lib.registry.image.documents import Blob, blob_of
from spark_lib.registry.image.reference import Reference
from tests.unit.registry.image.conftest import client_of

pytestmark = pytest.mark.processes

BLOB = blob_of("application/octet-stream", b"content")
Answer = tuple[int, Mapping[str, str], bytes]


@dataclass
class Seen:
    """The requests that a server got: method, path, and the header by which it knows who asks."""

    port: int
    requests: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def answering(answer: Callable[[str, str, str], Answer]) -> Iterator[Seen]:
    """A server that answers by method, path and the header Authorization."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = (self.command, self.path, self.headers.get("Authorization", ""))
            seen.requests.append(asked)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = answer(*asked)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        do_HEAD = do_POST = do_PUT = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        seen = Seen(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(credentials.USER, "me")
    monkeypatch.setenv(credentials.PASSWORD, "daystone-test-secret")


BASIC = "Basic bWU6ZGF5c3RvbmUtdGVzdC1zZWNyZXQ="


def test_a_token_is_fetched_where_the_registry_says_and_kept_for_the_next_question() -> None:
    def answer(method: str, path: str, who: str) -> Answer:
        if path.startswith("/token"):
            return 200, {}, json.dumps({"token": "t0ken"}).encode()
        if who != "Bearer t0ken":
            realm = f'Bearer realm="http://{seen.host}/token?a=b",service="images",scope="repository:loans:pull"'
            return 401, {"WWW-Authenticate": realm}, b""
        return 200, {}, b""

    with answering(answer) as seen:
        client = client_of(Reference(seen.host, "team/loans"))

        assert client.has(BLOB.digest) and client.has(BLOB.digest)

    path = f"/v2/team/loans/blobs/{BLOB.digest}"
    assert seen.requests == [
        ("HEAD", path, ""),
        ("GET", "/token?a=b&service=images&scope=repository%3Ateam%2Floans%3Apull%2Cpush", BASIC),
        ("HEAD", path, "Bearer t0ken"),
        ("HEAD", path, "Bearer t0ken"),
    ]


@pytest.mark.parametrize("realm", ["http://tokens.example.org/", "file:///etc/passwd", ""])
def test_no_password_goes_to_a_server_of_tokens_without_tls(realm: str) -> None:
    with (
        answering(lambda *asked: (401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}, b"")) as seen,
        pytest.raises(RegistryUnavailable, match="wanted a server of tokens by https"),
    ):
        client_of(Reference(seen.host, "loans")).has(BLOB.digest)


@pytest.mark.parametrize(("status", "body"), [(403, b""), (200, b"no JSON"), (200, b"{}")])
def test_a_server_of_tokens_that_gives_none_is_named(status: int, body: bytes) -> None:
    def answer(method: str, path: str, who: str) -> Answer:
        if path.startswith("/token"):
            return status, {}, body
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{seen.host}/token"'}, b""

    with answering(answer) as seen, pytest.raises(RegistryUnavailable) as refused:
        client_of(Reference(seen.host, "loans")).has(BLOB.digest)

    assert str(refused.value).startswith(f"{seen.host}/loans: wanted a token; found the status {status}. Next: ")
    assert "secret" not in str(refused.value)


def test_a_blob_that_lies_elsewhere_is_fetched_there_without_our_credentials() -> None:
    def at_registry(method: str, path: str, who: str) -> Answer:
        if not who:
            return 401, {"WWW-Authenticate": "Basic realm=test"}, b""
        return 307, {"Location": f"http://{elsewhere.host}/signed?key=1"}, b""

    with answering(lambda *asked: (200, {}, b"content")) as elsewhere, answering(at_registry) as seen:
        file = io.BytesIO()
        client_of(Reference(seen.host, "loans")).fetch_blob(BLOB, file)

    assert file.getvalue() == b"content"
    assert elsewhere.requests == [("GET", "/signed?key=1", "")]
    assert [who for _, _, who in seen.requests] == ["", BASIC]


@pytest.mark.parametrize("place", ["file:///etc/passwd", "http://elsewhere.example.org/", "ftp://127.0.0.1/"])
def test_a_redirect_to_no_address_with_tls_is_not_followed(place: str) -> None:
    with (
        answering(lambda *asked: (307, {"Location": place}, b"")) as seen,
        pytest.raises(RegistryUnavailable, match="wanted addresses with https"),
    ):
        client_of(Reference(seen.host, "loans")).fetch_blob(BLOB, io.BytesIO())


def test_redirects_in_a_circle_end() -> None:
    with (
        answering(lambda *asked: (302, {"Location": asked[1]}, b"")) as seen,
        pytest.raises(RegistryUnavailable, match="found the status 302"),
    ):
        client_of(Reference(seen.host, "loans")).fetch_blob(BLOB, io.BytesIO())

    assert len(seen.requests) == 6


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_registry_is_asked_again(status: int) -> None:
    def answer(*asked: str) -> Answer:
        return (status if len(seen.requests) < 3 else 200), {}, b""

    with answering(answer) as seen:
        assert client_of(Reference(seen.host, "loans")).has(BLOB.digest)

    assert len(seen.requests) == 3


def test_a_registry_that_stays_busy_is_unavailable() -> None:
    with answering(lambda *asked: (503, {}, b"")) as seen, pytest.raises(RegistryUnavailable) as busy:
        client_of(Reference(seen.host, "loans")).has(BLOB.digest)

    assert "wanted an answer of the registry; found the status 503, 4 times" in str(busy.value)


def test_a_part_of_a_blob_is_fetched_again() -> None:
    def answer(*asked: str) -> Answer:
        return 200, {}, b"con" if len(seen.requests) == 1 else b"content"

    with answering(answer) as seen:
        file = io.BytesIO()
        client_of(Reference(seen.host, "loans")).fetch_blob(BLOB, file)

    assert (file.getvalue(), len(seen.requests)) == (b"content", 2)


def test_a_pushed_tag_that_has_another_image_is_an_error() -> None:
    def answer(method: str, path: str, who: str) -> Answer:
        return (201, {}, b"") if method == "PUT" else (200, {"Docker-Content-Digest": "sha256:other"}, b"")

    with answering(answer) as seen, pytest.raises(RegistryUnavailable) as lost:
        client_of(Reference(seen.host, "loans")).send_manifest(b"{}", "one")

    assert "which was just pushed; found sha256:other. Next: look who else pushes there" in str(lost.value)


def test_a_manifest_of_another_digest_is_refused() -> None:
    with (
        answering(lambda *asked: (200, {}, b"{}")) as seen,
        pytest.raises(RegistryUnavailable, match="wanted a manifest of this digest"),
    ):
        client_of(Reference(seen.host, "loans")).manifest(Blob("", f"sha256:{'0' * 64}", 0).digest)
