"""A service in this process, on a lake with released days."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from spark_lib.lake import Lake
from spark_lib.rest import app
from spark_lib.rest.app import Limits, Scores
from spark_lib.rest.current import Slot, newest_of
from tests.unit.rest.served import CASE, Served

#: A service of a lake; the released days are looked at once.
Service = Callable[..., TestClient]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), CASE)


@pytest.fixture(scope="session")
def _released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("released") / "lake"
    Served(Lake(str(root), CASE)).released()
    return root


@pytest.fixture
def served(_released: Path, lake: Lake) -> Served:
    """A lake whose day is released, of a binary problem."""
    shutil.copytree(_released, lake.root)
    return Served(lake)


@pytest.fixture
def service() -> Service:
    def of(
        served: Served, limits: Limits | None = None, token: str | None = None, scores: Scores | None = None
    ) -> TestClient:
        slot = Slot(newest_of(served.lake))
        slot.refresh()
        made = app.create(slot, limits or Limits(), token, scores)
        made.state.slot = slot
        return TestClient(made)

    return of
