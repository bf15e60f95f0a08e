"""Real servers that messages are sent to, on 127.0.0.1, each a process that a test may kill and start again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE
from tests.support.s3 import free_port, listens


@dataclass
class Receiver:
    """A webhook or a server of mail. Its messages stay when it is killed."""

    kind: str
    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, as Apprise writes it, without a secret."""
        if self.kind == "smtp":
            return f"mailto://127.0.0.1:{self.port}?from=daystone@mail.example&to=ada@mail.example&mode=insecure"
        return f"json://127.0.0.1:{self.port}/daystone"

    @property
    def received(self) -> list[dict[str, str]]:
        """All messages so far, also such that were not answered."""
        file = self.directory / "received"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def forget(self) -> None:
        """Begin anew, for the next test."""
        for file in self.directory.iterdir():
            file.unlink()

    def hold(self) -> None:
        """Leave messages unanswered from now on, until the server is started again."""
        (self.directory / "hold").touch()

    def refuse(self, status: int) -> None:
        """Answer messages with this status of HTTP from now on."""
        (self.directory / "status").write_text(str(status))

    def start(self) -> None:
        (self.directory / "hold").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.support.message_server", self.kind, str(self.port), str(self.directory)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not listens(self.port):
            assert self.process.poll() is None, f"{self.kind} has ended"
            assert time.monotonic() < deadline, f"{self.kind} does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def receiver(kind: str, directory: Path) -> Iterator[Receiver]:
    """A server of mail (``smtp``) or a ``webhook``."""
    found = Receiver(kind, directory)
    found.start()
    try:
        yield found
    finally:
        found.kill()
