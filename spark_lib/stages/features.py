"""Builds the features of the rows that landed on a day, and checks that the use case returned one row for each of
them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import UseCaseError
from spark_lib.frames import raw as raw_feeds
from spark_lib.frames.files import (
    columns_of,
    digests_of_days,
    schema_of,
    unreadable_files_named,
    write_parquet,
    write_partitioned,
)
from spark_lib.lake import Attempt, RawDays, Rows
from spark_lib.stages import outcomes
from spark_lib.use_case.keys import names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.use_case import UseCase

# Columns that mark the two sides of the join in the check. They are never written.
_ASKED, _RETURNED = "_asked", "_returned"
#: The column of raw rows with the day on which they landed.
LANDED = "landed"
#: The digest of no rows.
_NO_ROWS = "0-0-0"


@unreadable_files_named()
def build(spark: SparkSession, case: UseCase, raw: Mapping[str, RawDays], url: str, file_rows: int) -> Rows:
    """Write the features of the newest day of ``raw`` below ``url``.

    ``raw`` holds, by feed, every landed day up to that one, and of outcomes those before it. Raises BadData where the
    day breaks its feed's declaration, and UseCaseError where ``engineer`` does not return exactly one row for each key
    of the day.
    """
    history, day, rows = read_landed(spark, case, raw)
    return write_engineered(case, day, rows, engineered(case, day, history), url, file_rows)


@unreadable_files_named()
def build_days(
    spark: SparkSession, case: UseCase, raw: Mapping[str, RawDays], attempt: Attempt, file_rows: int
) -> dict[date, Rows]:
    """Write the features of all days of ``attempt`` by one job, each day into a directory of its own.

    ``raw`` holds, by feed, every landed day up to the last of them, and of outcomes those before it. Of each day the rows
    are those that ``build`` writes: ``engineer_days`` compares the days on which rows ``landed``. Raises what ``build``
    raises, for any of the days; then nothing is to be published, and each day can be built alone.
    """
    from pyspark.sql import functions as F

    first, last = attempt.days[0], attempt.days[-1]
    spark.sparkContext.setJobDescription(f"{attempt.dataset} of {first} to {last} ({len(attempt.days):,} days)")
    history, days, rows = read_landed_days(spark, case, raw, attempt.days)
    returned = engineered(case, days, history, together=True)
    check_columns(case, returned, "engineer_days")
    check_asks_no_clock(case, returned, "engineer_days")
    key = [*names(case.key), LANDED]
    asked = days.select(*dict.fromkeys([*case.identity, LANDED]), F.lit(True).alias(_ASKED))
    both = asked.join(returned.withColumn(_RETURNED, F.lit(True)), key, "full_outer")
    places = {"date": F.col(LANDED), "run": F.lit(attempt.run)}
    frame = both.select(
        *case.identity,
        *case.features,
        *(places[column].alias(column) for column in attempt.partition_by),
        _ASKED,
        _RETURNED,
    )
    lost = F.count_if(F.col(_RETURNED).isNull()).alias("lost")
    foreign = F.count_if(F.col(_ASKED).isNull()).alias("foreign")
    observed = write_partitioned(
        frame, attempt.destination, file_rows, attempt.partition_by, [lost, foreign], drop=[_ASKED, _RETURNED]
    )
    asked_for = sum(rows.values())
    doubled = observed["rows"] - observed["foreign"] - asked_for
    check_one_row_each(case, asked_for, observed["lost"], doubled, observed["foreign"], "engineer_days")
    schema = schema_of(frame.drop(*attempt.partition_by, _ASKED, _RETURNED))
    directories = {day: attempt.written(day) for day in attempt.days if rows[day]}
    digests = digests_of_days(spark, directories, schema)
    return {day: Rows({"": rows[day]}, schema, digest=digests.get(day, _NO_ROWS)) for day in attempt.days}


def read_landed_days(
    spark: SparkSession, case: UseCase, raw: Mapping[str, RawDays], days: Collection[date]
) -> tuple[dict[str, DataFrame], DataFrame, dict[date, int]]:
    """What ``read_landed`` returns for each of ``days``, for all of them together: all landed rows by feed, the rows to
    be scored, both with the day on which each ``landed``, and the number of rows to be scored by day. Each of the days is
    checked."""
    last = max(days)
    past = {feed: outcomes.past(spark, case, raw[feed], last, days) for feed in case.past_outcome_feeds}
    if case.label_lands_with_rows and case.feeds[case.rows].history:
        past[case.rows_outcomes] = outcomes.past(spark, case, raw[case.rows], last, days)
    hidden = hidden_columns(case)
    seen = [feed for feed in raw if feed not in past]
    rows: dict[date, int] = {}
    for feed in seen:
        of_days = raw[feed].of(days)
        read = raw_feeds.read(spark, of_days, case.feeds[feed], hidden.get(feed))
        counted = raw_feeds.check(of_days, case.feeds[feed], read, case.identity if feed == case.rows else ())
        if feed == case.rows:
            scored, rows = read, counted
    history = {feed: raw_feeds.read(spark, raw[feed], case.feeds[feed], hidden.get(feed)) for feed in seen}
    return history | past, scored, rows


def read_landed(
    spark: SparkSession,
    case: UseCase,
    raw: Mapping[str, RawDays],
    outcomes_before: date | None = None,
    after: date | None = None,
) -> tuple[dict[str, DataFrame], DataFrame, int]:
    """All landed rows by feed (with the day on which each ``landed``), the newest day's rows to be scored, and their
    number. The label's column of the scored feed is not read. With ``after`` the landed rows are those of later days
    alone.

    The rows to be scored have ``landed`` only where no column is the event time, for which it stands then.

    Outcomes are among them where the use case asks for them, and only those that landed before a day, which is by
    default the newest of the scored feed.

    Only the newest day is checked for keys, nulls and size. Each earlier day is checked when its own features are
    built.
    """
    before = outcomes_before or raw[case.rows].last.date
    past = {feed: outcomes.past(spark, case, raw[feed], before, after=after) for feed in case.past_outcome_feeds}
    if case.label_lands_with_rows and case.feeds[case.rows].history:
        past[case.rows_outcomes] = outcomes.past(spark, case, raw[case.rows], before, after=after)
    hidden = hidden_columns(case)
    seen = [feed for feed in raw if feed not in past]
    for feed in seen:
        newest = raw_feeds.read(spark, raw[feed].newest, case.feeds[feed], hidden.get(feed))
        never_null = case.identity if feed == case.rows else ()
        counted = raw_feeds.check(raw[feed].newest, case.feeds[feed], newest, never_null)
        if feed == case.rows:
            day = newest if case.event_time is None else newest.drop("landed")
            rows = counted[raw[feed].last.date]
    history = {feed: raw_feeds.read(spark, raw[feed].after(after), case.feeds[feed], hidden.get(feed)) for feed in seen}
    return history | past, day, rows


def hidden_columns(case: UseCase) -> dict[str, str]:
    """The column of each feed that ``engineer`` does not see: the label's, of the scored feed."""
    return {case.rows: case.label.column} if case.label_lands_with_rows else {}


