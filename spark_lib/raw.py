"""Raw feeds as DataFrames: every file checked against the declared schema before Spark reads it, since Spark itself
takes a missing column for nulls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import BadData
from spark_lib.files import read_parquet, spark_path, unreadable_files_named

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from spark_lib.lake import RawDay, RawDays
    from spark_lib.use_case import Feed

_CHECKED: set[tuple[str, RawDay]] = set()  # days whose files this process has found to fit their schema


def read(spark: SparkSession, raw: RawDays, feed: Feed) -> DataFrame:
    """The declared columns of all days, and the day on which each row ``landed``.

    Raises BadData for a file that is corrupt, lacks a column or has one of another type.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructType

    schema = StructType.fromDDL(feed.schema)
    for day in raw.days:
        if (feed.schema, day) not in _CHECKED:
            for file in day.files:
                _check_columns(raw, file, schema)
            _CHECKED.add((feed.schema, day))
    pattern, date_format = raw.feed.date_pattern
    landed = F.to_date(F.regexp_extract(F.col("_metadata.file_path"), pattern, 1), date_format).alias("landed")
    if raw.feed.format == "parquet" or not raw.files:
        return read_parquet(spark, raw.files, feed.schema, landed)
    return _read_csv(spark, raw, schema).select(*schema.fieldNames(), landed)


def check(raw: RawDays, feed: Feed, frame: DataFrame, never_null: Sequence[str] = ()) -> dict[date, int]:
    """The rows of each day of ``frame``, read from ``raw``, once every day has at least ``min_rows``, no null where
    none may be, and each key once.

    Raises BadData that names the feed, the day and what was found.
    """
    from pyspark.sql import functions as F

    columns = list(dict.fromkeys([feed.key, *never_null]))
    by_day = frame.groupBy("landed").agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_distinct(feed.key).alias("keys"),
        *(F.count_if(F.col(column).isNull()).alias(f"null {column}") for column in columns),
    )
    with unreadable_files_named():
        found = {figures["landed"]: figures for figures in by_day.collect()}
    for day in (raw_day.date for raw_day in raw.days):
        where = f"raw feed {raw.feed.name} of {day}: {raw.feed.directory(day)}"
        land_again = "land the day again, then run again"
        rows = found[day]["rows"] if day in found else 0
        for column in columns:
            if rows and (nulls := found[day][f"null {column}"]):
                raise BadData(where, f"no null in {column!r}", f"{nulls:,} of {rows:,} rows", land_again)
        if rows and found[day]["keys"] != rows:
            of_day = frame.where(F.col("landed") == F.lit(day))
            twice = of_day.groupBy(feed.key).count().where("count > 1").orderBy(feed.key).collect()[0]
            example = f"{rows - found[day]['keys']:,} rows too many, as {twice[0]!r} {twice['count']} times"
            raise BadData(where, f"each {feed.key!r} once", example, land_again)
        if rows < raw.feed.min_rows:
            least = f"at least {raw.feed.min_rows:,} rows ([raw.{raw.feed.name}] min_rows)"
            raise BadData(where, least, f"{rows:,}", "land the whole day, or lower min_rows")
    return {raw_day.date: found[raw_day.date]["rows"] if raw_day.date in found else 0 for raw_day in raw.days}


def _check_columns(raw: RawDays, file: str, schema: StructType) -> None:
    found = _header(raw, file) if raw.feed.format == "csv" else _footer(raw, file)
    where = f"raw feed {raw.feed.name}: {file}"
    for field in schema.fields:
        wanted = f"a column {field.name!r} of type {field.dataType.simpleString()}"
        if field.name not in found:
            raise BadData(where, wanted, f"only {', '.join(found)}", "land the file again with the column")
        kind = found[field.name]
        if kind not in _readable_as(field.dataType.simpleString()):
            raise BadData(where, wanted, f"type {kind}", "land the file again with the declared type")


def _readable_as(kind: str) -> set[str]:
    """The types of a file that Spark reads as a declared one without loss (in a CSV file, everything is text)."""
    wider = {"bigint": {"int", "smallint", "tinyint"}, "int": {"smallint", "tinyint"}, "double": {"float"}}
    return {kind, "text"} | wider.get(kind, set())


def _footer(raw: RawDays, file: str) -> dict[str, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with raw.feed.open(file) as opened:
            schema = pq.read_schema(opened)
    except (pa.ArrowException, OSError) as error:
        raise BadData(
            f"raw feed {raw.feed.name}: {file}", "a Parquet file", str(error).splitlines()[0], "land the file again"
        ) from error
    return {field.name: _spark_name(field.type) for field in schema}


def _spark_name(kind: pa.DataType) -> str:
    """The Spark SQL name of a Parquet column's type; what Spark cannot read keeps Arrow's name."""
    import pyarrow as pa
    from pyspark.errors import PySparkTypeError
    from pyspark.sql.pandas.types import from_arrow_type

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return str(kind)
    try:
        return str(from_arrow_type(kind, prefer_timestamp_ntz=True).simpleString())
    except PySparkTypeError:
        return str(kind)


def _header(raw: RawDays, file: str) -> dict[str, str]:
    import csv
    import io

    with raw.feed.open(file) as opened:
        first = opened.readline().decode("utf-8-sig")
    return {name: "text" for name in next(csv.reader(io.StringIO(first)), [])}


def _read_csv(spark: SparkSession, raw: RawDays, schema: StructType) -> DataFrame:
    """CSV with a header: each file's columns by name, in whatever order; a value of another type is an error."""
    from functools import reduce

    from pyspark.sql import DataFrame
    from pyspark.sql.types import StringType, StructField, StructType

    by_header: dict[tuple[str, ...], list[str]] = {}
    for file in raw.files:
        by_header.setdefault(tuple(_header(raw, file)), []).append(file)
    declared = {field.name: field for field in schema.fields}
    frames = []
    for header, files in by_header.items():
        of_header = StructType([declared.get(name, StructField(name, StringType())) for name in header])
        reader = spark.read.schema(of_header).option("__globPaths__", "false")
        frame = reader.csv([spark_path(f) for f in files], header=True, mode="FAILFAST", enforceSchema=False)
        frames.append(frame.select(*schema.fieldNames(), "_metadata"))
    return reduce(DataFrame.unionByName, frames)
