"""SQL views over exactly the files that manifests name, and queries of them.

spark_lib.views(spark, "lake", "credit_risk")
spark.sql("SELECT date, avg(score) FROM released GROUP BY date")
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import QueryError
from spark_lib.frames import catalog
from spark_lib.frames.catalog import SECTION, Catalog, View
from spark_lib.frames.files import read_parquet, unreadable_files_named
from spark_lib.lake import Lake
from spark_lib.use_case import loading

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: What a path has behind the dataset: the day, the run, and the section where there is one.
_PLACE = r".*/date=(\d{4}-\d\d-\d\d)/run=[0-9a-f]{16}/(?:(.+)/)?[^/]+$"
_DAY_GROUP, _SECTION_GROUP = 1, 2
_ONLY_QUERIES = "a query, such as SELECT ... FROM predictions"


def views(
    spark: SparkSession,
    root: str,
    use_case: str,
    first: date | None = None,
    last: date | None = None,
    only: Iterable[str] | None = None,
) -> Catalog:
    """Make the temporary views ``predictions``, ``released`` (the predictions in force), ``features``,
    ``serving_features``, ``snapshots`` and ``balanced`` in the session, or those of ``only``. Each has the rows of all
    published days of ``[first, last]``, with their ``date`` as the last column; ``balanced`` has a ``section`` before it.

    No file is opened. What is published later is seen once the views are made again. A column that only some days have is
    null on the others. A view with the columns of another day and no rows is made where no day in the range is published;
    where none at all is, the view is removed, and ``left_out`` of the result says so. Two lakes need two sessions
    (``spark.newSession()``), because views are found by name.

    Raises DamagedPartition where a day is not whole, and LakeError where two days have different types for one column.
    """
    lake = Lake(root, loading.directory(loading.normalise(use_case)))
    found = catalog.of(lake, first or date.min, last or date.max, only)
    make(spark, found)
    return found


def make(spark: SparkSession, found: Catalog) -> None:
    """Make the views of a catalog, in place of those that the session has by the same names."""
    for view in found.views.values():
        rows_of(spark, view).createOrReplaceTempView(view.name)
    for name in found.left_out:
        spark.catalog.dropTempView(name)


def rows_of(spark: SparkSession, view: View) -> DataFrame:
    """The rows of a view."""
    from pyspark.sql import functions as F

    if not view.files:
        return spark.createDataFrame([], _ddl((*view.columns, *view.added)))
    path = F.col("_metadata.file_path")
    day = F.to_date(F.regexp_extract(path, _PLACE, _DAY_GROUP))
    section = {SECTION[0]: F.regexp_extract(path, _PLACE, _SECTION_GROUP)} if SECTION in view.added else {}
    return read_parquet(spark, view.files, _ddl(view.columns), **section, date=day)


def _ddl(columns: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in columns)


def check_query(spark: SparkSession, text: str) -> None:
    """Raise QueryError for a text that is no query, or a statement of another kind."""
    session = spark._jsparkSession  # PySpark has no parser of its own
    parser = session.sessionState().sqlParser()
    with failures_of_queries_said():
        parser.parsePlan(text)
    try:
        with failures_of_queries_said():
            parser.parseQuery(text)
    except QueryError as error:
        found = f"a statement of another kind, {text.split()[0].upper()}"
        raise QueryError(error.where, _ONLY_QUERIES, found, "ask for rows; views are read and never changed") from error


def query(spark: SparkSession, text: str) -> DataFrame:
    """The rows that a query asks for. Raises QueryError where Spark refuses it."""
    check_query(spark, text)
    with failures_of_queries_said():
        return spark.sql(text)


@contextmanager
def failures_of_queries_said() -> Iterator[None]:
    """Turn what Spark raises of a query in the block into a QueryError of one line, with the place in the query where
    Spark knows it; what is no fault of the query becomes what ``unreadable_files_named`` says."""
    from pyspark.errors import PySparkException

    try:
        with unreadable_files_named():
            yield
    except PySparkException as error:
        condition, message = error.getCondition() or "", str(error).strip()
        if not condition or condition.startswith("INTERNAL_ERROR"):
            raise
        raise QueryError(_where(message), _ONLY_QUERIES, _reason(message), _next_step(condition)) from error


def _where(message: str) -> str:
    """The query, with the line and the position of the fault, both from 1, where Spark says them."""
    from_0 = re.search(r"line (\d+),? pos (\d+)", message)
    if from_0:
        return f"the query, line {from_0[1]}, position {int(from_0[2]) + 1}"
    from_1 = re.search(r"\(line (\d+), position (\d+)\)", message)
    return f"the query, line {from_1[1]}, position {from_1[2]}" if from_1 else "the query"


def _reason(message: str) -> str:
    """The first sentence of Spark's message, without the name of its condition, the state and the place."""
    line = message.partition("\n")[0]
    line = re.sub(r"^\[[\w.]+\] ", "", line)
    line = re.sub(r" ?SQLSTATE: \w+.*$", "", line)
    return line.strip().rstrip(".;")


def _next_step(condition: str) -> str:
    if condition.startswith("TABLE_OR_VIEW_NOT_FOUND"):
        return "name a view that is there: `daystone sql` without a query lists them"
    if condition.startswith(("UNRESOLVED_COLUMN", "UNRESOLVED_ROUTINE")):
        return "correct the name: `daystone sql` without a query lists the columns of each view"
    return "correct the query; it is in Spark's SQL"
