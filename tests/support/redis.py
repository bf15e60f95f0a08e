"""A real Redis for tests, on 127.0.0.1, in memory only. A test asks for a database of its own by its number."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.patience import PATIENCE
from tests.support.s3 import free_port, listens

#: It is marked, so that a search for it in messages finds nothing by chance.
PASSWORD = "daystone-test-password-9e02"


@dataclass(frozen=True)
class Server:
    """A running server that asks for ``PASSWORD``."""

    port: int
    _databases: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(10_000)))

    def url(self) -> str:
        """An empty database."""
        return f"redis://127.0.0.1:{self.port}/{next(self._databases)}"


@contextmanager
def server(directory: Path, *options: str) -> Iterator[Server]:
    """Redis, with further options of its own."""
    port = free_port()
    command = [_program(), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    command += ["--databases", "10000", "--requirepass", PASSWORD, *options]
    log = directory / "redis.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=directory)
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(port):
            assert process.poll() is None, f"redis-server ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"redis-server does not listen: {log.read_text()}"
            time.sleep(0.02)
        yield Server(port)
    finally:
        process.kill()
        process.wait()


def _program() -> str:
    """redis-server: on PATH, or Debian's, which root installs where it is missing, without starting its service."""
    found = shutil.which("redis-server")
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "redis-server"]):
            subprocess.run(["apt-get", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        found = shutil.which("redis-server")
    assert found, "no redis-server. Debian: sudo apt-get install redis-server | macOS: brew install redis"
    return found
