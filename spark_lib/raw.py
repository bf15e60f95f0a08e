"""Raw feeds as DataFrames: every file checked against the declared schema before Spark reads it, since Spark itself
takes a missing column for nulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import BadData
from spark_lib.files import columns_of, read_parquet, reader_path

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.lake import RawDay, RawDays
    from spark_lib.use_case import Feed

_CHECKED: set[tuple[str, RawDay]] = set()  # days whose files this process has found to fit their schema


def read(spark: SparkSession, raw: RawDays, feed: Feed) -> DataFrame:
    """The declared columns of all days, and the day on which each row ``landed``.

    Raises BadData for a file that is corrupt, lacks a column or has one of another type.
    """
    from pyspark.sql import functions as F

    columns = columns_of(feed.schema)
    for day in raw.days:
        if (feed.schema, day) not in _CHECKED:
            for file in day.files:
                _check_columns(raw, file, columns)
            _CHECKED.add((feed.schema, day))
    pattern, date_format = raw.feed.date_pattern
    landed = F.to_date(F.regexp_extract(F.col("_metadata.file_path"), pattern, 1), date_format)
    if raw.feed.format == "parquet" or not raw.files:
        return read_parquet(spark, raw.files, feed.schema, landed=landed)
    return _read_csv(spark, raw, columns).select(*columns, landed.alias("landed"))


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
    found = {figures["landed"]: figures for figures in by_day.collect()}
    rows_of = {raw_day.date: found[raw_day.date]["rows"] if raw_day.date in found else 0 for raw_day in raw.days}
    for day, rows in rows_of.items():
        where = f"raw feed {raw.feed.name} of {day}: {raw.feed.directory(day)}"
        land_again = "land the day again, then run again"
        for column in columns:
            if rows and (nulls := found[day][f"null {column}"]):
                raise BadData(where, f"no null in {column!r}", f"{nulls:,} of {rows:,} rows", land_again)
        if rows and found[day]["keys"] != rows:
            of_day = frame.where(F.col("landed") == F.lit(day))
            twice = of_day.groupBy(feed.key).count().where("count > 1").orderBy(feed.key).collect()[0]
            example = f"{rows - found[day]['keys']:,} rows too many, as {twice[feed.key]!r} {twice['count']} times"
            raise BadData(where, f"each {feed.key!r} once", example, land_again)
        if rows < raw.feed.min_rows:
            least = f"at least {raw.feed.min_rows:,} rows ([raw.{raw.feed.name}] min_rows)"
            raise BadData(where, least, f"{rows:,}", "land the whole day, or lower min_rows")
    return rows_of


def _check_columns(raw: RawDays, file: str, columns: Mapping[str, str]) -> None:
    found = _header(raw, file) if raw.feed.format == "csv" else _footer(raw, file)
    where = f"raw feed {raw.feed.name}: {file}"
    for name, declared in columns.items():
        wanted = f"a column {name!r} of type {declared}"
        if name not in found:
            there = f"only {', '.join(found)}" if found else "no columns"
            raise BadData(where, wanted, there, "land the file again with the column")
        if found[name] not in _readable_as(declared):
            raise BadData(where, wanted, f"type {found[name]}", "land the file again with the declared type")


def _readable_as(kind: str) -> set[str]:
    """The types of a file that Spark reads as a declared one without loss (in a CSV file, everything is text)."""
    wider = {"bigint": {"int", "smallint", "tinyint"}, "int": {"smallint", "tinyint"}, "double": {"float"}}
    return {kind, "text"} | wider.get(kind, set())


def _footer(raw: RawDays, file: str) -> dict[str, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with raw.feed.open(file) as opened:
            schema = pq.read_metadata(opened).schema
    except (pa.ArrowException, OSError) as error:
        raise _not_a(raw, file, "a Parquet file", str(error).splitlines()[0]) from error
    kinds = {field.name: _spark_name(field.type) for field in schema.to_arrow_schema()}
    # Spark's own files may hold INT96, which is nothing but a timestamp of Spark's; Arrow takes it for one without zone.
    leaves = map(schema.column, range(len(schema)))
    return kinds | {leaf.path: "timestamp" for leaf in leaves if leaf.physical_type == "INT96" and leaf.path in kinds}


def _spark_name(kind: pa.DataType) -> str:
    """The Spark SQL name of a Parquet column's type; what Spark cannot read keeps Arrow's name."""
    import pyarrow as pa
    from pyspark.errors import PySparkTypeError
    from pyspark.sql.pandas.types import from_arrow_type

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string_view(kind):
        kind = pa.string()
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return str(kind)
    try:
        return str(from_arrow_type(kind, prefer_timestamp_ntz=True).simpleString())
    except PySparkTypeError:
        return str(kind)


def _header(raw: RawDays, file: str) -> dict[str, str]:
    import csv
    import io

    try:
        with raw.feed.open(file) as opened:
            first = opened.readline().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_a(raw, file, "a CSV file in UTF-8", str(error)) from error
    return dict.fromkeys(next(csv.reader(io.StringIO(first)), []), "text")


def _not_a(raw: RawDays, file: str, wanted: str, found: str) -> BadData:
    return BadData(f"raw feed {raw.feed.name}: {file}", wanted, found, "land the file again")


def _read_csv(spark: SparkSession, raw: RawDays, columns: Mapping[str, str]) -> DataFrame:
    """CSV as RFC 4180 has it, with a header: each file's columns by name, in whatever order; a value of another type is
    an error."""
    from functools import reduce

    from pyspark.sql import DataFrame

    by_header: dict[tuple[str, ...], list[str]] = {}
    for file in raw.files:
        by_header.setdefault(tuple(_header(raw, file)), []).append(file)
    frames = []
    for header, files in by_header.items():
        of_header = ", ".join(f"`{name}` {columns.get(name, 'string')}" for name in header)
        reader = spark.read.schema(of_header).option("mode", "FAILFAST").option("enforceSchema", "false")
        reader = reader.option("escape", '"').option("multiLine", "true")  # a quote is doubled, a line break kept
        frame = reader.csv([reader_path(file) for file in files], header=True)
        frames.append(frame.select(*columns, "_metadata"))
    return reduce(DataFrame.unionByName, frames)
