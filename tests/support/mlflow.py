"""A real MLflow server for tests, on 127.0.0.1, of an environment of its own. A test asks for names of its own: experiments
and registered models of two tests never meet."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE
from tests.support.s3 import free_port

#: What the server's environment says: no job runner beside the server, which would outlive it, and no telemetry.
_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
_ANSWER_SECONDS = 5


@dataclass
class Server:
    """A server on a database and a directory of artifacts, which stay when it is killed and started again."""

    directory: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _names: Iterator[int] = field(default_factory=itertools.count)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_name(self) -> str:
        """A name that no other test has."""
        return f"test-{os.getpid()}-{next(self._names)}"

    def start(self) -> None:
        log = self.directory / "mlflow.log"
        command = [
            _python(),
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--workers",
            "1",
        ]
        command += ["--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db"]
        command += ["--artifacts-destination", str(self.directory / "artifacts")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, env=environment | _QUIET, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, f"mlflow server ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"mlflow server does not answer: {log.read_text()}"
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL, of the server and of its worker, which is a process of its own."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.uri}/health", timeout=_ANSWER_SECONDS) as answer:  # noqa: S310  # it is one of http
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextmanager
def server(directory: Path) -> Iterator[Server]:
    running = Server(directory)
    running.start()
    try:
        yield running
    finally:
        running.kill()


def _python() -> str:
    """The Python that has MLflow's server, which is installed first where it is missing."""
    script = ROOT / "scripts" / "mlflow.sh"
    installed = subprocess.run(
        ["sh", str(script)], check=True, text=True, stdout=subprocess.PIPE, env=os.environ | {"PYTHON": sys.executable}
    )
    return installed.stdout.strip()
