"""Reads outcomes: those of rows to be trained on, and those that the features of a day may look back on.

What an outcome means as a label, a number, is left to the caller.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from spark_lib import problems
from spark_lib.errors import BadData
from spark_lib.frames import raw as raw_feeds
from spark_lib.use_case.ddl import quoted
from spark_lib.use_case.keys import names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.lake import RawDays
    from spark_lib.use_case import UseCase

#: The columns that ``joined`` adds.
OUTCOME, EXCLUDED = "_outcome", "_excluded"
_THERE, _LATER = "_there", "_later"


def joined(
    spark: SparkSession, case: UseCase, rows: DataFrame, outcomes: RawDays, later: RawDays | None = None
) -> DataFrame:
    """Add to ``rows``, which have the key and the day they ``landed``, two columns: ``OUTCOME``, which is null where
    none is known, and ``EXCLUDED``, which says that none will ever be.

    ``outcomes`` are days of the label's feed, and ``later`` those of its feed for what becomes known later. Raises
    BadData for a day that breaks its feed's declaration, and for an outcome outside of its set.
    """
    from pyspark.sql import functions as F

    label, keys = case.label, list(names(case.key))
    if not case.label_lands_with_rows:
        by_key = _latest(case, checked(spark, case, outcomes), outcomes.feed.name)
        found = rows.join(by_key, keys, "left")
        return found.withColumns({OUTCOME: F.col(f"{_LATER}.{OUTCOME}"), EXCLUDED: F.lit(False)}).drop(_LATER)
    own = checked(spark, case, outcomes).select(
        *keys, "landed", F.col(quoted(label.column)).alias(OUTCOME), F.lit(True).alias(_THERE)
    )
    found = rows.join(own, [*keys, "landed"], "left").select(*rows.columns, OUTCOME, _THERE)
    if later is None:
        never = F.coalesce(F.col(_THERE) & F.col(OUTCOME).isNull(), F.lit(False))
        return found.withColumn(EXCLUDED, never).drop(_THERE)
    by_key = _latest(case, checked(spark, case, later), later.feed.name)
    newer = F.col(OUTCOME).isNull() | (F.col(f"{_LATER}.landed") >= F.col("landed"))
    known = F.when(F.col(_LATER).isNotNull() & newer, F.col(f"{_LATER}.{OUTCOME}")).otherwise(F.col(OUTCOME))
    found = found.join(by_key, keys, "left")
    return found.withColumns({OUTCOME: known, EXCLUDED: F.lit(False)}).drop(_THERE, _LATER)


def checked(spark: SparkSession, case: UseCase, days: RawDays) -> DataFrame:
    """The rows of a feed of outcomes. Raises BadData where a day breaks the feed's declaration, where it has a null in
    place of an outcome (in the scored feed it may), and for an outcome outside of its set."""
    label, feed = case.label, case.feeds[days.feed.name]
    landed = raw_feeds.read(spark, days, feed)
    with_rows = days.feed.name == case.rows
    raw_feeds.check(days, feed, landed, names(label.key) if with_rows else [*names(label.key), label.column])
    check_allowed(case, days, landed)
    return landed


def past(
    spark: SparkSession,
    case: UseCase,
    days: RawDays,
    before: date,
    also_before: Collection[date] = (),
    after: date | None = None,
) -> DataFrame:
    """The outcomes of ``days`` that landed before a day. The newest day of them is checked, as is the newest before each
    of ``also_before``, which are earlier days. Days from ``before`` on are not read at all.

    With ``after`` those alone are returned that landed later than that day.

    Of the scored feed, the outcomes are the key, the label's column where it is not null, and ``landed``. Of another
    feed they are its rows.
    """
    earlier = replace(days, days=tuple(day for day in days.days if day.date < before))
    feed = case.feeds[days.feed.name]
    landed = raw_feeds.read(spark, earlier.after(after), feed)
    newest = _newest_before(earlier, {before, *also_before})
    if days.feed.name != case.rows:
        if newest.days:
            checked(spark, case, newest)
        return landed
    if newest.days:  # its rows were checked when their own features were built
        check_allowed(case, newest, raw_feeds.read(spark, newest, feed))
    return told(case, landed)


def told(case: UseCase, landed: DataFrame) -> DataFrame:
    """The outcomes among ``landed`` rows of the scored feed: key, the label's column where it is not null, and
    ``landed``."""
    column = quoted(case.label.column)
    return landed.select(*names(case.key), column, "landed").where(f"{column} is not null")


def _newest_before(days: RawDays, ends: Collection[date]) -> RawDays:
    """The newest of the days before each of ``ends``."""
    newest = {max((day.date for day in days.days if day.date < end), default=None) for end in ends}
    return replace(days, days=tuple(day for day in days.days if day.date in newest))


def _latest(case: UseCase, landed: DataFrame, feed: str) -> DataFrame:
    """The outcome that landed last of each key, with the day it landed. On one day the greatest key of the feed
    counts."""
    from pyspark.sql import functions as F

    label = case.label
    outcome = F.struct("landed", F.col(quoted(label.column)).alias(OUTCOME))
    newest = F.max_by(outcome, F.struct("landed", *names(case.feeds[feed].key))).alias(_LATER)
    refers = zip(names(label.key), names(case.key), strict=True)
    return landed.groupBy(*(F.col(own).alias(column) for own, column in refers)).agg(newest)


def check_allowed(case: UseCase, days: RawDays, landed: DataFrame) -> None:
    """Raise BadData for the first outcome among the rows ``landed`` that the label does not declare."""
    from pyspark.sql import functions as F

    column, problem = case.label.column, problems.of(case.label)
    value = F.col(quoted(column))
    other = landed.where(value.isNotNull() & ~problem.is_outcome(value)).orderBy("landed", value).first()
    if other is not None:
        raise BadData(
            f"raw feed {days.feed.name} of {other['landed']}",
            f"{column!r} to be {problem.wanted}",
            repr(other[column]),
            f"land the day again, or {problem.repair}",
        )
