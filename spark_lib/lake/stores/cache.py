"""Stores small objects of S3 on this machine's disk, by url and etag, so that they need not be fetched again.

The cache is safe to delete at any time, and any number of processes may share it. An entry is replaced as a whole. A
damaged entry counts as missing.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from pathlib import Path

from spark_lib.caches import user_directory

logger = logging.getLogger("daystone.lake")


class Cache:
    """One file for each object below ``directory`` (default: below the user's cache), with the newest version."""

    def __init__(self, directory: str = "") -> None:
        self.directory = Path(directory).expanduser() if directory else user_directory() / "manifests"

    def recall(self, url: str, etag: str) -> bytes | None:
        """The content of this version of an object, or None where the cache does not have it."""
        try:
            kept = self._path(url).read_bytes()
        except OSError:
            return None  # whatever is wrong with the cache, the object itself can be read
        head, _, body = kept.partition(b"\n")
        return body if head == _head(etag, body) else None

    def keep(self, url: str, etag: str, body: bytes) -> None:
        """Store a version of an object in place of the one before. Where that is impossible, go on without it."""
        path = self._path(url)
        new = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(_head(etag, body) + b"\n" + body)
            new.replace(path)
        except OSError as error:
            logger.warning("%s cannot keep what was read, so that it is fetched each time: %s", self.directory, error)

    def _path(self, url: str) -> Path:
        name = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()
        return self.directory / name[:2] / name[2:]


def _head(etag: str, body: bytes) -> bytes:
    return f"{hashlib.sha256(body).hexdigest()} {etag}".encode()
