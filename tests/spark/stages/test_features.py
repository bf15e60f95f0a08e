"""Features of a day: one row for each row that landed, point-in-time, or an error that says what engineer did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import BadData, UseCaseError
from spark_lib.lake import Lake, Partition
from spark_lib.stages import features
from spark_lib.use_case import Feature, UseCase
from spark_lib.use_cases.credit_risk import CreditRisk
from tests.spark.lakes import (
    AFTER,
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    Delivered,
    Engineered,
    Parcels,
    break_page,
    feed,
    history,
    land,
    land_rows,
    noon,
    parcel,
    publish,
    rows_of,
    table,
)


def build(spark: SparkSession, root: Path, case: UseCase | None = None, day: date = DAY) -> Partition:
    """Publish the features of a day from the raw days since ``BEFORE``."""
    chosen = case or Parcels()
    raw = {name: history(root, BEFORE, day, name) for name in chosen.feature_feeds}
    lake = Lake(str(root), CASE)
    return publish(lake, "features", day, lambda url: features.build(spark, chosen, raw, url, ANY_FILE_ROWS))


def landed(root: Path, today: list[dict[str, Any]], before: list[dict[str, Any]] | None = None) -> None:
    land_rows(root, "parcels", BEFORE, before or [])
    land_rows(root, "parcels", DAY, today)


def test_a_day_has_key_entity_event_time_and_features_of_each_row(spark: SparkSession, tmp_path: Path) -> None:
    landed(tmp_path, [parcel("p2"), parcel("p3", "S2", fragile=None)], [parcel("p1", sent=noon(BEFORE))])
    partition = build(spark, tmp_path)
    assert partition.manifest.schema == (
        ("parcel", "string"),
        ("sender", "string"),
        ("sent", "timestamp"),
        ("earlier", "bigint"),
        ("weight", "double"),
        ("fragile", "boolean"),
    )
    assert rows_of(partition) == [
        {"parcel": "p2", "sender": "S1", "sent": noon(), "earlier": 1, "weight": 1.0, "fragile": False},
        {"parcel": "p3", "sender": "S2", "sent": noon(), "earlier": 0, "weight": 1.0, "fragile": None},
    ]


def test_a_day_without_files_and_one_without_rows_are_published_empty(spark: SparkSession, tmp_path: Path) -> None:
    landed(tmp_path, [], [parcel("p1", sent=noon(BEFORE))])
    land(feed(tmp_path), AFTER, table(Parcels(), "parcels", []))
    for day in (DAY, AFTER):
        partition = build(spark, tmp_path, day=day)
        assert partition.manifest.rows() == 0
        assert len(partition.manifest.schema) == 6


def test_the_limit_of_rows_in_a_file_is_kept(spark: SparkSession, tmp_path: Path) -> None:
    landed(tmp_path, [parcel(f"p{number}") for number in range(10)])
    raw = {"parcels": history(tmp_path, BEFORE, DAY)}
    partition = publish(
        Lake(str(tmp_path), CASE), "features", DAY, lambda url: features.build(spark, Parcels(), raw, url, 3)
    )
    assert partition.manifest.rows() == 10
    assert max(file.rows or 0 for file in partition.manifest.files) == 3


@pytest.mark.parametrize("root", ["two words", "[a-z]{1}*", "käse=50%25"])
def test_the_root_of_a_lake_may_have_any_name(spark: SparkSession, tmp_path: Path, root: str) -> None:
    for day in (BEFORE, DAY):  # of several files, which a pattern would read several times
        tables = [table(Parcels(), "parcels", [parcel(f"{day} {n}", sent=noon(day))]) for n in range(2)]
        land(feed(tmp_path / root), day, *tables)
    assert [row["earlier"] for row in rows_of(build(spark, tmp_path / root))] == [2, 2]


def test_another_store_may_hold_the_raw_days(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path, path=f"{tmp_path}/elsewhere/{{date:%Y/%m/%d}}", flag="done", format="csv")
    land(raw, DAY, "sent,parcel,sender,fragile,weight\n2026-03-10 12:00:00Z,p1,S1,true,2.5\n")
    lake = Lake(str(tmp_path / "lake"), CASE)
    days = {"parcels": raw.history(DAY, DAY)}
    partition = publish(lake, "features", DAY, lambda url: features.build(spark, Parcels(), days, url, ANY_FILE_ROWS))
    assert rows_of(partition) == [
        {"parcel": "p1", "sender": "S1", "sent": noon(), "earlier": 0, "weight": 2.5, "fragile": True}
    ]


# -- days that are refused


@pytest.mark.parametrize("column", ["parcel", "sender", "sent"])
def test_a_null_in_key_entity_or_event_time_is_refused(spark: SparkSession, tmp_path: Path, column: str) -> None:
    landed(tmp_path, [parcel("p1"), parcel("p2") | {column: None}])
    with pytest.raises(BadData) as caught:
        build(spark, tmp_path)
    assert str(caught.value) == (
        f"raw feed parcels of 2026-03-10: {feed(tmp_path).directory(DAY)}: wanted no null in {column!r}; "
        "found 1 of 2 rows. Next: land the day again, then run again"
    )


def test_a_doubled_key_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    landed(tmp_path, [parcel("p1"), parcel("p2"), parcel("p2", "S2")])
    with pytest.raises(BadData, match=r"wanted each 'parcel' once; found 1 rows too many, as 'p2' 2 times\. Next: "):
        build(spark, tmp_path)


def test_a_bad_day_is_refused_when_it_is_built_and_not_again_by_later_days(spark: SparkSession, tmp_path: Path) -> None:
    landed(tmp_path, [parcel("p1")], [parcel("p0", sent=noon(BEFORE))] * 2)
    with pytest.raises(BadData):
        build(spark, tmp_path, day=BEFORE)
    assert rows_of(build(spark, tmp_path))[0]["earlier"] == 2


def test_a_broken_page_of_an_earlier_day_is_named_and_nothing_is_published(spark: SparkSession, tmp_path: Path) -> None:
    landed(tmp_path, [parcel("p1")], [parcel("p0", sent=noon(BEFORE))])
    broken = f"{feed(tmp_path).directory(BEFORE)}/part-0.parquet"
    break_page(broken)
    with pytest.raises(BadData) as caught:
        build(spark, tmp_path)
    assert str(caught.value) == (
        f"{broken}: wanted a file that Spark can read by its schema; "
        "found TProtocolException: don't know what type: 15. Next: land the day again with a good file, then run again"
    )
    assert not Lake(str(tmp_path), CASE).is_published("features", DAY)
    assert not list(tmp_path.glob(f"{CASE}/features/date={DAY}/*"))


# -- what engineer returns


def foreign(frame: DataFrame) -> DataFrame:
    return frame.withColumn("parcel", F.when(F.col("parcel") == "p1", "p9").otherwise(F.col("parcel")))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda frame: frame.where("parcel <> 'p1'"), "1 lost, 0 too many, 0 of keys that are not the day's"),
        (lambda frame: frame.where("false"), "3 lost, 0 too many, 0 of keys that are not the day's"),
        (lambda frame: frame.unionAll(frame), "0 lost, 3 too many, 0 of keys that are not the day's"),
        (foreign, "1 lost, 0 too many, 1 of keys that are not the day's"),
        (
            lambda frame: frame.where("parcel <> 'p1'").unionAll(frame.where("parcel = 'p2'")),
            "1 lost, 1 too many, 0 of keys that are not the day's",
        ),
        (
            lambda frame: frame.withColumn("parcel", F.lit(None).cast("string")),
            "3 lost, 0 too many, 3 of keys that are not the day's",
        ),
    ],
    ids=["loses one", "loses all", "doubles all", "renames one", "loses one and doubles one", "forgets the keys"],
)
def test_an_engineer_that_does_not_return_each_key_once_is_refused(
    spark: SparkSession, tmp_path: Path, change: Callable[[DataFrame], DataFrame], found: str
) -> None:
    landed(tmp_path, [parcel("p1"), parcel("p2"), parcel("p3")])
    with pytest.raises(UseCaseError) as caught:
        build(spark, tmp_path, Engineered(change))
    assert str(caught.value) == (
        f"engineer of Engineered: wanted exactly one row for each of the day's 3 keys; found {found}. "
        "Next: correct engineer; nothing was published"
    )
    assert not Lake(str(tmp_path), CASE).is_published("features", DAY)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda frame: frame.drop("weight"), "earlier bigint, fragile boolean, parcel string"),
        (
            lambda frame: frame.withColumn("more", F.lit(1)),
            "earlier bigint, fragile boolean, more int, parcel string, weight double",
        ),
        (
            lambda frame: frame.withColumn("earlier", F.col("earlier").cast("int")),
            "earlier int, fragile boolean, parcel string, weight double",
        ),
    ],
    ids=["one column less", "one column more", "another type"],
)
def test_an_engineer_that_returns_other_columns_is_refused(
    spark: SparkSession, tmp_path: Path, change: Callable[[DataFrame], DataFrame], found: str
) -> None:
    landed(tmp_path, [parcel("p1")])
    with pytest.raises(UseCaseError) as caught:
        build(spark, tmp_path, Engineered(change))
    assert str(caught.value) == (
        "engineer of Engineered: wanted the columns earlier bigint, fragile boolean, parcel string, weight double; "
        f"found {found}. Next: correct engineer or `features`"
    )


def test_columns_may_come_in_any_order_and_types_be_spelled_as_sql_allows(spark: SparkSession, tmp_path: Path) -> None:
    class Spelled(Engineered):
        features = {"weight": Feature("double"), "fragile": Feature("Boolean"), "earlier": Feature("LONG")}

    landed(tmp_path, [parcel("p1")])
    partition = build(spark, tmp_path, Spelled(lambda frame: frame.select(*reversed(frame.columns))))
    assert partition.manifest.schema[3:] == (("weight", "double"), ("fragile", "boolean"), ("earlier", "bigint"))


def test_an_engineer_sees_every_feed_but_the_labels_and_the_day_on_which_a_row_landed(
    spark: SparkSession, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    class Landed(Parcels):
        def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
            seen["day"], seen["history"] = day.columns, {name: frame.columns for name, frame in history.items()}
            yesterday = history["parcels"].where(F.col("landed") == F.lit(BEFORE)).count()
            return day.select("parcel", F.lit(yesterday).cast("bigint").alias("earlier"), "weight", "fragile")

    landed(tmp_path, [parcel("p3")], [parcel("p1"), parcel("p2")])
    assert [row["earlier"] for row in rows_of(build(spark, tmp_path, Landed()))] == [2]
    columns = ["parcel", "sender", "sent", "weight", "fragile"]
    assert seen == {"day": columns, "history": {"parcels": [*columns, "landed"]}}


def test_without_an_engineer_rows_that_land_with_their_outcome_have_their_other_columns_as_features(
    spark: SparkSession, tmp_path: Path
) -> None:
    class AsTheyLand(Delivered):
        features = {name: Delivered.features[name] for name in ("weight", "fragile")}
        engineer = UseCase.engineer

    for day in (BEFORE, DAY):
        land_rows(tmp_path, "parcels", day, [parcel("p1", state="late")], Delivered())
    assert rows_of(build(spark, tmp_path, AsTheyLand())) == [
        {"parcel": "p1", "sender": "S1", "sent": noon(), "weight": 1.0, "fragile": False}
    ]


# -- point-in-time, with credit_risk


def loan(name: str, at: datetime, customer: str = "C1", amount: float = 100.0) -> dict[str, Any]:
    known = {"birth_date": date(1990, 1, 1), "job_start_date": date(2020, 1, 1), "flag_own_car": True}
    return {"loan_id": name, "customer_id": customer, "loan_amount": amount, "loan_time": at, **known}


def land_loans(root: Path, day: date, *loans: dict[str, Any]) -> None:
    land(feed(root, "applications"), day, table(CreditRisk(), "applications", loans))


@pytest.fixture(scope="module")
def known(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The features of DAY when nothing else has landed."""
    root = tmp_path_factory.mktemp("known")
    land_loans(root, BEFORE, loan("L1", noon(BEFORE), amount=50.0))
    land_loans(root, DAY, loan("L2", noon()), loan("L3", noon(hours=1), customer="C2"))
    rows = rows_of(build(spark, root, CreditRisk()))
    assert [(row["nb_previous_loans"], row["avg_amount_loans_previous"]) for row in rows] == [(1, 50.0), (0, None)]
    return rows


