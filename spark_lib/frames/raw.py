"""Reads feeds as DataFrames: the days that have landed, or of a feed with rules the clean ones.

Every Parquet file is checked against the declared schema before Spark reads it, because Spark would take a missing
column for nulls. CSV files are read by ``spark_lib.frames.delimited``, because Spark would guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import BadData, LakeError
from spark_lib.frames import delimited
from spark_lib.frames.files import columns_of, read_parquet
from spark_lib.lake import CleanDays
from spark_lib.lake.stores import s3_client
from spark_lib.session import carried
from spark_lib.use_case import ddl, keys

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from spark_lib.lake import RawDay, RawDays, RawFeed
    from spark_lib.use_case import Feed

#: The settings of a clean day that name the key, and the columns in which no row of it has a null.
KEY, NEVER_NULL = "key", "never_null"
#: Days of Parquet whose files this process has found to fit their schema, and where: two servers may have a day of one
#: name.
_CHECKED: set[tuple[str, s3_client.Connection | None, RawDay]] = set()
#: The column that says in words which texts of a row are no values of their types; null where there are none.
MISFITS = "_misfits"
_DAY_OF_A_RUN = r".*/date=(\d{4}-\d\d-\d\d)/run=[0-9a-f]{16}/"
_TIMES = "_times"  # no key's name: the library keeps names with an underscore in front
#: Bytes of CSV that a task reads at the least: reading is soon done, a task costs Spark 0.1 s.
_TASK_BYTES = 2**24


def read(spark: SparkSession, raw: RawDays, feed: Feed, without: str | None = None) -> DataFrame:
    """The declared columns of all days, and the day on which each row ``landed``.

    The column ``without`` is checked as every other, but is not read: Spark would find a column that is only dropped,
    where a filter or a sort names it.

    Raises BadData for a Parquet file that is corrupt, lacks a column or has a column of another type, and
    ConfigurationError for a type that CSV cannot hold. Faults of a CSV file are found later, by the jobs that read it
    (see ``unreadable_files_named``).
    """
    columns = columns_of(feed.schema)
    schema = feed.schema if without is None else _without(feed.schema, without)
    if isinstance(raw, CleanDays):
        return _read_clean(spark, raw, columns, schema)
    if raw.feed.format == "csv" and raw.files:
        return _read_csv(spark, raw, feed.schema, columns, without)
    return _read_parquet(spark, raw, feed.schema, columns, schema)


def read_fitting(spark: SparkSession, raw: RawDays, feed: Feed, with_texts: bool = False) -> DataFrame:
    """The declared columns of all days with null in place of each text of CSV that is no value of its type, the day on
    which each row ``landed``, and ``MISFITS``. With ``with_texts`` each column is there once more as it landed, under
    its name of ``as_landed``: of CSV as text.

    Raises BadData where the files cannot be cut into rows of these columns, as ``read`` does.
    """
    from pyspark.sql import functions as F

    columns = columns_of(feed.schema)
    if raw.feed.format == "csv" and raw.files:
        return _read_csv_fitting(spark, raw, feed.schema, columns, with_texts)
    rows = _read_parquet(spark, raw, feed.schema, columns, feed.schema).withColumn(MISFITS, F.lit(None).cast("string"))
    if not with_texts:
        return rows
    return rows.withColumns({as_landed(place): F.col(ddl.quoted(name)) for place, name in enumerate(columns)})


def as_landed(place: int) -> str:
    """The name of the declared column of this place, as it landed."""
    return f"_landed_{place}"


def check(raw: RawDays, feed: Feed, frame: DataFrame, never_null: Sequence[str] = ()) -> dict[date, int]:
    """Check the rows of each day of ``frame``, which was read from ``raw``, and return their number by day.

    Every day must have at least ``min_rows`` rows, each key once, and no null in the key and in ``never_null``. Raises
    BadData that names the feed, the day and what was found. Clean days were checked when they were cleaned.
    """
    from pyspark.sql import functions as F

    if isinstance(raw, CleanDays):
        rows_of = {each.date: each.manifest.rows("") for each in raw.read}
        known = [each.manifest.settings for each in raw.read]
        same_key = all(settings.get(KEY) == [*keys.names(feed.key)] for settings in known)
        if same_key and all({*never_null} <= {*settings.get(NEVER_NULL, ())} for settings in known):
            return rows_of
    columns = list(dict.fromkeys([*keys.names(feed.key), *never_null]))
    by_day = frame.groupBy("landed").agg(
        F.count(F.lit(1)).alias("rows"),
        # Hashes are smaller than texts, which all have to be sent around. Two keys may share one, so that fewer hashes than
        # rows prove nothing, but as many prove that each key is there once.
        F.count_distinct(F.xxhash64(*keys.names(feed.key))).alias("hashes"),
        *(F.count_if(F.col(ddl.quoted(column)).isNull()).alias(f"null {column}") for column in columns),
    )
    found = {figures["landed"]: figures for figures in by_day.collect()}
    rows_of = {raw_day.date: found[raw_day.date]["rows"] if raw_day.date in found else 0 for raw_day in raw.days}
    for day, rows in rows_of.items():
        where = f"raw feed {raw.feed.name} of {day}: {raw.feed.directory(day)}"
        land_again = "land the day again, then run again"
        for column in columns:
            if rows and (nulls := found[day][f"null {column}"]):
                raise BadData(where, f"no null in {column!r}", f"{nulls:,} of {rows:,} rows", land_again)
        if rows and found[day]["hashes"] != rows:
            too_many = _repeated(frame.where(F.col("landed") == F.lit(day)), feed)
            if too_many:
                raise BadData(where, f"each {feed.key!r} once", too_many, land_again)
        if rows < raw.feed.min_rows:
            least = f"at least {raw.feed.min_rows:,} rows ([raw.{raw.feed.name}] min_rows)"
            raise BadData(where, least, f"{rows:,}", "land the whole day, or lower min_rows")
    return rows_of


def _read_clean(
    spark: SparkSession, days: CleanDays, columns: Mapping[str, str], schema: str | StructType
) -> DataFrame:
    """The rows that passed the rules. Raises LakeError for a day of other columns than the feed declares now."""
    from pyspark.sql import functions as F

    for each in days.read:
        if dict(each.manifest.schema) != columns:
            raise LakeError(
                f"{each.dataset} of {each.date}",
                f"the columns that the feed declares, {_ddl(columns)}",
                _ddl(dict(each.manifest.schema)),
                f"build it again (daystone rebuild {each.dataset} --date {each.date})",
            )
    landed = F.to_date(F.regexp_extract(F.col("_metadata.file_path"), _DAY_OF_A_RUN, 1))
    return read_parquet(spark, days.files, schema, landed=landed)


def _ddl(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def _read_parquet(
    spark: SparkSession, raw: RawDays, declared: str, columns: Mapping[str, str], schema: str | StructType
) -> DataFrame:
    from pyspark.sql import functions as F

    for day in raw.days:
        if (declared, raw.feed.connection, day) not in _CHECKED:
            for file in day.files:
                _check_columns(raw, file, columns)
            _CHECKED.add((declared, raw.feed.connection, day))
    pattern, date_format = raw.feed.date_pattern
    landed = F.to_date(F.regexp_extract(F.col("_metadata.file_path"), pattern, 1), date_format)
    return read_parquet(spark, raw.files, schema, landed=landed)


def _repeated(rows: DataFrame, feed: Feed) -> str:
    """How many rows have the key of another one, with an example; empty where none has."""
    from pyspark.sql import functions as F

    by_key = rows.groupBy(*keys.names(feed.key)).agg(F.count(F.lit(1)).alias(_TIMES)).where(F.col(_TIMES) > 1)
    first = by_key.orderBy(*keys.names(feed.key)).first()
    if first is None:
        return ""
    (too_many,) = by_key.agg(F.sum(F.col(_TIMES) - 1)).collect()[0]
    return f"{too_many:,} rows too many, as {keys.value(first, feed.key)!r} {first[_TIMES]} times"


def _check_columns(raw: RawDays, file: str, columns: Mapping[str, str]) -> None:
    found = _footer(raw, file)
    where = f"raw feed {raw.feed.name}: {file}"
    delimited.check_names(where, file, list(found), columns)
    for name, declared in columns.items():
        if found[name] not in ddl.readable_as(declared):
            wanted = f"a column {name!r} of type {declared}"
            raise BadData(where, wanted, f"type {found[name]}", "land the file again with the declared type", file)


def _footer(raw: RawDays, file: str) -> dict[str, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with raw.feed.open(file) as opened:
            schema = pq.read_metadata(opened).schema
    except (pa.ArrowException, OSError) as error:
        raise _not_a(raw, file, "a Parquet file", str(error).splitlines()[0]) from error
    kinds = {field.name: _spark_name(field.type) for field in schema.to_arrow_schema()}
    # Spark may write a timestamp as INT96. Arrow would take it for a timestamp without a zone.
    leaves = map(schema.column, range(len(schema)))
    return kinds | {leaf.path: "timestamp" for leaf in leaves if leaf.physical_type == "INT96" and leaf.path in kinds}


def _spark_name(kind: pa.DataType) -> str:
    """The Spark SQL name of a Parquet column's type; Arrow's name where Spark cannot read the type."""
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


def _not_a(raw: RawDays, file: str, wanted: str, found: str) -> BadData:
    return BadData(f"raw feed {raw.feed.name}: {file}", wanted, found, "land the file again", file)


@dataclass(frozen=True)
class _CsvJob:
    """What a task that reads CSV is told: the feed's connection is resolved, so that every place asks one server."""

    feed: RawFeed
    columns: Mapping[str, str]
    shares: Sequence[Sequence[tuple[str, date]]]
    without: str | None = None

    def rows(self, share: int) -> Iterator[pa.RecordBatch]:
        """The rows of a share's files. Raises BadData, LakeError."""
        for file, landed in self.shares[share]:
            for batch in delimited.read(self.feed, file, self.columns, landed):
                kept = [name for name in batch.schema.names if name != self.without]
                yield batch.select(kept) if self.without else batch


