"""``daystone sql`` answers, or says in one line and by its exit code why it does not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from pyspark.sql import SparkSession

from tasks.cli import sql
from tasks.cli.main import main
from tests.spark.lakes import AFTER, DAY, REFERENCE, Chain
from tests.unit.stubs.stublake import configure

Asked = Callable[..., Result]


@pytest.fixture
def asked(spark: SparkSession, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    # With the numbers of partitions given, those of the session stay, which other tests find as they were.
    given = '{"spark.sql.files.minPartitionNum": "1"}'
    configure(
        monkeypatch,
        f"[lake]\nroot = {chain.lake.root}\n[pipeline]\nuse_case = {REFERENCE}\nfirst_date = 2026-01-01\n"
        f"[spark]\nship_code = false\nshuffle_partitions = 2\nconf = {given}\n",
    )
    yield lambda *arguments: CliRunner().invoke(main, ["sql", *map(str, arguments)])
    for table in spark.catalog.listTables():
        spark.catalog.dropTempView(table.name)


def test_a_query_is_answered_in_every_form(asked: Asked, chain: Chain) -> None:
    query = "SELECT date, count(*) AS parcels FROM Features GROUP BY date ORDER BY date;"
    rows = {str(partition.date): partition.manifest.rows() for partition in (*chain.window, chain.to_score)}

    table, lines, document = (asked(query, "--format", form) for form in ("table", "csv", "json"))

    assert table.exit_code == lines.exit_code == document.exit_code == 0, table.output + lines.output
    assert table.stdout.splitlines()[-1].split() == [str(AFTER), "500"]
    found = list(csv.reader(io.StringIO(lines.stdout)))
    assert found[0] == ["date", "parcels"]
    assert {day: int(count) for day, count in found[1:]} == rows
    assert {row["date"]: row["parcels"] for row in json.loads(document.stdout)} == rows


def test_only_days_of_the_range_are_seen(asked: Asked) -> None:
    result = asked("SELECT DISTINCT date FROM features", "--from", DAY, "--to", AFTER, "--format", "csv")

    assert result.stdout == f"date\n{AFTER}\n"


def test_a_table_says_that_there_are_more_rows(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "MOST_SHOWN", 2)

    result = asked("SELECT id FROM range(9)")

    assert result.stdout == "id\n 0\n 1\n"
    assert result.stderr == "the first 2 rows; --format csv has all\n"


def test_a_view_without_a_published_day_is_named(asked: Asked) -> None:
    result = asked("SELECT * FROM released")

    assert result.exit_code == 48
    assert result.stderr == (
        "Error: the query, line 1, position 15: wanted a view released; found no day of predictions is published. Next: build a "
        "day of it, or ask for another view\n"
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC 1", "the query, line 1, position 1: wanted a query"),
        ("SELECT colour FROM features", "the query, line 1, position 8: wanted a query"),
        ("SELECT earlier / 0 FROM features", "the query, line 1, position 8: wanted a query"),
        ("DROP VIEW features", "the query, line 1, position 1: wanted a query"),
    ],
)
def test_a_query_that_cannot_be_answered_is_one_line(asked: Asked, query: str, said: str) -> None:
    result = asked(query)

    assert (result.exit_code, result.stdout) == (48, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"Error: {said}")