def write_engineered(case: UseCase, day: DataFrame, rows: int, returned: DataFrame, url: str, file_rows: int) -> Rows:
    """Write the features that were ``returned`` for ``day``, with key, entity and event time. ``day`` has ``rows`` rows,
    each key once.

    A full outer join brings together the rows asked for and the rows returned. So the write can count rows that are
    lost, foreign or doubled.
    """
    from pyspark.sql import functions as F

    check_columns(case, returned)
    check_asks_no_clock(case, returned)
    asked = day.select(*case.identity, F.lit(True).alias(_ASKED))
    both = asked.join(returned.withColumn(_RETURNED, F.lit(True)), list(names(case.key)), "full_outer")
    frame = both.select(*case.identity, *case.features, _ASKED, _RETURNED)
    lost = F.count_if(F.col(_RETURNED).isNull()).alias("lost")
    foreign = F.count_if(F.col(_ASKED).isNull()).alias("foreign")
    observed = write_parquet(frame, url, file_rows, [lost, foreign], drop=[_ASKED, _RETURNED])
    doubled = observed["rows"] - observed["foreign"] - rows
    check_one_row_each(case, rows, observed["lost"], doubled, observed["foreign"])
    schema = schema_of(frame.drop(_ASKED, _RETURNED))
    return Rows({"": observed["rows"]}, schema, digest=observed["digest"])


