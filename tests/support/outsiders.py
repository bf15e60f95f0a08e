"""Somebody who changes a lake with other tools than ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from tests.support import s3


class Outsider(Protocol):
    """Somebody with other tools than ours: writes, overwrites and deletes objects by their key."""

    def write(self, key: str, body: bytes) -> None: ...

    def delete(self, key: str) -> None: ...


class LocalOutsider:
    """An outsider of a lake in a local directory."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def write(self, key: str, body: bytes) -> None:
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(body)

    def delete(self, key: str) -> None:
        os.unlink(self.root / key)


class S3Outsider:
    """An outsider of a lake on an S3 server."""

    def __init__(self, server: s3.Server, root: str) -> None:
        self.client = server.client()
        self.bucket, _, self.prefix = root.removeprefix("s3://").partition("/")

    def write(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=body)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")
