"""Parquet files by name: in, exactly those that are named; out, with the rows that the job saw."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spark_lib.errors import BadData

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from spark_lib.lake import Schema


def spark_path(url: str) -> str:
    """A url of the lake as Spark wants it, whatever its default file system is."""
    return f"file://{url}" if url.startswith("/") else url


def read_parquet(spark: SparkSession, files: Sequence[str], schema: str, *more: Column) -> DataFrame:
    """The rows of named files by a DDL schema, and ``more`` columns, which may use ``_metadata``.

    Names are taken to the letter: a ``*`` or ``[`` in the path of a lake is no pattern.
    """
    from pyspark.sql import functions as F

    if not files:
        empty = spark.createDataFrame([], schema)
        return empty.select("*", *(F.lit(None).cast("date").alias(_name(column)) for column in more))
    reader = spark.read.schema(schema).option("__globPaths__", "false")
    return reader.parquet(*map(spark_path, files)).select("*", *more)


def write_parquet(
    frame: DataFrame, url: str, file_rows: int, observed: Sequence[Column] = (), drop: Sequence[str] = ()
) -> dict[str, Any]:
    """Write all rows below ``url``, without the columns to ``drop``, at most ``file_rows`` rows a file.

    Returns what the job observed: ``rows``, and each aliased aggregate of ``observed``. Raises BadData for an input
    file that cannot be read.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    observation = Observation()
    counted = frame.observe(observation, F.count(F.lit(1)).alias("rows"), *observed).drop(*drop)
    with unreadable_files_named():
        counted.write.option("maxRecordsPerFile", file_rows).parquet(spark_path(url))
    return dict(observation.get)


def remove(spark: SparkSession, url: str) -> None:
    """Remove a directory of scratch files wherever Spark wrote it."""
    jvm, context = spark.sparkContext._jvm, spark.sparkContext._jsc
    assert jvm is not None and context is not None  # a running session has both
    path = jvm.org.apache.hadoop.fs.Path(spark_path(url))
    path.getFileSystem(context.hadoopConfiguration()).delete(path, True)


def schema_of(frame: DataFrame) -> Schema:
    """The manifest's schema of a frame."""
    return tuple((field.name, field.dataType.simpleString()) for field in frame.schema.fields)


@contextmanager
def unreadable_files_named() -> Iterator[None]:
    """Spark's failure to read a file as BadData that names it."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        named = re.search(r"reading file (?:file://)?(\S+?)\.? ", str(error))
        if named is None or "FAILED_READ_FILE" not in str(error):
            raise
        causes = re.findall(r"^Caused by: \S*?(\w+(?:Exception|Error): .*)$", str(error), flags=re.MULTILINE)
        raise BadData(
            named[1],
            "a file that Spark can read by the declared schema",
            causes[-1] if causes else "one that it cannot",
            "land the day again with a good file, then run again",
        ) from error


def _name(column: Column) -> str:
    alias = re.search(r" AS `?(\w+)`?'?>?$", str(column))
    return alias[1] if alias else str(column)
