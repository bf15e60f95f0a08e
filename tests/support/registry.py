"""A real registry of images for tests, on 127.0.0.1: the registry of the Distribution project, as Debian has it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support.patience import PATIENCE
from tests.support.s3 import free_port, listens

#: They are marked, so that a search for them in messages finds nothing by chance.
USER, PASSWORD = "daystone-test-user-77b2", "daystone-test-password-3d17"
#: The password as bcrypt has it, which is what the registry reads.
_HASH = "$2y$04$ifeNTp246uKTtuCf8zpq/u7OwGRUNle46f67eckCKEdGlF0ttVI06"
_CONFIGURATION = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {directory}/storage
http:
  addr: 127.0.0.1:{port}
auth:
  htpasswd:
    realm: test
    path: {directory}/htpasswd
"""


class Server:
    """A registry that asks for ``USER`` and ``PASSWORD``. It can be killed and started again with what it holds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "htpasswd").write_text(f"{USER}:{_HASH}\n")
        (directory / "config.yml").write_text(_CONFIGURATION.format(directory=directory, port=self.port))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a process is known to the registry."""
        return {"DAYSTONE_REGISTRY_USER": USER, "DAYSTONE_REGISTRY_PASSWORD": PASSWORD}

    @property
    def basic(self) -> str:
        """User and password as HTTP and Docker's file have them."""
        return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def logged_in(self, directory: Path) -> Path:
        """A directory with Docker's own file, as ``docker login`` leaves it there."""
        known = {"auths": {self.host: {"auth": self.basic}}}
        (directory / "config.json").write_text(json.dumps(known))
        return directory

    def start(self) -> None:
        log = self.directory / "registry.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [_program(), "serve", str(self.directory / "config.yml")], stdout=output, stderr=output
            )
        deadline = time.monotonic() + PATIENCE
        while not listens(self.port):
            assert self._process.poll() is None, f"the registry ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"the registry does not listen: {log.read_text()}"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def get(self, path: str, accept: str = "*/*") -> bytes:
        """What anybody with the password gets below /v2/, by other means than ours."""
        headers = {"Authorization": f"Basic {self.basic}", "Accept": accept}
        with urlopen(Request(f"http://{self.host}/v2/{path}", headers=headers)) as answer:
            found: bytes = answer.read()
        return found

    def manifest(self, name: str, reference: str) -> bytes:
        """The manifest of a tag or a digest."""
        return self.get(f"{name}/manifests/{reference}", "application/vnd.oci.image.manifest.v1+json")

    def pull(self, name: str, reference: str, root: Path) -> Mapping[str, Any]:
        """Unpack an image below ``root``, as a container has its files, and return its configuration. Each digest is
        checked on the way."""
        manifest = self.manifest(name, reference)
        assert not reference.startswith("sha256:") or _digest(manifest) == reference
        document = json.loads(manifest)
        config: Mapping[str, Any] = json.loads(self._blob(name, document["config"]["digest"]))
        for layer, diff_id in zip(document["layers"], config["rootfs"]["diff_ids"], strict=True):
            with tarfile.open(fileobj=io.BytesIO(self._blob(name, layer["digest"], diff_id))) as tar:
                tar.extractall(root, filter="fully_trusted")
        return config

    def _blob(self, name: str, digest: str, diff_id: str = "") -> bytes:
        body = self.get(f"{name}/blobs/{digest}")
        assert _digest(body) == digest
        if diff_id:
            assert _digest(gzip.decompress(body)) == diff_id
        return body


@contextmanager
def server(directory: Path) -> Iterator[Server]:
    """A registry on ``directory``."""
    found = Server(directory)
    found.start()
    try:
        yield found
    finally:
        found.kill()


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _program() -> str:
    """The registry: on PATH, or Debian's, which root installs where it is missing, without starting its service."""
    found = shutil.which("docker-registry") or shutil.which("registry")
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "docker-registry"]):
            subprocess.run(["apt-get", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        found = shutil.which("docker-registry")
    assert found, "no docker-registry. Debian: sudo apt-get install docker-registry | macOS: brew install distribution"
    return found
