"""SQL views show exactly the rows that manifests name, and queries of them are answered or refused in one line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import spark_lib
from spark_lib.errors import DamagedPartition, QueryError
from spark_lib.frames import catalog, views
from spark_lib.lake import Attempt, Documents, Lake, Partition, Rows
from spark_lib.lake.tables import arrow_schema
from spark_lib.release.decision import Decisions
from spark_lib.release.document import RELEASE, Release
from tests.spark.lakes import (
    AFTER,
    BEFORE,
    CASE,
    DAY,
    REFERENCE,
    Chain,
    break_page,
    featured,
    publish,
    publish_features,
)


@pytest.fixture
def own(spark: SparkSession) -> Iterator[SparkSession]:
    """A session with views of its own."""
    return spark.newSession()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), CASE)


def names(session: SparkSession) -> set[str]:
    return {table.name for table in session.catalog.listTables()}


def publish_predictions(lake: Lake, day: date, *parcels: str, rebuild: bool = False) -> Partition:
    """A day of predictions, which have a score besides the parcel."""
    schema = (("parcel", "string"), ("score", "double"))
    rows = [{"parcel": name, "score": 0.25} for name in parcels]
    with Attempt(lake, "predictions", [day], stage="Test", rebuild=rebuild) as attempt:
        Path(attempt.destination).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, arrow_schema(schema)), f"{attempt.destination}/part-0.parquet")
        attempt.commit(Rows({"": len(rows)}, schema))
    return lake.require("predictions", day)[0]


def release(lake: Lake, predictions: Partition, in_force: bool = True) -> None:
    found = Release(
        predictions.date, predictions.manifest.run, (), Decisions(), predictions.manifest if in_force else None
    )
    publish(lake, "release", predictions.date, lambda url: Documents({RELEASE: found.to_json()}, found.figures()))


def test_a_view_has_the_rows_of_read(own: SparkSession, chain: Chain) -> None:
    made = spark_lib.views(own, chain.lake.root, REFERENCE, last=BEFORE, only=["features"])

    days = made.views["features"].days
    read = spark_lib.read(own, chain.lake.root, REFERENCE, "features", days[0], BEFORE)
    viewed = own.table("features")
    assert (viewed.columns, viewed.dtypes) == (read.columns, read.dtypes)
    assert viewed.exceptAll(read).count() == read.exceptAll(viewed).count() == 0
    assert viewed.count() == sum(partition.manifest.rows() for partition in chain.window)


def test_all_views_that_have_a_day_are_made(own: SparkSession, chain: Chain) -> None:
    made = spark_lib.views(own, chain.lake.root, REFERENCE)

    assert names(own) == {"features", "balanced"}
    assert set(made.left_out) == {"predictions", "released", "shadow", "serving_features", "snapshots"}


def test_rows_of_a_dataset_of_sections_say_which_is_theirs(own: SparkSession, chain: Chain) -> None:
    spark_lib.views(own, chain.lake.root, REFERENCE, only=["balanced"])

    found = own.sql("SELECT section, date, count(*) AS rows FROM balanced GROUP BY section, date").collect()

    sections = chain.balanced.manifest.sections
    assert {(row.section, row.date): row.rows for row in found} == {
        (section, DAY): chain.balanced.manifest.rows(section) for section in sections
    }


def test_released_is_what_read_gives_of_released_predictions(own: SparkSession, lake: Lake) -> None:
    release(lake, publish_predictions(lake, BEFORE, "a", "b"))
    publish_predictions(lake, BEFORE, "other", rebuild=True)
    release(lake, publish_predictions(lake, DAY, "c"))
    release(lake, publish_predictions(lake, AFTER, "held"), in_force=False)

    made = spark_lib.views(own, lake.root, REFERENCE)

    read = spark_lib.read(own, lake.root, REFERENCE, "predictions", BEFORE, DAY, released=True)
    viewed = own.table("released")
    assert viewed.dtypes == read.dtypes
    assert sorted(viewed.collect()) == sorted(read.collect())
    assert sorted(row.parcel for row in viewed.collect()) == ["a", "b", "c"]
    assert sorted(row.parcel for row in own.table("predictions").collect()) == ["c", "held", "other"]
    assert list(made.held) == [AFTER]


def test_a_column_of_later_days_is_null_in_earlier_ones(own: SparkSession, lake: Lake) -> None:
    publish_features(lake, BEFORE, [featured("a")])
    publish_features(lake, DAY, [featured("b", colour="red")], colour="string")

    spark_lib.views(own, lake.root, REFERENCE)

    found = own.sql("SELECT parcel, colour FROM features").collect()
    assert {row.parcel: row.colour for row in found} == {"a": None, "b": "red"}


def test_a_view_without_a_day_has_no_row_and_the_columns_of_others(own: SparkSession, lake: Lake) -> None:
    publish_features(lake, DAY, [featured("a")])
    spark_lib.views(own, lake.root, REFERENCE)
    columns = own.table("features").columns

    spark_lib.views(own, lake.root, REFERENCE, last=BEFORE)

    assert own.table("features").columns == columns
    assert own.table("features").collect() == []


def test_a_view_of_another_lake_does_not_stay_behind(own: SparkSession, lake: Lake, chain: Chain) -> None:
    spark_lib.views(own, chain.lake.root, REFERENCE)

    made = spark_lib.views(own, lake.root, REFERENCE)

    assert names(own) == set()
    assert set(made.left_out) == set(catalog.DATASETS)


def test_a_query_of_one_day_reads_the_files_of_that_day_alone(own: SparkSession, lake: Lake) -> None:
    publish_features(lake, BEFORE, [featured("a")])
    spoilt = publish_features(lake, DAY, [featured("b")])
    break_page(spoilt.files()[0])

    spark_lib.views(own, lake.root, REFERENCE)

    where = f"FROM features WHERE date = DATE'{BEFORE}'"
    assert [row.parcel for row in own.sql(f"SELECT parcel {where}").collect()] == ["a"]


def test_a_file_that_cannot_be_read_is_a_damaged_day_and_no_fault_of_the_query(own: SparkSession, lake: Lake) -> None:
    break_page(publish_features(lake, DAY, [featured("a")]).files()[0])
    spark_lib.views(own, lake.root, REFERENCE)

    with pytest.raises(DamagedPartition), views.failures_of_queries_said():
        views.query(own, "SELECT * FROM features").collect()


IN_SPARKS_SQL = "Next: correct the query; it is in Spark's SQL"
WANTED = "wanted a query, such as SELECT ... FROM predictions; found"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "SELEC 1",
            f"the query, line 1, position 1: {WANTED} Syntax error at or near 'SELEC'. {IN_SPARKS_SQL}",
        ),
        (
            "SELECT 1\nFROM (SELECT",
            f"the query, line 2, position 13: {WANTED} Syntax error at or near end of input. {IN_SPARKS_SQL}",
        ),
        ("", f"the query, line 1, position 1: {WANTED} Syntax error, unexpected empty statement. {IN_SPARKS_SQL}"),
        (
            "SELECT 1; DROP TABLE features",
            f"the query, line 1, position 11: {WANTED} Syntax error at or near 'DROP': extra input 'DROP'. "
            f"{IN_SPARKS_SQL}",
        ),
        (
            "SELECT colour FROM range(1)",
            f"the query, line 1, position 8: {WANTED} A column, variable, or function parameter with name `colour` cannot be "
            "resolved. Did you mean one of the following? [`id`]. Next: correct the name: `daystone sql` without a query lists "
            "the columns of each view",
        ),
        (
            "SELECT * FROM nowhere",
            f"the query, line 1, position 15: {WANTED} The table or view `nowhere` cannot be found. Verify the spelling and "
            "correctness of the schema and catalog. Next: name a view that is there: `daystone sql` without a query lists them",
        ),
        (
            "SELECT 1 / 0",
            f"the query, line 1, position 8: {WANTED} Division by zero. Use `try_divide` to tolerate divisor being 0 and "
            'return NULL instead. If necessary set "spark.sql.ansi.enabled" to "false" to bypass this error. '
            f"{IN_SPARKS_SQL}",
        ),
        ("SELECT raise_error('no')", f"the query: {WANTED} no. {IN_SPARKS_SQL}"),
    ],
)
def test_a_query_that_spark_refuses_is_one_line_with_its_place(own: SparkSession, text: str, message: str) -> None:
    with pytest.raises(QueryError) as refused, views.failures_of_queries_said():
        views.query(own, text).toArrow()

    assert str(refused.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "DROP VIEW features",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO features SELECT * FROM features",
        "FROM features INSERT INTO other SELECT *",
        "SET spark.sql.ansi.enabled = false",
        "CACHE TABLE features",
        "EXPLAIN SELECT 1",
    ],
)
def test_a_statement_other_than_a_query_is_refused_before_it_does_anything(own: SparkSession, text: str) -> None:
    before = own.conf.get("spark.sql.ansi.enabled")

    with pytest.raises(QueryError) as refused:
        views.query(own, text)

    assert (refused.value.wanted, refused.value.found, refused.value.next_step) == (
        "a query, such as SELECT ... FROM predictions",
        f"a statement of another kind, {text.split()[0]}",
        "ask for rows; views are read and never changed",
    )
    assert own.conf.get("spark.sql.ansi.enabled") == before
    assert names(own) == set()
