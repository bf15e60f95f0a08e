"""A webhook or a server of mail on 127.0.0.1 that writes down what it gets; ``messages`` starts it as a process.

python -m tests.support.message_server webhook|smtp PORT DIRECTORY

Each message is a line of JSON in DIRECTORY/received. While there is a file DIRECTORY/hold, no message is answered. The status
that a webhook answers with is in DIRECTORY/status, where that is there.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller


class Directory:
    """Where the messages are written down."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, message: dict[str, str]) -> None:
        with (self._path / "received").open("a") as file:
            file.write(json.dumps(message) + "\n")

    @property
    def is_held(self) -> bool:
        return (self._path / "hold").exists()

    @property
    def status(self) -> int:
        file = self._path / "status"
        return int(file.read_text()) if file.exists() else 200


def webhook(port: int, directory: Directory) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            directory.write({"path": self.path, "title": body["title"], "body": body["message"], "kind": body["type"]})
            while directory.is_held:
                time.sleep(0.02)
            self.send_response(directory.status)
            self.end_headers()

        def log_message(self, format: str, *of: Any) -> None:
            """Nobody reads it."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


class _Mail:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("plain", "html"))
        assert body is not None
        self._directory.write(
            {"to": ", ".join(envelope.rcpt_tos), "title": mail["Subject"], "body": body.get_content().strip()}
        )
        while self._directory.is_held:
            await asyncio.sleep(0.02)
        return "250 OK"


def smtp(port: int, directory: Directory) -> None:
    Controller(_Mail(directory), hostname="127.0.0.1", port=port).start()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    {"webhook": webhook, "smtp": smtp}[sys.argv[1]](int(sys.argv[2]), Directory(Path(sys.argv[3])))
