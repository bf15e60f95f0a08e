"""PostgreSQL as a target: a day is one transaction of rows and ledger."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from spark_lib.errors import ConfigurationError, DaystoneError, PublishError
from spark_lib.targets import binary_rows
from spark_lib.targets.postgres.connection import Server, told
from spark_lib.targets.postgres.tables import (
    LAKE,
    LEDGER,
    PUBLICATION,
    RUN,
    SUPERSEDED,
    Tables,
    check_name,
    entity_of,
    lock,
)
from spark_lib.targets.target import MODEL_DATE, Day, Score, Series, asked, overtaken

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

logger = logging.getLogger("daystone.targets")

#: How long a process waits for another one that publishes the same day.
_DAY_TIMEOUT = "30min"
#: Rows are sorted in chunks of this size, because an index takes sorted rows more than twice as fast.
_SORTED_BYTES = 128 * 1024 * 1024


class PostgresTarget:
    """A database. ``conninfo`` is libpq's connection string or URL, without a password; ``schema`` has to be there.
    ``table`` is a pattern of the names of the views, in which ``{use_case}`` and ``{dataset}`` stand for those.
    Superseded rows are deleted once they have been superseded for longer than ``keep``."""

    def __init__(
        self,
        conninfo: str = "",
        *,
        schema: str = "public",
        table: str = "{use_case}_{dataset}",
        keep: timedelta = timedelta(days=7),
    ) -> None:
        self._server = Server(conninfo)
        self._schema = schema
        self._table = table
        self._keep = keep

    def publish(self, days: Iterable[Day]) -> None:
        given = list(days)
        with self._server.connected() as connection:
            # What stands for each day now. Where that changes before the day's turn, another process was there.
            before = {
                (day.series, day.date): self._standing(connection, self._tables(day.series), day.date) for day in given
            }
            for day in given:
                self._publish(connection, day, before[day.series, day.date])
                before[day.series, day.date] = day.run
            for series in dict.fromkeys(day.series for day in given):
                self._remove_superseded(connection, self._tables(series))

    def published(self, series: Series, first: date, last: date) -> dict[date, str]:
        tables = self._tables(series)
        with self._server.connected() as connection:
            return {day: run for day, (run, _) in self._held(connection, tables, first, last).items()}

    def withdraw(self, series: Series, day: date) -> None:
        tables = self._tables(series)
        with self._server.connected() as connection:
            if not {LEDGER, SUPERSEDED} <= tables.found(connection).keys():
                return
            with connection.transaction():
                self._lock(connection, series, day)
                self._supersede(connection, tables, day)

    def lookup(self, series: Series, entity: Mapping[str, Any]) -> Score | None:
        from psycopg.rows import dict_row

        tables = self._tables(series)
        with self._server.connected() as connection:
            there = tables.found(connection)
            if not {LEDGER, tables.rows, tables.latest} <= there.keys():
                return None
            values = {LAKE: series.lake} | asked(entity_of(there[tables.rows]), entity)
            # A parameter without a type, as a text is sent, is taken for a value of the column's type.
            conditions = " AND ".join(f"{{c{at}}} = %s" for at in range(len(values)))
            query = tables.query(
                f"SELECT * FROM {{latest}} WHERE {conditions}",  # noqa: S608  # places for quoted names and values
                **{f"c{at}": name for at, name in enumerate(values)},
            )
            with connection.cursor(row_factory=dict_row, binary=True) as cursor:
                row = cursor.execute(query, [str(value) for value in values.values()]).fetchone()
        if row is None:
            return None
        day, run = row.pop("date"), row.pop(RUN)
        del row[LAKE]
        return Score(row, run, row.get(MODEL_DATE), day)

    def check(self) -> None:
        check_name(self._server.where, self._schema)
        with self._server.connected() as connection:
            found = connection.execute(
                "SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE'), "
                'format(\'GRANT USAGE, CREATE ON SCHEMA "%%s" TO "%%s"\', nspname, current_user) '
                "FROM pg_namespace WHERE nspname = %s",
                [self._schema],
            ).fetchone()
            if found is None:
                raise ConfigurationError(
                    self._server.where, f"a schema {self._schema!r}", "none", "make it, or set another schema"
                )
            if not found[0]:
                raise PublishError(
                    self._server.where,
                    f"the rights USAGE and CREATE on the schema {self._schema}",
                    "a role without them",
                    f"let its owner grant them: {found[1]}",
                )

    def _tables(self, series: Series) -> Tables:
        try:
            name = self._table.format(use_case=series.use_case, dataset=series.dataset)
        except (KeyError, IndexError, ValueError):
            raise ConfigurationError(
                self._server.where,
                "a table with {use_case} and {dataset} and no other places",
                repr(self._table),
                "correct the table of the target",
            ) from None
        return Tables(self._server.where, self._schema, series, name)

    def _publish(self, connection: psycopg.Connection[Any], day: Day, before: str) -> None:
        tables = self._tables(day.series)
        tables.prepare(connection, day.columns, day.date)
        with told(f"{self._server.where}, {day}"), connection.transaction():
            self._lock(connection, day.series, day.date)
            if self._held(connection, tables, day.date, day.date).get(day.date, ("", 0))[0] == day.run:
                return
            now = self._standing(connection, tables, day.date)
            if now not in (before, day.run):
                raise overtaken(self._server.where, day, before, now)
            publication = secrets.randbits(63)
            self._load(connection, tables, day, publication)
            self._supersede(connection, tables, day.date)
            connection.execute(
                tables.query(
                    "INSERT INTO {ledger} (lake, use_case, dataset, date, run, publication, rows) "
                    "VALUES (%s, %s, %s, %s, %s, %s, %s)"
                ),
                [*_key(day.series), day.date, day.run, publication, day.rows],
            )

    def _load(self, connection: psycopg.Connection[Any], tables: Tables, day: Day, publication: int) -> None:
        from psycopg import sql

        names = sql.SQL(", ").join(map(sql.Identifier, tables.wanted(day.columns)))
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            sql.Identifier(tables.schema, tables.rows), names
        )
        constants = [binary_rows.day(day.date), publication.to_bytes(8, "big")]
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                copy.write(binary_rows.HEADER)
                for batch in _sorted(day):
                    copy.write(binary_rows.rows_of(batch, constants))
                copy.write(binary_rows.TRAILER)
            day.check_rows(cursor.rowcount)

    def _lock(self, connection: psycopg.Connection[Any], series: Series, day: date) -> None:
        """Let no other process change the day before this transaction ends."""
        connection.execute("SELECT set_config('lock_timeout', %s, true)", [_DAY_TIMEOUT])
        lock(connection, repr((self._schema, *_key(series), str(day))))

    def _standing(self, connection: psycopg.Connection[Any], tables: Tables, day: date) -> str:
        """The run that the ledger names, or an empty text."""
        if LEDGER not in tables.found(connection):
            return ""
        row = connection.execute(
            tables.query("SELECT run FROM {ledger} WHERE (lake, use_case, dataset, date) = (%s, %s, %s, %s)"),
            [*_key(tables.series), day],
        ).fetchone()
        return row[0] if row else ""

    def _held(
        self, connection: psycopg.Connection[Any], tables: Tables, first: date, last: date
    ) -> dict[date, tuple[str, int]]:
        """Run and publication of the days of which both the ledger and the rows are there. Nothing is held where a view
        is missing."""
        if not {LEDGER, tables.rows, tables.name, tables.latest} <= tables.found(connection).keys():
            return {}
        rows = connection.execute(
            # LIMIT keeps the planner from joining all rows.
            tables.query(
                "SELECT l.date, l.run, l.publication FROM {ledger} l LEFT JOIN LATERAL (SELECT true AS there FROM {rows} r "
                "WHERE r.date = l.date AND r.{publication} = l.publication LIMIT 1) r ON true "
                "WHERE (lake, use_case, dataset) = (%s, %s, %s) AND date BETWEEN %s AND %s AND (r.there OR l.rows = 0) "
                "ORDER BY l.date",
                publication=PUBLICATION,
            ),
            [*_key(tables.series), first, last],
        ).fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    def _supersede(self, connection: psycopg.Connection[Any], tables: Tables, day: date) -> None:
        """Let the ledger say nothing of a day, and note that its rows may be deleted later."""
        connection.execute(
            tables.query(
                "WITH gone AS (DELETE FROM {ledger} WHERE (lake, use_case, dataset, date) = (%s, %s, %s, %s) RETURNING *) "
                "INSERT INTO {superseded} (publication, lake, use_case, dataset, date, run) "
                "SELECT publication, lake, use_case, dataset, date, run FROM gone"
            ),
            [*_key(tables.series), day],
        )

    def _remove_superseded(self, connection: psycopg.Connection[Any], tables: Tables) -> None:
        """Delete rows that have been superseded for long enough. Where this fails, the next publication does it: the days
        are published."""
        try:
            with told(self._server.where):
                while self._remove_one(connection, tables):
                    pass
        except DaystoneError as error:
            logger.warning("superseded rows stay until the next publication: %s", error)

    def _remove_one(self, connection: psycopg.Connection[Any], tables: Tables) -> bool:
        with connection.transaction():
            row = connection.execute(
                tables.query(
                    "DELETE FROM {superseded} WHERE publication = (SELECT publication FROM {superseded} "
                    "WHERE (lake, use_case, dataset) = (%s, %s, %s) AND superseded_at <= now() - %s "
                    "LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING date, publication"
                ),
                [*_key(tables.series), self._keep],
            ).fetchone()
            if row is not None:
                connection.execute(
                    tables.query("DELETE FROM {rows} WHERE date = %s AND {publication} = %s", publication=PUBLICATION),
                    row,
                )
            return row is not None


def _key(series: Series) -> tuple[str, str, str]:
    return series.lake, series.use_case, series.dataset


def _sorted(day: Day) -> Iterator[pa.RecordBatch]:
    """The rows of a day in batches, sorted by entity and key within each chunk that fits into memory."""
    chunk: list[pa.RecordBatch] = []
    size = 0
    for batch in day.batches():
        chunk.append(batch)
        size += batch.nbytes
        if size >= _SORTED_BYTES:
            yield from _in_order(day, chunk)
            chunk, size = [], 0
    yield from _in_order(day, chunk)


def _in_order(day: Day, chunk: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if chunk:
        by = [(name, "ascending") for name in dict.fromkeys((*day.columns.entity, *day.columns.key))]
        table = pa.Table.from_batches(chunk).sort_by(by).combine_chunks()
        yield from table.to_batches(max_chunksize=binary_rows.ROWS_AT_ONCE)
