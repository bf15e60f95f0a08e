"""A service in this process, on a lake with released days."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from spark_lib.lake import Lake
from spark_lib.rest import app
from spark_lib.rest.app import Limits, Scores
from spark_lib.rest.current import Slot, newest_of
from tests.unit.rest.served import Served

#: A service of a lake; the released days are looked at once.
Service = Callable[..., TestClient]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), "tests.unit.rest.served.Case")


@pytest.fixture
def served(lake: Lake) -> Served:
    """A lake whose day is released, of a binary problem."""
    found = Served(lake)
    found.released()
    return found


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
