"""AWS's own files and variables, of a test alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spark_lib.lake.stores import s3_client, s3_settings


@contextmanager
def nothing_said(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[None]:
    """A process of which neither the environment nor a file says anything about S3. Files that ``write`` puts into
    ``home`` are AWS's own from then on."""
    for name in s3_settings.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
    s3_client.forget_clients()
    yield
    s3_client.use(s3_client.Connection())
    s3_client.forget_clients()


def write(home: Path, name: str, text: str) -> Path:
    """Write AWS's file ``config`` or ``credentials``, which a new client reads."""
    path = home / name
    path.write_text(text)
    s3_client.forget_clients()
    return path
