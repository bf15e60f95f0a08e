"""What PostgreSQL alone has: tables, views, rights, names, connections."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from spark_lib.errors import BadData, ConfigurationError, DaystoneError, PublishError
from spark_lib.targets import Columns, Day
from spark_lib.targets.postgres import PostgresTarget
from tests.support import postgres
from tests.support.s3 import free_port
from tests.unit.targets.days import COLUMNS, at, day, latest, rows, series

pytestmark = pytest.mark.processes

OF = series("main")
TABLE = "credit_risk_predictions"
AGAIN = "run again: what is published already is not published twice"


@pytest.fixture
def connection(postgres_server: postgres.Server, database: str) -> Iterator[Any]:
    with postgres_server.connect(database) as connection:
        yield connection


@pytest.fixture
def where(postgres_server: postgres.Server, database: str) -> str:
    return f"PostgreSQL 127.0.0.1:{postgres_server.port}, database {database}"


@pytest.fixture
def target(postgres_server: postgres.Server, database: str) -> PostgresTarget:
    return PostgresTarget(postgres_server.conninfo(database))


def refusal(kind: type[DaystoneError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as refused:
        call()
    return str(refused.value)


def one_row(columns: Columns, values: dict[str, Any], types: dict[str, pa.DataType]) -> Day:
    """A day of one row of any columns."""
    schema = pa.schema(list(types.items()))
    batch = pa.RecordBatch.from_pylist([values], schema)
    return Day(OF, at(0), "run 1", columns, 1, lambda: iter([batch]))


def with_columns(given: Day, **more: str) -> Day:
    """A day with further columns of doubles, which are all 0.5."""
    columns = replace(given.columns, schema=(*given.columns.schema, *more.items()))

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in given.batches():
            halves = [pa.array([0.5] * batch.num_rows) for _ in more]
            yield pa.RecordBatch.from_arrays([*batch.columns, *halves], [*batch.schema.names, *more])

    return replace(given, columns=columns, batches=batches)


# Tables and views


def test_tables_and_views_have_comments_and_the_types_of_the_manifest(target: PostgresTarget, connection: Any) -> None:
    target.publish([day(OF, at(0), "run 0", rows(2)), day(OF, at(3), "run 1", rows(1))])

    kinds = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
        [TABLE],
    ).fetchall()
    comments = connection.execute(
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class WHERE obj_description(oid, 'pg_class') LIKE 'Day%' "
        "ORDER BY relname"
    ).fetchall()
    months = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [f"{TABLE}_rows"]
    )
    assert kinds == [
        ("date", "date"),
        ("daystone_lake", "text"),
        ("daystone_run", "text"),
        ("id", "text"),
        ("customer", "bigint"),
        ("applied", "timestamp with time zone"),
        ("score", "double precision"),
        ("model_date", "date"),
    ]
    assert comments == [
        (TABLE, "Daystone, predictions of credit_risk: the published rows"),
        (f"{TABLE}_latest", "Daystone, predictions of credit_risk: what the newest published day says of each entity"),
        (f"{TABLE}_rows", "Daystone, predictions of credit_risk: the rows of all publications; readers use the views"),
    ]
    assert sorted(months.fetchall()) == [(f"{TABLE}_rows_202601",), (f"{TABLE}_rows_202602",)]


def test_a_new_column_is_added_and_a_day_without_it_has_nulls_there(target: PostgresTarget, connection: Any) -> None:
    target.publish([day(OF, at(0), "run 0", rows(1))])
    target.publish([with_columns(day(OF, at(1), "run 1", rows(1)), margin="double")])
    target.publish([day(OF, at(2), "run 2", rows(1))])

    found = connection.execute(f"SELECT date, margin FROM {TABLE} ORDER BY date").fetchall()  # noqa: S608  # our own name
    newest = connection.execute(f"SELECT date, margin FROM {TABLE}_latest").fetchall()  # noqa: S608  # our own name
    assert found == [(at(0), None), (at(1), 0.5), (at(2), None)]
    assert newest == [(at(2), None)]


def test_another_type_is_refused_with_the_statement_that_helps(
    target: PostgresTarget, connection: Any, where: str
) -> None:
    target.publish([day(OF, at(0), "run 0", rows(1))])
    connection.execute(f"DROP VIEW {TABLE}_latest, {TABLE}; ALTER TABLE {TABLE}_rows ALTER COLUMN score TYPE real")
    again = day(OF, at(1), "run 1", rows(1))

    found = refusal(ConfigurationError, lambda: target.publish([again]))
    statement = (
        'DROP VIEW IF EXISTS "public"."credit_risk_predictions_latest", "public"."credit_risk_predictions"; '
        'ALTER TABLE "public"."credit_risk_predictions_rows" ALTER COLUMN "score" TYPE double precision'
    )
    connection.execute(statement)
    target.publish([again])

    assert found == (
        f"{where}, table public.{TABLE}_rows: wanted score double precision; found score real. Next: run this, and then "
        f"publish again, or publish to another table: {statement}"
    )
    assert target.published(OF, at(0), at(9)) == {at(0): "run 0", at(1): "run 1"}


def test_another_key_is_refused_with_the_statement_that_helps(
    target: PostgresTarget, connection: Any, where: str
) -> None:
    target.publish([day(OF, at(0), "run 0", rows(1))])
    again = replace(day(OF, at(1), "run 1", rows(1)), columns=replace(COLUMNS, entity=("id",)))

    found = refusal(ConfigurationError, lambda: target.publish([again]))
    statement = (
        'DROP VIEW IF EXISTS "public"."credit_risk_predictions_latest", "public"."credit_risk_predictions"; '
        'ALTER TABLE "public"."credit_risk_predictions_rows" DROP CONSTRAINT "credit_risk_predictions_rows_pkey", '
        'ADD PRIMARY KEY ("id", "date", "daystone_publication")'
    )
    connection.execute(statement)
    target.publish([again])

    assert found == (
        f"{where}, table public.{TABLE}_rows: wanted the primary key (id, date, daystone_publication); found (customer, "
        f"date, daystone_publication, id). Next: run this, and then publish again, or publish to another table: {statement}"
    )
    assert target.lookup(OF, {"id": "a0"})


def test_a_key_whose_column_is_not_there_is_refused(target: PostgresTarget, where: str) -> None:
    target.publish([day(OF, at(0), "run 0", rows(1))])
    again = with_columns(day(OF, at(1), "run 1", rows(1)), shop="double")
    again = replace(again, columns=replace(again.columns, entity=("shop",)))

    assert refusal(ConfigurationError, lambda: target.publish([again])) == (
        f"{where}, table public.{TABLE}_rows: wanted the columns shop of the key; found date, daystone_publication, id, "
        "customer, applied, score, model_date. Next: publish to another table"
    )


@pytest.mark.parametrize(
    ("made", "name", "wanted", "found"),
    [
        (
            f"CREATE VIEW {TABLE} AS SELECT 1 AS one",
            TABLE,
            "a view that Daystone made for predictions of credit_risk",
            "a view of somebody else, with the columns one",
        ),
        (
            f"CREATE TABLE {TABLE}_latest (one integer)",
            f"{TABLE}_latest",
            "a view that Daystone made for predictions of credit_risk",
            "a table of somebody else, with the columns one",
        ),
        (
            f"CREATE TABLE {TABLE}_rows (one integer)",
            f"{TABLE}_rows",
            "a table that is partitioned by date",
            "a table of somebody else, with the columns one",
        ),
        (
            f"CREATE TABLE {TABLE}_rows_202601 (one integer)",
            f"{TABLE}_rows_202601",
            f"a partition of {TABLE}_rows",
            "a table of somebody else, with the columns one",
        ),
        (
            "CREATE TABLE daystone_ledger (one integer)",
            "daystone_ledger",
            "a table of the columns lake, use_case, dataset, date, run, publication, rows, published_at",
            "a table of somebody else, with the columns one",
        ),
    ],
)
def test_what_somebody_else_made_with_our_name_is_refused_and_nothing_is_changed(
    target: PostgresTarget, connection: Any, where: str, made: str, name: str, wanted: str, found: str
) -> None:
    connection.execute(made)
    relations = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
    before = connection.execute(relations).fetchall()

    said = refusal(PublishError, lambda: target.publish([day(OF, at(0), "run 0", rows(1))]))

    assert said == (
        f"{where}, public.{name}: wanted {wanted}; found {found}. Next: publish to another schema or table, or let its "
        "owner rename it"
    )
    assert connection.execute(relations).fetchall() == before


def test_two_use_cases_with_one_table_are_refused(postgres_server: postgres.Server, database: str, where: str) -> None:
    target = PostgresTarget(postgres_server.conninfo(database), table="scores")
    target.publish([day(OF, at(0), "run 0", rows(1))])

    said = refusal(PublishError, lambda: target.publish([day(replace(OF, use_case="other"), at(0), "run 0", rows(1))]))

    assert said.startswith(
        f"{where}, public.scores: wanted a view that Daystone made for predictions of other; found a view"
    )


# Names


@pytest.mark.parametrize("odd", ["select", 'a"b', "100%", "%s", "{x}", "O'Brien; DROP TABLE x --", "größe", " ", "a.b"])
def test_odd_names_of_schema_table_and_columns_are_quoted(
    postgres_server: postgres.Server, database: str, connection: Any, odd: str
) -> None:
    from psycopg import sql

    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(odd)))
    pattern = odd.replace("{", "{{").replace("}", "}}")
    target = PostgresTarget(postgres_server.conninfo(database), schema=odd, table=pattern, keep=timedelta(0))
    columns = Columns(((odd, "string"), ("order", "bigint"), (f"{odd}2", "double")), (odd,), (odd,), "order")
    types = {odd: pa.string(), "order": pa.int64(), f"{odd}2": pa.float64()}
    value = "'; DROP TABLE x; -- %s"
    given = one_row(columns, {odd: value, "order": 1, f"{odd}2": 0.5}, types)

    target.check()
    target.publish([given])
    target.publish([replace(given, run="run 2")])

    found = target.lookup(OF, {odd: value})
    assert found is not None and found.values == {odd: value, "order": 1, f"{odd}2": 0.5}
    assert target.published(OF, at(0), at(0)) == {at(0): "run 2"}
    target.withdraw(OF, at(0))
    assert target.lookup(OF, {odd: value}) is None


def test_a_name_that_postgresql_would_cut_off_is_refused(
    postgres_server: postgres.Server, database: str, where: str
) -> None:
    target = PostgresTarget(postgres_server.conninfo(database), table="t" * 52)

    assert refusal(ConfigurationError, lambda: target.publish([day(OF, at(0), "run 0", rows(1))])) == (
        f"{where}: wanted a name of 1 to 63 bytes; found '{'t' * 52}_rows_999912'. Next: set a shorter schema or table, or "
        "name the column otherwise"
    )


def test_a_table_with_an_unknown_place_is_refused(postgres_server: postgres.Server, database: str, where: str) -> None:
    target = PostgresTarget(postgres_server.conninfo(database), table="{stage}")

    assert refusal(ConfigurationError, lambda: target.published(OF, at(0), at(0))) == (
        f"{where}: wanted a table with {{use_case}} and {{dataset}} and no other places; found '{{stage}}'. Next: correct "
        "the table of the target"
    )


def test_a_column_with_one_of_our_names_is_refused(target: PostgresTarget, where: str) -> None:
    given = with_columns(day(OF, at(0), "run 0", rows(1)), daystone_run="double")

    assert refusal(ConfigurationError, lambda: target.publish([given])) == (
        f"{where}, column 'daystone_run': wanted a name that is free; found one of Daystone's own. Next: name it otherwise"
    )


def test_a_type_that_postgresql_does_not_have_is_refused(target: PostgresTarget, where: str) -> None:
    given = with_columns(day(OF, at(0), "run 0", rows(1)), tags="map<string,int>")

    assert refusal(ConfigurationError, lambda: target.publish([given])) == (
        f"{where}, column 'tags': wanted a type that PostgreSQL has; found map<string,int>. Next: publish it as a text, or "
        "leave it out"
    )


def test_a_schema_that_is_not_there_is_refused_with_the_statement_that_makes_it(
    postgres_server: postgres.Server, database: str, where: str
) -> None:
    target = PostgresTarget(postgres_server.conninfo(database), schema="risk")

    assert refusal(ConfigurationError, lambda: target.publish([day(OF, at(0), "run 0", rows(1))])) == (
        f"{where}: wanted a schema 'risk'; found none. Next: make it: CREATE SCHEMA \"risk\""
    )
    assert refusal(ConfigurationError, target.check).startswith(f"{where}: wanted a schema 'risk'; found none")


# Rows


def test_superseded_rows_stay_for_the_stated_time_and_are_then_deleted(
    postgres_server: postgres.Server, database: str, connection: Any
) -> None:
    count = f"SELECT count(*) FROM {TABLE}_rows"  # noqa: S608  # our own name
    for_a_day = PostgresTarget(postgres_server.conninfo(database), keep=timedelta(days=1))
    at_once = PostgresTarget(postgres_server.conninfo(database), keep=timedelta(0))
    for_a_day.publish([day(OF, at(0), "run 0", rows(5))])
    for_a_day.publish([day(OF, at(0), "run 1", rows(3))])
    assert connection.execute(count).fetchone() == (8,)

    connection.execute("UPDATE daystone_superseded SET superseded_at = now() - interval '1 hour'")
    for_a_day.publish([])
    for_a_day.publish([day(OF, at(0), "run 1", rows(3))])
    assert connection.execute(count).fetchone() == (8,)

    at_once.publish([day(OF, at(0), "run 1", rows(3))])
    assert connection.execute(count).fetchone() == (3,)


@pytest.mark.parametrize(
    "lost", [f"TRUNCATE {TABLE}_rows", f"DROP VIEW {TABLE}_latest", "DROP TABLE daystone_ledger CASCADE"]
)
def test_what_the_database_has_lost_is_not_published_and_is_repaired(
    target: PostgresTarget, connection: Any, lost: str
) -> None:
    given = day(OF, at(0), "run 0", rows(2))
    target.publish([given])
    connection.execute(lost)
    assert target.published(OF, at(0), at(0)) == {}

    target.publish([given])

    assert target.published(OF, at(0), at(0)) == {at(0): "run 0"}
    assert latest(target, OF, 1) == ("a1", 0.5, at(0), "run 0")


def test_a_key_that_is_not_unique_is_refused_without_its_value(target: PostgresTarget, where: str) -> None:
    given = day(OF, at(0), "run 0", [*rows(1), *rows(1)])

    assert refusal(BadData, lambda: target.publish([given])) == (
        f"{where}, predictions of {at(0)}: wanted rows with a key, each key once a day; found duplicate key value violates "
        f'unique constraint "{TABLE}_rows_202601_pkey". Next: build the day again; it was not published'
    )


def test_a_text_that_postgresql_cannot_hold_is_refused(target: PostgresTarget, where: str) -> None:
    columns = Columns((("id", "string"),), ("id",), ("id",))

    said = refusal(BadData, lambda: target.publish([one_row(columns, {"id": "a\0b"}, {"id": pa.string()})]))

    assert said == (
        f"{where}, predictions of {at(0)}: wanted values that PostgreSQL can hold; found invalid byte sequence for encoding "
        '"UTF8": 0x00. Next: correct them; the day was not published'
    )


def test_a_look_up_by_a_value_of_another_type_is_refused(target: PostgresTarget) -> None:
    target.publish([day(OF, at(0), "run 0", rows(1))])

    assert "invalid input syntax for type bigint" in refusal(
        DaystoneError, lambda: target.lookup(OF, {"customer": "a customer"})
    )


# Connections and rights


def test_a_role_without_rights_is_told_what_it_needs(
    postgres_server: postgres.Server, database: str, connection: Any, where: str
) -> None:
    role = postgres_server.new_role()
    connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    target = PostgresTarget(postgres_server.conninfo(database, role))
    grants = (
        "let an owner grant USAGE and CREATE on the schema, and SELECT, INSERT and DELETE on its tables, or make the role "
        "an owner of them"
    )

    without_tables = refusal(PublishError, lambda: target.publish([day(OF, at(0), "run 0", rows(1))]))
    PostgresTarget(postgres_server.conninfo(database)).publish([day(OF, at(0), "run 0", rows(1))])
    with_tables = refusal(PublishError, lambda: target.publish([day(OF, at(0), "run 0", rows(1))]))

    assert without_tables == (
        f"{where}: wanted the rights to publish; found permission denied for schema public. Next: {grants}"
    )
    assert with_tables == (
        f"{where}: wanted the rights to publish; found permission denied for table daystone_ledger. Next: {grants}"
    )
    assert refusal(PublishError, target.check) == (
        f"{where}: wanted the rights USAGE and CREATE on the schema public; found a role without them. Next: let its owner "
        f'grant them: GRANT USAGE, CREATE ON SCHEMA "public" TO "{role}"'
    )


def test_a_role_with_the_rights_of_rows_alone_publishes_into_tables_that_are_there(
    postgres_server: postgres.Server, database: str, connection: Any
) -> None:
    PostgresTarget(postgres_server.conninfo(database)).publish([day(OF, at(0), "run 0", rows(1))])
    role = postgres_server.new_role()
    connection.execute(f"GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    target = PostgresTarget(postgres_server.conninfo(database, role), keep=timedelta(0))

    target.publish([day(OF, at(0), "run 1", rows(2)), day(OF, at(1), "run 2", rows(1))])
    target.withdraw(OF, at(1))

    assert target.published(OF, at(0), at(1)) == {at(0): "run 1"}


def test_a_server_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    target = PostgresTarget(f"host=127.0.0.1 port={port} dbname=risk")

    said = refusal(PublishError, target.check)

    assert said.startswith(f"PostgreSQL 127.0.0.1:{port}, database risk: wanted a server that lets us in; found ")
    assert said.endswith("check host, port, user and password, and that the server runs; then run again")


def test_a_server_that_does_not_answer_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        target = PostgresTarget(f"host=127.0.0.1 port={port} dbname=risk connect_timeout=2")

        assert refusal(PublishError, lambda: target.published(OF, at(0), at(0))) == (
            f"PostgreSQL 127.0.0.1:{port}, database risk: wanted a server that lets us in; found connection timeout expired. "
            "Next: check host, port, user and password, and that the server runs; then run again"
        )


def test_a_connection_that_is_cut_in_the_middle_of_a_day_leaves_the_day_as_it_was(
    target: PostgresTarget, connection: Any, where: str
) -> None:
    first = day(OF, at(0), "run 0", rows(2))
    second = day(OF, at(0), "run 1", rows(3))
    target.publish([first])

    def cut() -> Iterator[pa.RecordBatch]:
        yield from second.batches()
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'daystone'"
        connection.execute(ended)

    said = refusal(PublishError, lambda: target.publish([replace(second, batches=cut)]))
    between = target.published(OF, at(0), at(0))
    target.publish([second])

    assert said.startswith(f"{where}, predictions of {at(0)}: wanted an answer; found ") and said.endswith(AGAIN)
    assert between == {at(0): "run 0"}
    assert target.published(OF, at(0), at(0)) == {at(0): "run 1"}


def test_a_password_in_the_connection_string_is_refused_and_not_repeated() -> None:
    for conninfo in ("host=127.0.0.1 password=hunter2", "postgresql://writer:hunter2@127.0.0.1/risk"):
        assert refusal(ConfigurationError, PostgresTarget(conninfo).check) == (
            "PostgreSQL: wanted a connection string without a password; found one with a password. Next: put the password "
            "into the file of PGPASSFILE or into PGPASSWORD"
        )


def test_a_connection_string_that_cannot_be_read_is_not_repeated() -> None:
    assert refusal(ConfigurationError, PostgresTarget("host=127.0.0.1 hunter2").check) == (
        "PostgreSQL: wanted a connection string or a URL of libpq; found one that libpq cannot read. Next: write it as in "
        "`host=db.example port=5432 dbname=risk user=writer`"
    )


def test_a_wrong_password_is_not_repeated(target: PostgresTarget, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")

    said = refusal(PublishError, target.check)

    assert said.startswith(f"{where}: wanted a server that lets us in; found ")
    assert 'password authentication failed for user "chief"' in said and "hunter2" not in said


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    assert refusal(ConfigurationError, PostgresTarget("host=127.0.0.1").check) == (
        "PostgreSQL: wanted psycopg; found import of psycopg halted; None in sys.modules. Next: install it: pip install "
        '"daystone[postgres]"'
    )


def test_a_server_that_cannot_write_any_further_leaves_the_day_absent_and_the_others_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where its disk is full: a table may grow to 17 MiB, which is more than a file of the server's log has."""
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    with postgres.server(largest_file=17 * 2**20) as small:
        database = small.new_database()
        target = PostgresTarget(small.conninfo(database))
        target.publish([day(OF, at(0), "run 0", rows(3))])

        message = refusal(PublishError, lambda: target.publish([day(OF, at(1), "run 1", rows(400_000), batch=100_000)]))

        assert "could not extend file" in message
        assert target.published(OF, at(0), at(1)) == {at(0): "run 0"}
        with small.connect(database) as connection:
            connection.execute("VACUUM")  # makes room
        target.publish([day(OF, at(1), "run 2", rows(3))])
        assert target.published(OF, at(0), at(1)) == {at(0): "run 0", at(1): "run 2"}