def engineered(case: UseCase, day: DataFrame, history: Mapping[str, DataFrame], together: bool = False) -> DataFrame:
    """What ``engineer`` returns, or for many days ``together`` what ``engineer_days`` returns. Raises UseCaseError where it asks for the label's column of the scored feed."""
    with label_withheld(case):
        return case.engineer_days(day, history) if together else case.engineer(day, history)


@contextmanager
def label_withheld(case: UseCase, method: str = "engineer") -> Iterator[None]:
    """Raise UseCaseError where a method of the use case asks for the label's column of the scored feed."""
    from pyspark.errors import AnalysisException

    try:
        yield
    except AnalysisException as error:
        asked = (error.getMessageParameters() or {}).get("objectName", "").replace("`", "").rpartition(".")[2]
        column = case.label.column
        if not case.label_lands_with_rows or asked.lower() != column.lower():
            raise
        raise UseCaseError(
            f"{method} of {type(case).__name__}",
            f"features of what is known before the outcome, which is the column {column!r} of feed {case.rows!r}",
            f"{asked!r} among the columns that it asks for",
            f"correct {method}; declare the feed with history=True to look back on outcomes of earlier days",
        ) from error


def check_one_row_each(
    case: UseCase, rows: int, lost: int, doubled: int, foreign: int, method: str = "engineer"
) -> None:
    """Raise UseCaseError unless ``engineer`` returned one row for each of the ``rows`` keys of a day."""
    if lost or foreign or doubled:
        raise UseCaseError(
            f"{method} of {type(case).__name__}",
            f"exactly one row for each of the day's {rows:,} keys",
            f"{lost:,} lost, {doubled:,} too many, {foreign:,} of keys that are not the day's",
            "correct engineer; nothing was published",
        )


def check_columns(case: UseCase, returned: DataFrame, method: str = "engineer") -> None:
    """Raise UseCaseError unless a ``method`` of the use case returned the key and the features, each of its declared type, and
    ``engineer_days`` the day on which a row landed besides."""
    declared = ", ".join(f"`{name}` {feature.type}" for name, feature in case.features.items())
    landed = columns_of(case.feeds[case.rows].schema)
    wanted = {column: landed[column] for column in names(case.key)} | columns_of(declared)
    wanted |= {LANDED: "date"} if method == "engineer_days" else {}
    found = {field.name: field.dataType.simpleString() for field in returned.schema.fields}
    if found != wanted:
        raise UseCaseError(
            f"{method} of {type(case).__name__}",
            f"the columns {ddl_of(wanted)}",
            ddl_of(found),
            f"correct {method} or `features`",
        )


def check_asks_no_clock(case: UseCase, returned: DataFrame, method: str = "engineer") -> None:
    """Refuse Spark's functions of the current time, such as ``current_date``. A time that Python reads is not found,
    because it is a constant in the plan."""
    jvm = returned.sparkSession.sparkContext._jvm
    assert jvm is not None  # a running session has one
    patterns = getattr(getattr(jvm.org.apache.spark.sql.catalyst.trees, "TreePattern$"), "MODULE$")
    if returned._jdf.queryExecution().analyzed().containsPattern(patterns.CURRENT_LIKE()):
        raise UseCaseError(
            f"{method} of {type(case).__name__}",
            "features that depend on what has landed alone",
            "a function of the moment of the run, as current_date() or now() is",
            f"count from {case.event_time or 'landed'!r}; nothing was published",
        )


def ddl_of(columns: Mapping[str, str]) -> str:
    """Columns and their types, as messages show them."""
    return ", ".join(f"{name} {kind}" for name, kind in sorted(columns.items()))
