"""Fixtures of the targets. The contract suite runs on every target that ``TARGETS`` names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from spark_lib.targets import Series, Target
from spark_lib.targets.postgres import PostgresTarget
from tests.support import postgres
from tests.unit.targets.days import Reader

TARGETS = [pytest.param("postgres", marks=pytest.mark.processes)]
_lakes = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.server() as server:
        yield server


@pytest.fixture
def database(postgres_server: postgres.Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, whose password this process and its children know as a user's would."""
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    return postgres_server.new_database()


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


@pytest.fixture(params=TARGETS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def target(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    server = request.getfixturevalue("postgres_server")
    return PostgresTarget(server.conninfo(request.getfixturevalue("database")))


@pytest.fixture
def reader(kind: str, target: Target, request: pytest.FixtureRequest) -> Iterator[Reader]:
    server = request.getfixturevalue("postgres_server")
    with server.connect(request.getfixturevalue("database")) as connection:
        yield PostgresReader(connection)


@pytest.fixture
def lake() -> str:
    """The name of a lake that nobody else uses."""
    return f"lake {next(_lakes)}"
