"""Real S3 servers for tests, on 127.0.0.1. A test asks a server for a bucket of its own."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE

#: The keys are marked, so that a search for them in logs and pages finds nothing by chance.
ACCESS_KEY, SECRET_KEY = "DAYSTONETESTKEY", "daystone-test-secret-8c1f"
#: Variables that a developer's shell may hold, and that would lead to another S3.
_NOT_PASSED_ON = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class Server:
    """A running S3 server."""

    name: str
    endpoint: str
    directory: Path | None = None
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    _buckets: Iterator[int] = field(default_factory=itertools.count)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a process finds the server."""
        return {
            "S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def reach(self, environment: Any) -> None:
        """Let this process and its children find the server. ``environment`` is a pytest.MonkeyPatch."""
        for name in _NOT_PASSED_ON:
            environment.delenv(name, raising=False)
        for name, value in self.environment.items():
            environment.setenv(name, value)

    def profile(self, name: str, secret_key: str | None = None) -> str:
        """A section of AWS's file of credentials, with the keys of this server, or with another secret than its own."""
        secret = self.secret_key if secret_key is None else secret_key
        return f"[{name}]\naws_access_key_id = {self.access_key}\naws_secret_access_key = {secret}\n"

    def client(self) -> Any:
        """A client as anybody would make it, without Daystone's settings."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def fill(self, bucket: str, keys: Iterable[str]) -> None:
        """Make empty objects quickly, as files in the directory in which the server keeps its objects."""
        assert self.directory is not None
        for key in keys:
            path = self.directory / bucket / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def upload(self, directory: Path, bucket: str, prefix: str) -> None:
        """Every file below a directory, flags last."""
        files = [path for path in directory.rglob("*") if path.is_file()]
        client = self.client()
        for path in sorted(files, key=lambda path: (path.name == "_SUCCESS", path)):
            key = f"{prefix}/{path.relative_to(directory)}"
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())

    def land(self, bucket: str, feed: str, day: object, body: bytes) -> None:
        """A day of a feed as ``path = s3://bucket/{feed}/{date}`` finds it: one file, then the flag."""
        for name, content in (("rows", body), ("_SUCCESS", b"")):
            self.client().put_object(Bucket=bucket, Key=f"{feed}/{day}/{name}", Body=content)

    def new_bucket(self) -> str:
        bucket = f"{self.name}-{os.getpid()}-{next(self._buckets)}"
        self.client().create_bucket(Bucket=bucket)
        return bucket


@contextmanager
def versitygw(directory: Path, *options: str, access_key: str = ACCESS_KEY) -> Iterator[Server]:
    """versitygw on ``directory``, installed where it is missing. ``options`` are its own, as in ``--region``. One with another
    ``access_key`` has another secret, too, and knows no keys but these."""
    buckets = directory / "buckets"
    buckets.mkdir()
    port = free_port()
    command = [
        program(),
        *options,
        "--port",
        f"127.0.0.1:{port}",
        "--quiet",
        "--keep-alive",
        "posix",
        str(buckets),
    ]
    # Buckets are named after their server: of two servers none has a bucket of the other's name.
    name = "versitygw" if access_key == ACCESS_KEY else access_key.lower()
    secret_key = SECRET_KEY if access_key == ACCESS_KEY else f"secret-of-{access_key}"
    keys = {"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key}
    with _running(command, port, directory / "versitygw.log", keys):
        yield Server(name, f"http://127.0.0.1:{port}", buckets, access_key, secret_key)


def program() -> str:
    """The path of versitygw, which is built first where it is missing."""
    script = ROOT / "scripts" / "versitygw.sh"
    installed = subprocess.run(
        ["sh", str(script)], check=True, text=True, stdout=subprocess.PIPE, env=os.environ | {"PYTHON": sys.executable}
    )
    return installed.stdout.strip()


@contextmanager
def moto(directory: Path) -> Iterator[Server]:
    """moto's server, which keeps everything in memory."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with _running(command, port, directory / "moto.log", {}):
        yield Server("moto", f"http://127.0.0.1:{port}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def _running(command: list[str], port: int, log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | dict(environment))
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(port):
            assert process.poll() is None, f"{command[0]} ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"{command[0]} does not listen: {log.read_text()}"
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
