"""An HTTP proxy in front of an S3 server that misbehaves on request, and counts what passes."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.patience import PATIENCE
from tests.support.s3 import Server

#: Headers of one connection, not of the message.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass
class Fault:
    """What happens to the first ``times`` requests of ``kind`` whose key matches ``key``, after ``skip`` of them.

    ``deed`` is one of these:

    - ``answer``: the proxy answers with ``status`` and ``code`` in place of the server;
    - ``delay``: the request is passed on after ``seconds``;
    - ``cut``: the client gets half of the answer's body;
    - ``alter``: the last byte of the answer's body is another one;
    - ``drop before``: the request does not reach the server, and the connection ends;
    - ``drop after``: the server executes the request, and the connection ends without an answer;
    - ``unconditional``: the conditions of the request do not reach the server.

    A drop happens after ``seconds``: a client that dies meanwhile has got no answer yet.
    """

    deed: str
    kind: str = ".*"
    key: str = ""
    times: int = 1
    skip: int = 0
    status: int = 503
    code: str = "SlowDown"
    seconds: float = 0.0
    fired: int = 0

    def strikes(self, kind: str, key: str) -> bool:
        if self.fired >= self.times or not re.fullmatch(self.kind, kind) or not re.search(self.key, key):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.fired += 1
        return True


@dataclass
class FaultProxy:
    """``server`` as a client of the proxy sees it; ``counted`` is requests by kind: LIST, GET, HEAD, PUT, POST, DELETE."""

    server: Server
    counted: Counter[str] = field(default_factory=Counter)
    log: list[tuple[str, str]] = field(default_factory=list)
    #: The requests as they came: method, path with its query, and the body of a delete of many objects.
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, deed: str, **more: Any) -> Fault:
        fault = Fault(deed, **more)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._faults.clear()

    def struck(self, kind: str, key: str) -> Fault | None:
        """Count a request, and say what is to happen to it."""
        with self._lock:
            self.counted[kind] += 1
            self.log.append((kind, key))
            return next((fault for fault in self._faults if fault.strikes(kind, key)), None)


@contextmanager
def fault_proxy(server: Server) -> Iterator[FaultProxy]:
    """A proxy on 127.0.0.1 in front of ``server``."""
    target = urlsplit(server.endpoint).netloc

    class Handler(_Handler):
        upstream = target

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    proxy = FaultProxy(replace(server, endpoint=f"http://127.0.0.1:{listener.server_port}"))
    Handler.proxy = proxy
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else an answer in two parts waits 40 ms for the client's acknowledgement
    proxy: FaultProxy
    upstream: str

    def setup(self) -> None:
        super().setup()
        self._upstream_connection = http.client.HTTPConnection(self.upstream, timeout=PATIENCE)

    def finish(self) -> None:
        self._upstream_connection.close()
        super().finish()

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        self._pass_on()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the tests read ``FaultProxy.log``."""

    def _pass_on(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self._body()
        kind, key = self._what(body)
        self.proxy.requests.append((self.command, self.path, body if "?delete" in self.path else b""))
        fault = self.proxy.struck(kind, key)
        deed = fault.deed if fault else ""
        if fault and deed == "answer":
            return self._answer(fault)
        if fault and deed in ("delay", "drop before"):
            time.sleep(fault.seconds)
        if deed == "drop before":
            return self._drop()
        status, headers, answered = self._ask(body, conditions=deed != "unconditional")
        if fault and deed == "drop after":
            time.sleep(fault.seconds)
            return self._drop()
        if deed == "alter":
            answered = answered[:-1] + bytes([answered[-1] ^ 1])
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length", str(len(answered)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(answered)))
        self.end_headers()
        if deed == "cut":
            self.wfile.write(answered[: len(answered) // 2])
            return self._drop()
        self.wfile.write(answered)
        return None

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _what(self, body: bytes) -> tuple[str, str]:
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        if self.command == "POST" and "delete" in query:  # of many objects at once
            return "DELETE", " ".join(re.findall("<Key>(.*?)</Key>", body.decode()))
        kind = "LIST" if self.command == "GET" and ("list-type" in query or "uploads" in query) else self.command
        return kind, unquote(url.path if kind != "LIST" else query.get("prefix", [""])[0])

    def _ask(self, body: bytes, conditions: bool) -> tuple[int, list[tuple[str, str]], bytes]:
        # Each client's connection has one to the server. A new one for each request would cost more than the server.
        connection = self._upstream_connection
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                dropped = {"content-length", "expect"} | (set() if conditions else {"if-match", "if-none-match"})
                if name.lower() not in _HOP_BY_HOP | dropped:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise

    def _answer(self, fault: Fault) -> None:
        body = f"<Error><Code>{fault.code}</Code><Message>of the fault proxy</Message></Error>".encode()
        self.send_response_only(fault.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drop(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
