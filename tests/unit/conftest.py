"""Fixtures of the lake. The contract suite runs on every store that ``lake_root`` names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import pytest

from spark_lib.lake import Lake
from spark_lib.lake.store import Store, open_store


class Outsider(Protocol):
    """Somebody with other tools than ours: writes, overwrites and deletes objects by their key."""

    def write(self, key: str, body: bytes) -> None: ...

    def delete(self, key: str) -> None: ...


class LocalOutsider:
    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def write(self, key: str, body: bytes) -> None:
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(body)

    def delete(self, key: str) -> None:
        os.unlink(self.root / key)


@pytest.fixture(params=["local"])
def lake_root(tmp_path: Path) -> str:
    """The root of an empty lake, one a store."""
    return str(tmp_path / "lake")


@pytest.fixture
def outsider(lake_root: str) -> Outsider:
    return LocalOutsider(lake_root)


@pytest.fixture
def store(lake_root: str) -> Store:
    return open_store(lake_root)


@pytest.fixture
def lake(lake_root: str) -> Lake:
    return Lake(lake_root, "credit_risk")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts give an unanswered put up at once."""
    monkeypatch.setattr("spark_lib.lake.attempt._SETTLE_SECONDS", 0)
