"""A real luigid on this machine, as the README starts it."""

from __future__ import annotations

import json
import socket
import subprocess
import sysconfig
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE, until


@dataclass
class Luigid:
    """A scheduler on this machine, by its HTTP interface."""

    url: str
    home: Path
    pid: int

    def ask(self, method: str, **arguments: object) -> Any:
        query = urllib.parse.urlencode({"data": json.dumps(arguments)})
        with urllib.request.urlopen(f"{self.url}/api/{method}?{query}", timeout=PATIENCE) as answer:  # noqa: S310  (our own luigid)
            return json.load(answer)["response"]

    def tasks(self) -> dict[str, dict[str, Any]]:
        """What it knows of every task, by id."""
        return self.ask("task_list", status="", upstream_status="", limit=False)

    def configuration(self) -> str:
        """What a user writes into a file of their own to use it."""
        return f"[core]\nlocal_scheduler = false\ndefault-scheduler-url = {self.url}\n"


@contextmanager
def running_luigid(home: Path) -> Iterator[Luigid]:
    """A scheduler whose state and logs are in ``home``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sysconfig.get_path("scripts"), "luigid")
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, "--address", "127.0.0.1", "--port", str(port), "--state-path", home / "state", "--logdir", home],
            cwd=home,
            stdout=log,
            stderr=log,
        )
    scheduler = Luigid(f"http://127.0.0.1:{port}", home, server.pid)
    try:
        until(lambda: server.poll() is not None or answers(scheduler))
        yield scheduler
    finally:
        server.terminate()
        server.wait(PATIENCE)


def answers(luigid: Luigid) -> bool:
    try:
        luigid.tasks()
    except urllib.error.URLError:
        return False
    return True


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310  (luigid's, or one that Spark gave it)
        content: bytes = answer.read()
    return content.decode()
