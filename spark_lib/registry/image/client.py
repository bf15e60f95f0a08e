"""Asks a registry by the HTTP interface of the Open Container Initiative (distribution-spec 1.1).

A question that gets no answer, or the answer that the server is busy, is asked again a few times. A blob that is there
already is not sent, so that a push may be repeated at any time.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from spark_lib.errors import DaystoneError, RegistryUnavailable
from spark_lib.registry.image import credentials
from spark_lib.registry.image.documents import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    Blob,
    digest_of,
)
from spark_lib.registry.image.reference import Reference, is_loopback

_TRIES = 4
#: The pause after the first try; it doubles after each.
_PAUSE_SECONDS = 0.5
#: How long nothing may come, or go, on a connection.
_SILENT_SECONDS = 60
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_MOST_DOCUMENT_BYTES = 4 * 2**20
_COPIED_AT_ONCE = 2**20
#: A parameter of a challenge, as in realm="https://...".
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Answer:
    """A status with the headers and the body, as far as that was read."""

    status: int
    headers: Message
    body: bytes


class Unanswered(Exception):
    """No answer, or one that says to come again. The message says which."""


class Client:
    """A repository at a registry, to pull from; to push to where it ``pushes``."""

    def __init__(
        self, repository: Reference, pushes: bool = False, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self.repository = repository.repository
        self._pushes = pushes
        self._sleep = sleep
        # A proxy is none of this machine's own business.
        direct = [ProxyHandler({})] if is_loopback(urlsplit(self.repository.address).netloc) else []
        self._opener: OpenerDirector = build_opener(_NoRedirects, *direct)
        self._authorization = ""

    def has(self, digest: str) -> bool:
        """Whether a blob is there."""
        return self._known("HEAD", f"blobs/{digest}") is not None

    def manifest_digest(self, reference: str) -> str:
        """The digest of the manifest that has a tag; empty where none has."""
        found = self._known("HEAD", f"manifests/{reference}", {"Accept": MANIFEST})
        return "" if found is None else found.headers.get("Docker-Content-Digest", "")

    def send_blob(self, blob: Blob, contents: Callable[[Blob], bytes | Path]) -> bool:
        """Have a blob at the registry, and return whether it was sent. ``contents`` is asked for its bytes, or for the file
        that has them, only then. It is sent again from its first byte where the connection ends in the middle."""
        if self.has(blob.digest):
            return False
        content = contents(blob)
        self._persistently(f"blob {blob.digest}", lambda: self._upload(blob, content))
        return True

    def _upload(self, blob: Blob, content: bytes | Path) -> None:
        began = self._once("POST", self._url("blobs/uploads/"), {"Content-Length": "0"}, b"")
        self._expect(began, 202, "an upload that begins")
        place = urljoin(self._url(""), began.headers.get("Location", ""))
        place += ("&" if urlsplit(place).query else "?") + urlencode({"digest": blob.digest})
        headers = {"Content-Type": _OCTETS, "Content-Length": str(blob.size)}
        if isinstance(content, bytes):
            ended = self._once("PUT", place, headers, content)
        else:
            with content.open("rb") as file:
                ended = self._once("PUT", place, headers, file)
        self._expect(ended, 201, f"a blob of {blob.size:,} bytes to be taken")

    def send_manifest(self, body: bytes, tag: str) -> None:
        """Give a tag to an image whose blobs are there. Raises RegistryUnavailable where the registry then says that the
        tag has another one."""
        sent = self._asked("PUT", f"manifests/{tag}", {"Content-Type": MANIFEST}, body)
        self._expect(sent, 201, "a manifest to be taken")
        there = self.manifest_digest(tag)
        if there != digest_of(body):
            raise RegistryUnavailable(
                f"{self.repository}:{tag}",
                f"the image {digest_of(body)}, which was just pushed",
                there or "none",
                "look who else pushes there, then push again",
            )

    def manifest(self, reference: str) -> tuple[str, bytes]:
        """A manifest or an index by its tag or digest: its media type and its bytes. Raises RegistryUnavailable."""
        kinds = ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST))
        found = self._asked("GET", f"manifests/{reference}", {"Accept": kinds})
        self._expect(found, 200, f"the image {reference}")
        if reference.startswith("sha256:") and digest_of(found.body) != reference:
            raise RegistryUnavailable(
                f"{self.repository}@{reference}",
                "a manifest of this digest",
                digest_of(found.body),
                "ask who operates the registry",
            )
        return found.headers.get("Content-Type", "").partition(";")[0], found.body

    def fetch_blob(self, blob: Blob, file: IO[bytes]) -> None:
        """Write a blob to a file. Its digest is not checked here."""

        def fetched() -> None:
            file.seek(0)
            file.truncate()
            answer = self._once("GET", self._url(f"blobs/{blob.digest}"), {}, into=file)
            self._expect(answer, 200, f"the blob {blob.digest}")
            if file.tell() < blob.size:
                raise Unanswered(f"{file.tell():,} of {blob.size:,} bytes")

        self._persistently(f"blob {blob.digest}", fetched)

    def _known(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer | None:
        """The answer about something that may not be there."""
        found = self._asked(method, path, headers or {})
        if found.status == 404:
            return None
        self._expect(found, 200, "an answer")
        return found

    def _asked(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        answer: Answer = self._persistently(path, lambda: self._once(method, self._url(path), headers, body))
        return answer

    def _persistently(self, what: str, ask: Callable[[], Any]) -> Any:
        """What ``ask`` returns. Raises RegistryUnavailable where it gets no answer some times in a row."""
        for number in range(_TRIES):
            try:
                return ask()
            except Unanswered as error:
                last = error
            if number < _TRIES - 1:
                self._sleep(_PAUSE_SECONDS * 2**number)
        raise RegistryUnavailable(
            f"{self.repository}: {what}",
            "an answer of the registry",
            f"{last}, {_TRIES} times",
            "look whether the registry runs and can be reached, then run again: what is there already is not sent again",
        )

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | IO[bytes] | None = None,
        into: IO[bytes] | None = None,
    ) -> Answer:
        """One question, and once more after the registry has said how to show who we are. Raises Unanswered."""
        answer = self._sent(method, url, headers, body, into)
        if answer.status != 401 or not self._is_own(url):
            return answer
        self._authorization = self._shown(answer.headers.get_all("WWW-Authenticate") or [])
        if not self._authorization:
            return answer
        if body is not None and not isinstance(body, bytes):
            body.seek(0)
        return self._sent(method, url, headers, body, into)

    def _sent(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | IO[bytes] | None,
        into: IO[bytes] | None,
        redirects: int = _MOST_REDIRECTS,
    ) -> Answer:
        if not self._may_be_asked(url):
            raise RegistryUnavailable(
                str(self.repository),
                "addresses with https",
                f"one of {urlsplit(url).scheme or 'no kind'} that the registry leads to",
                "ask who operates the registry",
            )
        known = {"Authorization": self._authorization} if self._authorization and self._is_own(url) else {}
        request = Request(url, body, {**headers, **known}, method=method)  # noqa: S310  (_may_be_asked has looked at its scheme)
        try:
            with self._opener.open(request, timeout=_SILENT_SECONDS) as answer:
                return Answer(answer.status, answer.headers, _read(answer, into))
        except HTTPError as error:
            found = _of_error(error)
        except (URLError, OSError, http.client.HTTPException) as error:
            raise Unanswered(_words(error)) from error
        if found.status in _PASSING:
            raise Unanswered(f"the status {found.status}")
        if found.status in _REDIRECTED and method in ("GET", "HEAD") and redirects:
            # Blobs may lie elsewhere, where our credentials are nobody's business.
            place = urljoin(url, found.headers.get("Location", ""))
            return self._sent(method, place, headers, None, into, redirects - 1)
        return found

    def _shown(self, wanted: list[str]) -> str:
        """The header by which a registry knows us; empty where we know none. Raises Unanswered, RegistryUnavailable."""
        known_to = credentials.to_push if self._pushes else credentials.to_pull
        known = known_to(self.repository.host)
        for challenge in wanted:
            kind, _, said = challenge.partition(" ")
            if kind.lower() == "basic" and known:
                return f"Basic {known}"
            if kind.lower() == "bearer":
                return f"Bearer {self._token(dict(_PARAMETER.findall(said)), known)}"
        return ""

    def _token(self, said: Mapping[str, str], known: str | None) -> str:
        """A token of the server that the registry names. Raises RegistryUnavailable for an address without TLS."""
        place = urlsplit(said.get("realm", ""))
        if place.scheme != "https" and not (place.scheme == "http" and is_loopback(place.netloc)):
            raise RegistryUnavailable(
                str(self.repository),
                "a server of tokens by https",
                place.scheme or "none",
                "ask who operates the registry",
            )
        query = parse_qs(place.query) | {
            "service": [said.get("service", "")],
            "scope": [f"repository:{self.repository.name}:{'pull,push' if self._pushes else 'pull'}"],
        }
        url = place._replace(query=urlencode(query, doseq=True)).geturl()
        request = Request(url, headers={"Authorization": f"Basic {known}"} if known else {})  # noqa: S310  (its scheme was looked at above)
        try:
            with self._opener.open(request, timeout=_SILENT_SECONDS) as answer:
                found = json.loads(answer.read(_MOST_DOCUMENT_BYTES))
            return str(found.get("token") or found["access_token"])
        except HTTPError as error:
            with error:
                raise self._refused(error.code, "a token", b"") from None
        except (URLError, OSError, http.client.HTTPException) as error:
            raise Unanswered(_words(error)) from error
        except (ValueError, KeyError):
            raise self._refused(200, "a token", b"") from None

    def _may_be_asked(self, url: str) -> bool:
        """Whether an address is one with TLS; a registry on this machine may lead to others on it without."""
        place, own = urlsplit(url), urlsplit(self.repository.address)
        return place.scheme == "https" or (place.scheme == own.scheme == "http" and is_loopback(place.netloc))

    def _is_own(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self.repository.address)[:2]

    def _url(self, path: str) -> str:
        return f"{self.repository.address}/v2/{self.repository.name}/{path}"

    def _expect(self, answer: Answer, status: int, wanted: str) -> None:
        if answer.status != status:
            raise self._refused(answer.status, wanted, answer.body)

    def _refused(self, status: int, wanted: str, body: bytes) -> DaystoneError:
        steps = {
            401: f"log in (docker login {self.repository.host})"
            + (f", or set {credentials.USER} and {credentials.PASSWORD}" if self._pushes else ""),
            403: "ask for the right to pull and push in this repository",
            404: "look whether the name of the repository and of the image is right",
        }
        said = _message(body)
        return RegistryUnavailable(
            str(self.repository),
            wanted,
            f"the status {status}{f': {said}' if said else ''}",
            steps.get(status, "ask who operates the registry"),
        )


class _NoRedirects(HTTPRedirectHandler):
    """Leaves redirects to the client, which takes no credentials along."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


def _read(answer: Any, into: IO[bytes] | None) -> bytes:
    if into is None:
        return bytes(answer.read(_MOST_DOCUMENT_BYTES))
    while block := answer.read(_COPIED_AT_ONCE):
        into.write(block)
    return b""


def _of_error(error: HTTPError) -> Answer:
    """An answer with the status of an error. Raises Unanswered where its body does not come."""
    try:
        with error:
            return Answer(error.code, error.headers, error.read(_MOST_DOCUMENT_BYTES))
    except (OSError, http.client.HTTPException) as broken:
        raise Unanswered(_words(broken)) from broken


def _words(error: BaseException) -> str:
    """Why there is no answer, in a few words."""
    reason = getattr(error, "reason", None) or error
    return getattr(reason, "strerror", None) or f"{type(reason).__name__}"


def _message(body: bytes) -> str:
    """What a registry says of an error, in its own words."""
    try:
        (first, *_) = json.loads(body)["errors"]
        return str(first.get("message") or first.get("code", ""))[:200]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