@dataclass(frozen=True)
class _FittingJob(_CsvJob):
    """The same, of what fits and what does not."""

    with_texts: bool = False

    def rows(self, share: int) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for file, landed in self.shares[share]:
            for texts, values, misfits in delimited.read_fitting(self.feed, file, self.columns):
                days = pa.repeat(pa.scalar(landed), values.num_rows)
                found = [*values.columns, days, misfits, *(texts.columns if self.with_texts else ())]
                yield pa.RecordBatch.from_arrays(found, names=[str(place) for place in range(len(found))])


def _read_csv(
    spark: SparkSession, raw: RawDays, schema: str, columns: Mapping[str, str], without: str | None
) -> DataFrame:
    """The files of all days, each read whole by one task."""
    from pyspark.sql.types import DateType

    feed, shares = _of_tasks(spark, raw, columns)
    job = _CsvJob(feed, columns, shares, without)
    return _read_by(spark, job, _without(schema, without).add("landed", DateType()))


def _read_csv_fitting(
    spark: SparkSession, raw: RawDays, declared: str, columns: Mapping[str, str], with_texts: bool
) -> DataFrame:
    from pyspark.sql.types import DateType, StringType, StructField, StructType

    feed, shares = _of_tasks(spark, raw, columns)
    # A value that does not fit is null, whatever is declared.
    schema = StructType([StructField(field.name, field.dataType) for field in _without(declared, None).fields])
    schema.add("landed", DateType()).add(MISFITS, StringType())
    for place in range(len(columns) if with_texts else 0):
        schema.add(as_landed(place), StringType())
    return _read_by(spark, _FittingJob(feed, columns, shares, with_texts=with_texts), schema)


