"""Reads and writes Parquet files. A read takes exactly the files that are named; a write returns the rows that the job
counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.lake.lake import damaged
from spark_lib.session import carried, s3a
from spark_lib.session.paths import reader_path, spark_path

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from spark_lib.lake import Schema


#: The names under which a job observes the two sums of its rows' hashes.
_HALVES = ("hashes_low", "hashes_high")
#: The day of a row that is read back. No column of a use case begins with an underscore and is written.
_DAY = "_day_of_the_row"


def read_parquet(spark: SparkSession, files: Sequence[str], schema: str | StructType, **dates: Column) -> DataFrame:
    """Read the named files with a schema, which may be DDL text, and add a column for each of ``dates``, which may use ``_metadata``."""
    from pyspark.sql import functions as F

    if not files:
        return spark.createDataFrame([], schema).withColumns({name: F.lit(None).cast("date") for name in dates})
    found = spark.read.schema(schema).parquet(*map(reader_path, files))
    return found.select("*", *(dates[name].alias(name) for name in dates))


def write_parquet(
    frame: DataFrame, url: str, file_rows: int, observed: Sequence[Column] = (), drop: Sequence[str] = ()
) -> dict[str, Any]:
    """Write all rows below ``url``, without the columns in ``drop`` and with at most ``file_rows`` rows in a file.

    Returns what the job observed: ``rows``, the ``digest`` of the rows that were written, and each aliased aggregate of
    ``observed``.
    """
    from pyspark.sql import Observation

    observation = Observation()
    written = [column for column in frame.columns if column not in drop]
    counted = frame.observe(observation, *_digested(written), *observed).drop(*drop)
    counted.write.option("maxRecordsPerFile", file_rows).parquet(spark_path(url))
    found = dict(observation.get)
    return found | {"digest": _digest(found)}


def write_partitioned(
    frame: DataFrame,
    url: str,
    file_rows: int,
    by: Sequence[str],
    observed: Sequence[Column] = (),
    drop: Sequence[str] = (),
) -> dict[str, Any]:
    """Write all rows below ``url``, each into the directory of its values of ``by``, without the columns in ``drop``.

    Returns what the job observed: ``rows``, and each aliased aggregate of ``observed``.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    observation = Observation()
    counted = frame.observe(observation, F.count(F.lit(1)).alias("rows"), *observed).drop(*drop)
    # On S3 every job writes below the dataset's own directory, in which other runs lie.
    writer = counted.write.mode("append").option("maxRecordsPerFile", file_rows).partitionBy(*by)
    writer.parquet(spark_path(url))
    return dict(observation.get)


def digests_of_days(
    spark: SparkSession, directories: Mapping[date, str], schema: Sequence[tuple[str, str]]
) -> dict[date, str]:
    """The digest of the rows that a job has written into the directory of each day: what ``write_parquet`` returns for
    the same rows. A day without rows has no directory."""
    from pyspark.sql import functions as F

    columns = [name for name, _ in schema]
    ddl = ", ".join(f"`{name}` {kind}" for name, kind in schema)
    day = F.to_date(F.regexp_extract("_metadata.file_path", r".*/date=(\d{4}-\d\d-\d\d)/", 1))
    paths = [spark_path(url) for url in directories.values()]
    rows = spark.read.schema(ddl).parquet(*paths).select("*", day.alias(_DAY)) if paths else None
    found = rows.groupBy(_DAY).agg(*_digested(columns)).collect() if rows is not None else []
    return {row[_DAY]: _digest(row.asDict()) for row in found}


def _digested(columns: Sequence[str]) -> list[Column]:
    """What a digest is made of: the number of rows, and sums of their hashes."""
    from pyspark.sql import functions as F

    return [F.count(F.lit(1)).alias("rows"), *_sums_of_hashes(columns)]


def _digest(found: dict[str, Any]) -> str:
    """The digest, whose parts are taken out of ``found``; the number of rows stays."""
    low, high = (found.pop(half) for half in _HALVES)
    known = low is not None or not found["rows"]
    return f"{found['rows']}-{low or 0:x}-{high or 0:x}" if known else ""


def _sums_of_hashes(columns: Sequence[str]) -> list[Column]:
    """The sums, over all rows, of the two halves of a row's hash. They are the same whatever the order of the rows, and
    null where there are more rows than a sum can hold, which is some two thousand million."""
    from pyspark.sql import functions as F

    quoted = [F.col("`{}`".format(column.replace("`", "``"))) for column in columns]
    # The hash passes over a null, so that (null, 1) would be (1, null): which columns are null is hashed too.
    row = F.xxhash64(*quoted, *(column.isNull() for column in quoted))
    halves = (row.bitwiseAND(F.lit(0xFFFFFFFF)), F.shiftrightunsigned(row, 32))
    return [F.try_sum(half).alias(name) for half, name in zip(halves, _HALVES, strict=True)]


def remove(spark: SparkSession, url: str) -> None:
    """Remove a directory of scratch files wherever Spark wrote it."""
    jvm, context = spark.sparkContext._jvm, spark.sparkContext._jsc
    assert jvm is not None and context is not None  # a running session has both
    path = jvm.org.apache.hadoop.fs.Path(spark_path(url))
    path.getFileSystem(context.hadoopConfiguration()).delete(path, True)


def schema_of(frame: DataFrame) -> Schema:
    """The schema of a frame, as a manifest holds it."""
    return tuple((field.name, field.dataType.simpleString()) for field in frame.schema.fields)


def columns_of(ddl: str) -> dict[str, str]:
    """The names and types in DDL text. Each type has the one spelling that manifests use (``INTEGER`` is ``int``)."""
    from pyspark.sql.types import StructType

    parsed = StructType.fromDDL(ddl)
    assert isinstance(parsed, StructType)  # text of several columns is one
    return {field.name: field.dataType.simpleString() for field in parsed.fields}


@contextmanager
def unreadable_files_named() -> Iterator[None]:
    """Turn a failure of Spark jobs in the block into an error that names its cause. This also works as a decorator.

    An error that a Python worker raised is raised again in its own words. Raises BadData for a file that others landed,
    DamagedPartition for a file of the lake, LakeError where S3 refuses, and ConfigurationError for a package that a
    Python worker does not find.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        refused = carried.of_text(str(error)) or s3a.refusal(str(error))
        if refused is not None:
            raise refused from error
        missing = re.search(r"ModuleNotFoundError: No module named '([^']+)'", str(error))
        if missing is not None:
            raise ConfigurationError(
                "Python of the executors",
                f"the package {missing[1].partition('.')[0]!r}, as on the driver",
                "no module of that name",
                "leave [spark] ship_code = true for the use case's own package, and install others where executors run "
                '(docs/operations.md, "Code on executors")',
            ) from error
        named = re.search(r"reading file (?:file:(?://)?)?(\S+?)\.? ", str(error))
        if named is None or "FAILED_READ_FILE" not in str(error):
            raise
        file = unquote(named[1])
        wanted, found = "a file that Spark can read by its schema", s3a.cause(str(error))
        if re.search(r"/date=[\d-]{10}/run=[0-9a-f]{16}/", file):
            raise damaged(file, wanted, found) from error
        raise BadData(file, wanted, found, "land the day again with a good file, then run again", file) from error
