"""Fixtures of the lake and of servers. The contract suite runs on every store that ``lake_root`` names."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_lib.lake import Lake
from spark_lib.lake.stores import open_store
from spark_lib.lake.stores.store import Store
from tests.support import postgres, redis, s3
from tests.support.outsiders import LocalOutsider, Outsider, S3Outsider


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    """What Luigi logs to in a test ends with the test: its terminal may be one that is closed by then."""
    loggers = [logging.getLogger(name) for name in (None, "luigi", "luigi-interface")]
    before = [list(logger.handlers) for logger in loggers]
    yield
    for logger, handlers in zip(loggers, before, strict=True):
        for handler in [each for each in logger.handlers if type(each) is logging.StreamHandler]:
            if handler not in handlers:
                logger.removeHandler(handler)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    with s3.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Server]:
    with redis.server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def database(postgres_server: postgres.Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, whose password this process and its children know as a user's would."""
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    return postgres_server.new_database()


STORES = [
    "local",
    pytest.param("versitygw", marks=pytest.mark.processes),
    pytest.param("moto", marks=pytest.mark.processes),
]


@pytest.fixture(params=STORES)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> s3.Server | None:
    """The server of the store under test, which this process and its children find; None for a local directory."""
    if request.param == "local":
        return None
    server: s3.Server = request.getfixturevalue(request.param)
    server.reach(monkeypatch)
    return server


@pytest.fixture
def lake_root(server: s3.Server | None, tmp_path: Path) -> str:
    """The root of an empty lake, one a store."""
    return f"s3://{server.new_bucket()}/a lake" if server else str(tmp_path / "lake")


@pytest.fixture
def outsider(server: s3.Server | None, lake_root: str) -> Outsider:
    return S3Outsider(server, lake_root) if server else LocalOutsider(lake_root)


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