def test_rows_that_land_after_a_day_change_nothing_of_it(
    spark: SparkSession, tmp_path: Path, known: list[dict[str, Any]]
) -> None:
    land_loans(tmp_path, BEFORE, loan("L1", noon(BEFORE), amount=50.0))
    land_loans(tmp_path, DAY, loan("L2", noon()), loan("L3", noon(hours=1), customer="C2"))
    # Of the same customers, earlier in time and landed later.
    land_loans(tmp_path, AFTER, loan("L8", noon(BEFORE, hours=1)), loan("L9", noon(BEFORE), customer="C2"))
    assert rows_of(build(spark, tmp_path, CreditRisk())) == known


def test_rows_whose_event_time_is_not_earlier_change_nothing(
    spark: SparkSession, tmp_path: Path, known: list[dict[str, Any]]
) -> None:
    # Landed before, but at the same instant, a microsecond later, and a year later than the loans of the day.
    same_instant, later = loan("L7", noon()), loan("L8", noon(microseconds=1))
    future = loan("L9", noon(hours=1) + timedelta(days=365), customer="C2")
    land_loans(tmp_path, BEFORE, loan("L1", noon(BEFORE), amount=50.0), same_instant, later, future)
    land_loans(tmp_path, DAY, loan("L2", noon()), loan("L3", noon(hours=1), customer="C2"))
    assert rows_of(build(spark, tmp_path, CreditRisk())) == known


def test_a_row_of_long_ago_that_lands_today_sees_only_what_was_before_it(spark: SparkSession, tmp_path: Path) -> None:
    land_loans(tmp_path, BEFORE, loan("L1", noon(BEFORE)))
    land_loans(tmp_path, DAY, loan("L2", datetime(2019, 1, 1, tzinfo=UTC)), loan("L3", noon()))
    rows = {row["loan_id"]: row for row in rows_of(build(spark, tmp_path, CreditRisk()))}
    assert (rows["L2"]["nb_previous_loans"], rows["L3"]["nb_previous_loans"]) == (0, 2)
    assert (rows["L2"]["age"], rows["L2"]["years_on_the_job"]) == (29, None)


def test_the_day_of_a_feed_is_read_as_arrow_has_it(spark: SparkSession, tmp_path: Path) -> None:
    """Instants keep their microseconds from the raw file to the partition."""
    at = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    landed(tmp_path, [parcel("p1", sent=at)])
    partition = build(spark, tmp_path)
    assert rows_of(partition)[0]["sent"] == at
    assert pa.types.is_timestamp(pa.parquet.read_schema(partition.files()[0]).field("sent").type)
