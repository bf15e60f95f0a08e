"""Files are read by name and to the letter; what a job wrote is what it saw; what cannot be read is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import BadData, DamagedPartition
from spark_lib.frames.files import columns_of, read_parquet, remove, schema_of, unreadable_files_named, write_parquet
from tests.spark.lakes import break_page

#: Each is a name for a directory that a shell, a url or Hadoop's globs would take for something else.
ODD_NAMES = ["two words", "a[1]*", "{x,y}?\\", "käse=50%25", "c:d#e"]


def parquet(path: Path, *values: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"x": pa.array(values, pa.int64())}), path)
    return str(path)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_paths_are_taken_to_the_letter_in_and_out(spark: SparkSession, tmp_path: Path, name: str) -> None:
    files = [parquet(tmp_path / name / f"{number}.parquet", number) for number in range(3)]
    parquet(tmp_path / "a1_" / "0.parquet", 99)  # what a pattern would match

    observed = write_parquet(read_parquet(spark, files, "x BIGINT"), str(tmp_path / name / "out"), 10)

    assert observed["rows"] == 3
    assert sorted(pq.read_table(tmp_path / name / "out").column("x").to_pylist()) == [0, 1, 2]


def test_a_directory_named_as_a_partition_adds_no_column(spark: SparkSession, tmp_path: Path) -> None:
    files = [parquet(tmp_path / f"date=2026-01-0{day}" / "run=1e10" / "p.parquet", day) for day in (1, 2)]
    frame = read_parquet(spark, files, "x BIGINT")
    assert frame.columns == ["x"]
    assert sorted(row.x for row in frame.collect()) == [1, 2]


def test_no_files_are_no_rows_of_the_same_columns(spark: SparkSession) -> None:
    frame = read_parquet(spark, [], "x BIGINT, y STRING", landed=F.to_date(F.col("_metadata.file_path")))
    assert schema_of(frame) == (("x", "bigint"), ("y", "string"), ("landed", "date"))
    assert frame.collect() == []


def test_dates_are_taken_from_the_path_of_each_file(spark: SparkSession, tmp_path: Path) -> None:
    files = [parquet(tmp_path / f"2026-01-0{day}.parquet", day) for day in (1, 2)]
    landed = F.to_date(F.regexp_extract("_metadata.file_path", r"([\d-]+)\.parquet$", 1))
    rows = read_parquet(spark, files, "x BIGINT", landed=landed).collect()
    assert sorted(map(tuple, rows)) == [(1, date(2026, 1, 1)), (2, date(2026, 1, 2))]


ROWS = [(1, None, 0.5), (None, 1, 0.5), (2, 3, None), (2, 3, None)]


@pytest.mark.parametrize(
    ("rows", "is_same"),
    [
        (ROWS[::-1], True),
        ([(None, 1, 0.5), (None, 1, 0.5), *ROWS[2:]], False),
        (ROWS[:3], False),
        ([*ROWS[:2], (4, 5, 0.25), (4, 5, 0.25)], False),
        ([*ROWS[:3], (2, 3, 0.0)], False),
    ],
    ids=["another order", "a null in another column", "a row less", "another pair of equal rows", "a null less"],
)
def test_the_digest_of_a_write_is_that_of_its_rows_in_any_order_and_any_files(
    spark: SparkSession, tmp_path: Path, rows: list[tuple[object, ...]], is_same: bool
) -> None:
    schema = "`a b` INT, `c``d` INT, e DOUBLE, mark INT"
    frames = [
        spark.createDataFrame([(*row, place) for place, row in enumerate(found)], schema).repartition(parts)
        for found, parts in ((ROWS, 1), (rows, 3))
    ]

    digests = {
        write_parquet(frame, str(tmp_path / str(place)), 2, drop=["mark"])["digest"]
        for place, frame in enumerate(frames)
    }

    assert len(digests) == (1 if is_same else 2)


def test_a_write_returns_what_the_job_saw_and_leaves_marks_out(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.range(10).withColumn("odd", F.col("id") % 2 == 1).coalesce(1)
    observed = write_parquet(frame, str(tmp_path / "out"), 4, [F.count_if("odd").alias("odd")], drop=["odd"])
    assert (observed["rows"], observed["odd"]) == (10, 5)
    files = sorted((tmp_path / "out").iterdir())
    assert [pq.read_metadata(file).num_rows for file in files] == [4, 4, 2]
    assert pq.read_schema(files[0]).names == ["id"]


def test_a_write_leaves_nothing_but_parquet_files(spark: SparkSession, tmp_path: Path) -> None:
    write_parquet(spark.range(10), str(tmp_path / "out"), 4)
    assert {file.suffix for file in (tmp_path / "out").rglob("*")} == {".parquet"}


def test_a_write_of_no_rows_observes_none(spark: SparkSession, tmp_path: Path) -> None:
    nothing = spark.createDataFrame([], "id BIGINT")
    for number, frame in enumerate([nothing, spark.range(5).limit(0), nothing.join(nothing, "id", "full_outer")]):
        lost = F.count_if(F.col("id").isNull()).alias("lost")
        assert write_parquet(frame, str(tmp_path / str(number)), 5, [lost]) == {
            "rows": 0,
            "lost": 0,
            "digest": "0-0-0",
        }


def test_a_broken_data_page_of_a_landed_file_is_bad_data_that_names_the_file(
    spark: SparkSession, tmp_path: Path
) -> None:
    file = parquet(tmp_path / "50% off [1]" / "p.parquet", 1, 2)
    break_page(file)
    with pytest.raises(BadData) as caught, unreadable_files_named():
        write_parquet(read_parquet(spark, [file], "x BIGINT"), str(tmp_path / "out"), 5)
    assert str(caught.value) == (
        f"{file}: wanted a file that Spark can read by its schema; "
        "found TProtocolException: don't know what type: 15. Next: land the day again with a good file, then run again"
    )


def test_a_broken_data_page_of_a_partition_is_damage(spark: SparkSession, tmp_path: Path) -> None:
    file = parquet(tmp_path / "features" / "date=2026-01-01" / "run=0123456789abcdef" / "p.parquet", 1, 2)
    break_page(file)
    with pytest.raises(DamagedPartition) as caught, unreadable_files_named():
        read_parquet(spark, [file], "x BIGINT").collect()
    assert str(caught.value) == (
        f"{file}: wanted a file that Spark can read by its schema; found TProtocolException: don't know what type: 15. "
        "Next: restore the file, or build the day anew (daystone rebuild features --date 2026-01-01)"
    )


def test_a_file_that_is_gone_is_named(spark: SparkSession, tmp_path: Path) -> None:
    file = parquet(tmp_path / "p.parquet", 1, 2)
    frame = read_parquet(spark, [file], "x BIGINT")
    Path(file).unlink()
    with pytest.raises(BadData) as caught, unreadable_files_named():
        frame.collect()
    assert caught.value.where == file


def test_another_failure_of_spark_stays_what_it_is(spark: SparkSession) -> None:
    with pytest.raises(PySparkException, match="DIVIDE_BY_ZERO"), unreadable_files_named():
        spark.range(1).select(F.lit(1) / F.col("id")).collect()


def test_scratch_files_are_removed_and_missing_ones_are_no_error(spark: SparkSession, tmp_path: Path) -> None:
    parquet(tmp_path / "two words%" / "deep" / "p.parquet", 1)
    remove(spark, str(tmp_path / "two words%"))
    assert not (tmp_path / "two words%").exists()
    remove(spark, str(tmp_path / "two words%"))


def test_types_have_one_spelling(spark: SparkSession) -> None:
    assert columns_of("`a b` INTEGER, c LONG, d DECIMAL(10, 2), e STRING NOT NULL") == {
        "a b": "int",
        "c": "bigint",
        "d": "decimal(10,2)",
        "e": "string",
    }
