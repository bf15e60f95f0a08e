"""Serving features: each entity once, by its latest row, as an event at the next midnight would see it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_lib.errors import BadData, UseCaseError
from spark_lib.lake import Lake, Partition
from spark_lib.stages import serving
from tests.spark.lakes import (
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    Engineered,
    Parcels,
    break_page,
    feed,
    history,
    land_rows,
    noon,
    parcel,
    publish,
)

MIDNIGHT = datetime(2026, 3, 11, tzinfo=UTC)


def build(spark: SparkSession, root: Path, case: Parcels | None = None) -> Partition:
    raw = {"parcels": history(root, BEFORE, DAY)}
    chosen = case or Parcels()
    lake = Lake(str(root), CASE)
    return publish(lake, "serving", DAY, lambda url: serving.build(spark, chosen, raw, url, ANY_FILE_ROWS))


def served(partition: Partition) -> list[dict]:
    rows = [row for file in partition.files() for row in pq.read_table(file, partitioning=None).to_pylist()]
    return sorted(rows, key=lambda row: row["sender"])


def test_each_entity_that_ever_landed_is_served_by_its_latest_row(spark: SparkSession, tmp_path: Path) -> None:
    first, only = parcel("p1", "S1", noon(BEFORE), weight=1.0), parcel("p2", "S2", noon(BEFORE), weight=2.0)
    land_rows(tmp_path, "parcels", BEFORE, [first, only])
    land_rows(tmp_path, "parcels", DAY, [parcel("p3", "S1", noon(), weight=3.0)])
    assert served(build(spark, tmp_path)) == [
        {"parcel": "p3", "sender": "S1", "sent": MIDNIGHT, "earlier": 2, "weight": 3.0, "fragile": False},
        {"parcel": "p2", "sender": "S2", "sent": MIDNIGHT, "earlier": 1, "weight": 2.0, "fragile": False},
    ]


def test_the_latest_row_is_the_one_of_the_greatest_event_time_and_not_the_last_to_land(
    spark: SparkSession, tmp_path: Path
) -> None:
    land_rows(tmp_path, "parcels", BEFORE, [parcel("p1", "S1", noon(BEFORE))])
    land_rows(tmp_path, "parcels", DAY, [parcel("p2", "S1", noon(BEFORE, hours=-5))])
    assert [row["parcel"] for row in served(build(spark, tmp_path))] == ["p1"]


def test_of_rows_at_one_instant_the_greatest_key_is_the_latest(spark: SparkSession, tmp_path: Path) -> None:
    land_rows(tmp_path, "parcels", BEFORE, [])
    land_rows(tmp_path, "parcels", DAY, [parcel("p2"), parcel("p3"), parcel("p1")])
    assert [row["parcel"] for row in served(build(spark, tmp_path))] == ["p3"]


def test_of_a_key_that_landed_again_the_last_day_counts(spark: SparkSession, tmp_path: Path) -> None:
    land_rows(tmp_path, "parcels", BEFORE, [parcel("p1", weight=1.0)])
    land_rows(tmp_path, "parcels", DAY, [parcel("p1", weight=2.0)])
    assert [row["weight"] for row in served(build(spark, tmp_path))] == [2.0]


def test_a_lake_without_a_row_serves_none(spark: SparkSession, tmp_path: Path) -> None:
    for day in (BEFORE, DAY):
        land_rows(tmp_path, "parcels", day, [])
    partition = build(spark, tmp_path)
    assert (partition.manifest.rows(), len(partition.manifest.schema)) == (0, 6)


def test_an_engineer_that_loses_an_entity_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    land_rows(tmp_path, "parcels", BEFORE, [parcel("p1", "S1", noon(BEFORE)), parcel("p2", "S2", noon(BEFORE))])
    land_rows(tmp_path, "parcels", DAY, [])
    with pytest.raises(UseCaseError) as caught:
        build(spark, tmp_path, Engineered(lambda frame: frame.where("parcel <> 'p1'")))
    assert str(caught.value) == (
        "engineer of Engineered: wanted exactly one row for each of the day's 2 keys; "
        "found 1 lost, 0 too many, 0 of keys that are not the day's. Next: correct engineer; nothing was published"
    )


def test_a_broken_page_is_named(spark: SparkSession, tmp_path: Path) -> None:
    land_rows(tmp_path, "parcels", BEFORE, [parcel("p1", "S1", noon(BEFORE))])
    land_rows(tmp_path, "parcels", DAY, [])
    broken = f"{feed(tmp_path).directory(BEFORE)}/part-0.parquet"
    break_page(broken)
    with pytest.raises(BadData) as caught:
        build(spark, tmp_path)
    assert caught.value.where == broken
