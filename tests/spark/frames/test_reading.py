"""The public ways to read agree, and give what manifests name or say why not."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import spark_lib
from spark_lib.errors import ConfigurationError, DamagedPartition, DaystoneError, LakeError, NotPublished
from spark_lib.lake import Lake
from tests.spark.lakes import AFTER, BEFORE, CASE, DAY, REFERENCE, Chain, featured, noon, publish_features

FIRST = DAY - timedelta(days=3)
NAMES = ["parcel", "sender", "sent", "earlier", "weight", "fragile", "date"]


def in_order(table: pa.Table) -> pa.Table:
    return table.sort_by("parcel")


def test_the_three_ways_give_the_same_rows_of_several_days(spark: SparkSession, chain: Chain) -> None:
    where = (chain.lake.root, REFERENCE, "features", FIRST, BEFORE)
    with_spark = in_order(spark_lib.read(spark, *where).toArrow())
    with_arrow = in_order(spark_lib.read_arrow(*where))
    assert with_arrow.num_rows == sum(partition.manifest.rows() for partition in chain.window)
    assert with_spark.cast(with_arrow.schema).equals(with_arrow)
    with_pandas = spark_lib.read_pandas(*where).sort_values("parcel", ignore_index=True)
    pd.testing.assert_frame_equal(with_pandas, with_arrow.to_pandas())


def test_a_row_has_the_columns_of_its_partition_and_its_date_last(spark: SparkSession, chain: Chain) -> None:
    frame = spark_lib.read(spark, chain.lake.root, REFERENCE, "features", FIRST, BEFORE)
    table = spark_lib.read_arrow(chain.lake.root, REFERENCE, "features", FIRST, BEFORE)
    assert frame.columns == table.column_names == NAMES
    assert frame.schema["date"].dataType.simpleString() == "date"
    assert table.schema.field("date").type == pa.date32()
    counted = {row.date: row["count"] for row in frame.groupBy("date").count().collect()}
    assert counted == {partition.date: partition.manifest.rows() for partition in chain.window}


def test_one_day_needs_no_last_day(spark: SparkSession, chain: Chain) -> None:
    assert spark_lib.read(spark, chain.lake.root, REFERENCE, "features", AFTER).count() == 500
    assert len(spark_lib.read_pandas(chain.lake.root, REFERENCE, "features", AFTER)) == 500


def test_sections_are_read_by_name(spark: SparkSession, chain: Chain) -> None:
    for section in ("train", "calibration", "validation/balanced", "validation/unbalanced"):
        where = (chain.lake.root, REFERENCE, "balanced", DAY)
        found = in_order(spark_lib.read(spark, *where, section=section).toArrow())
        assert found.num_rows == chain.balanced.manifest.rows(section) > 0
        assert found["parcel"].equals(in_order(spark_lib.read_arrow(*where, section=section))["parcel"])


@pytest.mark.parametrize("section", ["", "validation"])
def test_a_section_that_is_not_there_is_an_error_and_not_an_empty_frame(
    spark: SparkSession, chain: Chain, section: str
) -> None:
    where = (chain.lake.root, REFERENCE, "balanced", DAY)
    messages = {
        message_of(LakeError, lambda: spark_lib.read(spark, *where, section=section)),
        message_of(LakeError, lambda: spark_lib.read_arrow(*where, section=section)),
    }
    assert messages == {
        "balanced of 2026-03-10: wanted one of the sections 'calibration', 'train', 'validation/balanced', "
        f"'validation/unbalanced'; found the section {section!r}. Next: name a section that is there"
    }


def message_of(kind: type[DaystoneError], read: Any) -> str:
    with pytest.raises(kind) as caught:
        read()
    return str(caught.value)


def test_a_missing_day_is_named_by_each_way(spark: SparkSession, chain: Chain) -> None:
    where = (chain.lake.root, REFERENCE, "features", FIRST, AFTER)
    ways = [
        lambda: spark_lib.read(spark, *where),
        lambda: spark_lib.read_arrow(*where),
        lambda: spark_lib.read_pandas(*where),
    ]
    assert {message_of(NotPublished, way) for way in ways} == {
        f"features of 2026-03-10: wanted a published partition; found none in {chain.lake.root}/{CASE}/features. "
        "Next: build it (daystone run features --date 2026-03-10)"
    }


def test_a_damaged_day_is_named_by_each_way(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    shutil.copytree(Path(chain.lake.root, CASE, "features"), tmp_path / CASE / "features")
    broken = Lake(str(tmp_path), CASE).require("features", BEFORE)[0].files()[0]
    size = Path(broken).stat().st_size
    Path(broken).write_bytes(b"short")
    where = (str(tmp_path), REFERENCE, "features", FIRST, BEFORE)
    ways = [
        lambda: spark_lib.read(spark, *where),
        lambda: spark_lib.read_arrow(*where),
        lambda: spark_lib.read_pandas(*where),
    ]
    assert {message_of(DamagedPartition, way) for way in ways} == {
        f"features of 2026-03-09: {broken}: wanted {size} bytes; found 5 bytes. "
        "Next: restore the file, or build the day anew (daystone rebuild features --date 2026-03-09)"
    }


def test_what_no_manifest_names_is_not_read(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), CASE)
    partition = publish_features(lake, DAY, [featured("p1")])
    for beside in (partition.files()[0] + ".copy.parquet", f"{tmp_path}/{CASE}/features/date={DAY}/run=0/p.parquet"):
        Path(beside).parent.mkdir(exist_ok=True)
        shutil.copy(partition.files()[0], beside)
    where = (str(tmp_path), REFERENCE, "features", DAY)
    assert spark_lib.read(spark, *where).count() == spark_lib.read_arrow(*where).num_rows == 1


def test_days_without_files_are_read_as_no_rows(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), CASE)
    publish_features(lake, BEFORE, [], files=0)
    publish_features(lake, DAY, [featured("p1")])
    for last, rows in ((BEFORE, 0), (DAY, 1)):
        where = (str(tmp_path), REFERENCE, "features", BEFORE, last)
        frame = spark_lib.read(spark, *where)
        assert (frame.columns, frame.count()) == (NAMES, rows)
        assert spark_lib.read_arrow(*where).num_rows == rows


def test_days_of_different_columns_are_not_mixed(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), CASE)
    publish_features(lake, BEFORE, [featured("p1")], weight="float")
    publish_features(lake, DAY, [featured("p2")])
    where = (str(tmp_path), REFERENCE, "features", BEFORE, DAY)
    messages = {
        message_of(LakeError, lambda: spark_lib.read(spark, *where)),
        message_of(LakeError, lambda: spark_lib.read_arrow(*where)),
    }
    before = "parcel string, sender string, sent timestamp, earlier bigint, weight {}, fragile boolean"
    assert messages == {
        f"features of 2026-03-09 and 2026-03-10: wanted one schema ({before.format('float')}); "
        f"found {before.format('double')}. Next: read them apart, or build the older one again"
    }


@pytest.mark.parametrize("root", ["[a-z]* {x}", "date=2020-01-01/run=0123456789abcdef/50%25 käse"])
def test_a_lake_below_any_name_is_read_with_its_own_dates(spark: SparkSession, tmp_path: Path, root: str) -> None:
    lake = Lake(str(tmp_path / root), CASE)
    for day in (BEFORE, DAY):
        publish_features(lake, day, [featured(f"{day} {n}", sent=noon(day)) for n in range(4)], files=2)
    found = spark_lib.read(spark, lake.root, REFERENCE, "features", BEFORE, DAY).collect()
    assert sorted((row.parcel, row.date) for row in found) == [
        (f"{day} {n}", day) for day in (BEFORE, DAY) for n in range(4)
    ]


def test_a_root_may_be_given_in_any_spelling(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(chain.lake.root).parent)
    for root in ("lake", "./lake/", f"file://{chain.lake.root}"):
        assert spark_lib.read_arrow(root, REFERENCE, "features", AFTER).num_rows == 500


def test_a_use_case_that_nobody_ships_is_an_error(chain: Chain) -> None:
    with pytest.raises(ConfigurationError, match="use case 'credit_rsik': wanted a shipped use case or module:Class"):
        spark_lib.read_arrow(chain.lake.root, "credit_rsik", "features", AFTER)


def test_instants_are_read_in_utc_with_their_microseconds(spark: SparkSession, tmp_path: Path) -> None:
    at = noon(microseconds=1)
    publish_features(Lake(str(tmp_path), CASE), DAY, [featured("p1", sent=at)])
    where = (str(tmp_path), REFERENCE, "features", DAY)
    assert spark_lib.read(spark, *where).toArrow()["sent"].to_pylist() == [at]
    assert spark_lib.read_arrow(*where)["sent"].to_pylist() == [at]
    assert spark_lib.read_pandas(*where)["sent"].iloc[0] == pd.Timestamp(at)
    assert pq.read_schema(Lake(str(tmp_path), CASE).require("features", DAY)[0].files()[0]).names == NAMES[:-1]