def _of_tasks(
    spark: SparkSession, raw: RawDays, columns: Mapping[str, str]
) -> tuple[RawFeed, list[list[tuple[str, date]]]]:
    """The feed as tasks are told of it, and the files of each task. Raises ConfigurationError for a type that CSV cannot
    hold."""
    delimited.kinds(raw.feed, columns)
    connection = s3_client.connection_to(raw.feed.directory(raw.last.date), over=raw.feed.connection)
    return replace(raw.feed, connection=connection), _shares(raw, spark.sparkContext.defaultParallelism)


def _read_by(spark: SparkSession, job: _CsvJob, schema: StructType) -> DataFrame:
    numbers = spark.range(0, len(job.shares), 1, len(job.shares))
    return numbers.mapInArrow(_reading(job), schema)


def _without(schema: str, column: str | None) -> StructType:
    """The columns of DDL text but one."""
    from pyspark.sql.types import StructType

    typed = StructType.fromDDL(schema)
    assert isinstance(typed, StructType)  # text of several columns is one
    return StructType([field for field in typed.fields if field.name != column])


def _reading(job: _CsvJob) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def rows(numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with carried.as_text():
            for batch in numbers:
                for share in batch.column(0).to_pylist():
                    yield from job.rows(share)

    return rows


def _shares(raw: RawDays, cores: int) -> list[list[tuple[str, date]]]:
    """Divide the files, each with its landing day, into shares of about equal bytes: at most one share for each
    core."""
    share_bytes = max(_TASK_BYTES, -(-raw.size // cores))
    shares: list[list[tuple[str, date]]] = [[]]
    size = 0.0
    for day in raw.days:
        for file in day.files:
            if size >= share_bytes:
                shares.append([])
                size = 0.0
            shares[-1].append((file, day.date))
            size += day.size / len(day.files)
    return shares
