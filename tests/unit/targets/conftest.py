"""Fixtures of the targets. The contract suite runs on every target that ``TARGETS`` names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spark_lib.lake.stores import open_store
from spark_lib.targets import Target
from spark_lib.targets.csv import CsvTarget
from spark_lib.targets.postgres import PostgresTarget
from spark_lib.targets.redis import RedisTarget
from tests.support import redis
from tests.support.published import CsvReader, PostgresReader, RedisReader, SqliteReader
from tests.unit.targets.days import Reader
from tests.unit.targets.own import SqliteTarget

TARGETS = [
    "csv",
    "own",
    pytest.param("csv on S3", marks=pytest.mark.processes),
    pytest.param("postgres", marks=pytest.mark.processes),
    pytest.param("redis", marks=pytest.mark.processes),
]
_lakes = itertools.count()


@dataclass(frozen=True)
class Place:
    """Where a target publishes to: the directory, the connection string or the URL."""

    kind: str
    at: str

    def target(self) -> Target:
        if self.kind == "redis":
            return RedisTarget(self.at)
        if self.kind == "own":
            return SqliteTarget(self.at)
        return PostgresTarget(self.at) if self.kind == "postgres" else CsvTarget(self.at)


@pytest.fixture(params=TARGETS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "postgres":
        database = request.getfixturevalue("database")
        return Place("postgres", request.getfixturevalue("postgres_server").conninfo(database))
    if request.param == "redis":
        request.getfixturevalue("monkeypatch").setenv("REDISCLI_AUTH", redis.PASSWORD)
        return Place("redis", request.getfixturevalue("redis_server").url())
    if request.param == "own":
        return Place("own", str(tmp_path / "scores.sqlite"))
    if request.param == "csv":
        return Place("csv", str(tmp_path / "out"))
    server = request.getfixturevalue("versitygw")
    server.reach(request.getfixturevalue("monkeypatch"))
    return Place("csv", f"s3://{server.new_bucket()}/out")


@pytest.fixture
def target(place: Place) -> Target:
    return place.target()


@pytest.fixture
def reader(place: Place, request: pytest.FixtureRequest) -> Iterator[Reader]:
    if place.kind == "postgres":
        server = request.getfixturevalue("postgres_server")
        with server.connect(request.getfixturevalue("database")) as connection:
            yield PostgresReader(connection)
    elif place.kind == "own":
        yield SqliteReader(place.at)
    elif place.kind == "redis":
        import redis as client

        yield RedisReader(client.Redis.from_url(place.at, password=redis.PASSWORD))
    else:
        yield CsvReader(open_store(place.at))


@pytest.fixture
def lake() -> str:
    """The name of a lake that nobody else uses."""
    return f"lake {next(_lakes)}"
