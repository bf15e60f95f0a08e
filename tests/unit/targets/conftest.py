"""Fixtures of the targets. The contract suite runs on every target that ``TARGETS`` names."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from spark_lib.lake.stores import open_store
from spark_lib.lake.stores.store import Store
from spark_lib.targets import Series, Target
from spark_lib.targets.csv import CsvTarget
from spark_lib.targets.postgres import PostgresTarget
from spark_lib.targets.redis import RedisTarget
from tests.support import redis
from tests.support.patience import PATIENCE
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


@dataclass
class PostgresReader:
    connection: Any

    def counts(self, of: Series) -> dict[date, int]:
        from psycopg import sql

        table = f"{of.use_case}_{of.dataset}"
        if self.connection.execute("SELECT to_regclass(%s)", [table]).fetchone() == (None,):
            return {}
        query = sql.SQL("SELECT date, count(*) FROM {} WHERE daystone_lake = %s GROUP BY date")
        return dict(self.connection.execute(query.format(sql.Identifier(table)), [of.lake]).fetchall())


@dataclass
class CsvReader:
    """Reads the files that are there, and not the ledger."""

    store: Store

    def counts(self, of: Series) -> dict[date, int]:
        found = {}
        for entry in self.store.list(f"{quote(of.lake)}/{of.use_case}/{of.dataset}", "2", "3"):
            content = self.store.read(entry.key)
            rows = content[0].count(b"\n") - 1 if content else 0
            if rows:
                found[date.fromisoformat(entry.key.rpartition("/")[2].removesuffix(".csv"))] = rows
        return found


@dataclass
class SqliteReader:
    path: str

    def counts(self, of: Series) -> dict[date, int]:
        with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'score'").fetchone():
                return {}
            query = "SELECT date, count(*) FROM score WHERE lake = ? GROUP BY date"
            return {date.fromisoformat(day): count for day, count in connection.execute(query, [of.lake])}


@dataclass
class RedisReader:
    """Counts in one command what the ledger names, as a look-up would find it."""

    client: Any

    def counts(self, of: Series) -> dict[date, int]:
        prefix = f'daystone:{{["{of.lake}", "{of.use_case}", "{of.dataset}"]}}:'
        found = self.client.eval(_COUNTED, 1, f"{prefix}days", prefix)
        return {date.fromisoformat(day.decode()): count for day, count in found if count}


_COUNTED = """
local found = {}
for _, day in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local date, publication, buckets = string.match(day, '^([^|]*)|([^|]*)|([^|]*)|')
    local count = 0
    for bucket = 0, tonumber(buckets) - 1 do
        count = count + redis.call('HLEN', ARGV[1] .. publication .. ':' .. bucket)
    end
    table.insert(found, {date, count})
end
return found
"""


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
