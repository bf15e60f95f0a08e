"""A target of an adopter's own: one class, which needs nothing of Daystone but ``spark_lib.targets``. It publishes to a
file of SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from typing import Any

from spark_lib.targets import Day, Score, Series, asked, overtaken

_TABLES = """
CREATE TABLE IF NOT EXISTS ledger (lake, use_case, dataset, date, run, entity, PRIMARY KEY (lake, use_case, dataset, date));
CREATE TABLE IF NOT EXISTS score (lake, use_case, dataset, date, entity, event_time, key, row);
"""
_OF_DAY = "lake = ? AND use_case = ? AND dataset = ? AND date = ?"
_WAIT_SECONDS = 60


class SqliteTarget:
    """The file at ``path``. Superseded rows are deleted at once."""

    def __init__(self, path: str) -> None:
        self.path = path

    def publish(self, days: Iterable[Day]) -> None:
        given = list(days)
        with self._connected() as connection:
            before = {(day.series, day.date): self._run(connection, day) for day in given}
            for day in given:
                rows = list(_rows(day))  # before the transaction, because the whole file waits for it
                with self._transaction(connection):
                    now = self._run(connection, day)
                    if now == day.run:
                        continue
                    if now != before[day.series, day.date]:
                        raise overtaken(self.path, day, before[day.series, day.date], now)
                    self._replace(connection, day, rows)
                    before[day.series, day.date] = day.run

    def published(self, series: Series, first: date, last: date) -> dict[date, str]:
        query = "SELECT date, run FROM ledger WHERE lake = ? AND use_case = ? AND dataset = ? AND date BETWEEN ? AND ?"
        with self._connected() as connection:
            found = connection.execute(query, [*_key(series), str(first), str(last)])
            return {date.fromisoformat(day): run for day, run in found}

    def withdraw(self, series: Series, day: date) -> None:
        with self._connected() as connection, self._transaction(connection):
            self._remove(connection, series, day)

    def lookup(self, series: Series, entity: Mapping[str, Any]) -> Score | None:
        of_series = "lake = ? AND use_case = ? AND dataset = ?"
        newest = f"SELECT entity FROM ledger WHERE {of_series} ORDER BY date DESC"  # noqa: S608  # no value is in it
        rows = (
            f"SELECT row, run, score.date FROM score JOIN ledger USING (lake, use_case, dataset, date) WHERE {of_series} "  # noqa: S608  # no value is in it
            "AND score.entity = ? ORDER BY score.date DESC, event_time DESC, key DESC"
        )
        with self._connected() as connection:
            columns = connection.execute(newest, _key(series)).fetchone()
            if columns is None:
                return None
            wanted = json.dumps(list(asked(tuple(json.loads(columns[0])), entity).values()))
            found = connection.execute(rows, [*_key(series), wanted]).fetchone()
        if found is None:
            return None
        values = json.loads(found[0])
        return Score(values, found[1], date.fromisoformat(values["model_date"]), date.fromisoformat(found[2]))

    def check(self) -> None:
        with self._connected():
            pass

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
            connection.executescript(_TABLES)
            yield connection

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield

    def _run(self, connection: sqlite3.Connection, day: Day) -> str:
        query = f"SELECT run FROM ledger WHERE {_OF_DAY}"  # noqa: S608  # no value is in it
        found = connection.execute(query, [*_key(day.series), str(day.date)]).fetchone()
        return str(found[0]) if found else ""

    def _replace(self, connection: sqlite3.Connection, day: Day, rows: list[list[str]]) -> None:
        day.check_rows(len(rows))
        self._remove(connection, day.series, day.date)
        connection.executemany("INSERT INTO score VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        noted = [*_key(day.series), str(day.date), day.run, json.dumps(day.columns.entity)]
        connection.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", noted)

    def _remove(self, connection: sqlite3.Connection, series: Series, day: date) -> None:
        for table in ("score", "ledger"):
            connection.execute(f"DELETE FROM {table} WHERE {_OF_DAY}", [*_key(series), str(day)])  # noqa: S608  # no value is in it


def _key(series: Series) -> tuple[str, str, str]:
    return series.lake, series.use_case, series.dataset


def _rows(day: Day) -> Iterator[list[str]]:
    """The rows of a day as rows of the table ``score``."""
    for batch in day.batches():
        for row in batch.to_pylist():
            entity, key = ([row[name] for name in names] for names in (day.columns.entity, day.columns.key))
            values = [json.dumps(entity), str(row.get(day.columns.event_time)), json.dumps(key)]
            yield [*_key(day.series), str(day.date), *values, json.dumps(row, default=str)]
