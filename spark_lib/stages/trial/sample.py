"""Reads the first rows of the newest landed days of each feed, and checks them as the stages would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from spark_lib.errors import DaystoneError, WaitingForData
from spark_lib.frames import raw as raw_feeds
from spark_lib.frames.files import unreadable_files_named
from spark_lib.lake.feeds import landed as listings
from spark_lib.stages import cleaning, outcomes
from spark_lib.use_case.keys import names

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.lake import RawDays, RawFeed
    from spark_lib.use_case import UseCase

#: The most days of a feed, and the most rows of each of them, that a use case is tried on.
DAYS, ROWS = 3, 1_000


@dataclass(frozen=True)
class FirstRows:
    """The first rows of some days of a feed: its declared columns, and the day on which each row ``landed``. Of a feed that
    is cleaned they are those of the first ``landed`` rows that pass."""

    days: RawDays
    table: pa.Table
    landed: int = 0

    @property
    def name(self) -> str:
        return self.days.feed.name


def listed(
    case: UseCase, feeds: Mapping[str, RawFeed], first_date: date
) -> tuple[dict[str, RawDays], dict[str, DaystoneError]]:
    """The days of each feed to try, at most ``DAYS`` of them, and the error of each feed that has none or has a hole.

    Feeds that features are made from end on one day, which is the newest that all of them have.
    """
    newest: dict[str, date] = {}
    errors: dict[str, DaystoneError] = {}
    for name, feed in feeds.items():
        day = listings.newest(feed, first_date)
        if day is None or day < first_date:
            errors[name] = _nobody_lands(feed, first_date)
        else:
            newest[name] = day
    together = min((newest[feed] for feed in case.feature_feeds if feed in newest), default=None)
    days: dict[str, RawDays] = {}
    for name, day in newest.items():
        last = day
        if together is not None and name in case.feature_feeds:
            last = together
        elif together is not None and name in case.past_outcome_feeds:  # features see those of earlier days
            last = max(first_date, min(day, together - timedelta(days=1)))
        try:
            days[name] = feeds[name].history(max(first_date, last - timedelta(days=DAYS - 1)), last)
        except DaystoneError as error:
            errors[name] = error
    return days, errors


@unreadable_files_named()
def read(spark: SparkSession, case: UseCase, days: RawDays) -> FirstRows:
    """The first rows of each of the days. Raises BadData for files that are not as the feed declares."""
    import pyarrow as pa

    declared = case.feeds[days.feed.name]
    reading = raw_feeds.read_fitting if declared.is_cleaned else raw_feeds.read
    of_days = [reading(spark, replace(days, days=(day,)), declared).limit(ROWS).toArrow() for day in days.days]
    nullable = pa.schema([field.with_nullable(True) for field in of_days[0].schema])
    found = pa.concat_tables([rows.cast(nullable) for rows in of_days])
    if declared.is_cleaned:
        return FirstRows(days, _passing(spark, case, days.feed.name, found), found.num_rows)
    return FirstRows(days, found, found.num_rows)


def _passing(spark: SparkSession, case: UseCase, feed: str, rows: pa.Table) -> pa.Table:
    """Those of the rows that pass the rules. Raises ConfigurationError for a rule that is no condition."""
    passed = cleaning.passing(spark, case, feed, frame_of(spark, rows)).toArrow()
    return passed.cast(rows.drop_columns([raw_feeds.MISFITS]).schema)


def checked(spark: SparkSession, case: UseCase, rows: FirstRows) -> str:
    """What was found, in words. Raises BadData for a key that is not unique, for a null where none may be, and for an
    outcome that the label does not declare."""
    feed = rows.name
    never_null = [name for name in case.never_null(feed) if name not in names(case.feeds[feed].key)]
    frame = frame_of(spark, rows.table)
    # The first rows of a day may be fewer than its least number of rows.
    days = replace(rows.days, feed=replace(rows.days.feed, min_rows=0))
    raw_feeds.check(days, case.feeds[feed], frame, never_null)
    if feed in case.outcome_feeds:
        outcomes.check_allowed(case, days, frame)
    first, last = days.days[0].date, days.last.date
    of_days = f"of {last}" if first == last else f"of {first} to {last}"
    if not rows.table.num_rows:
        return f"no rows {of_days}"
    if case.feeds[feed].is_cleaned:
        apart = rows.landed - rows.table.num_rows
        of_days = f"that pass, of the first {rows.landed:,} rows {of_days} ({apart:,} would be in quarantine),"
    outcome = ", declared outcomes" if feed in case.outcome_feeds else ""
    return f"the first {rows.table.num_rows:,} rows {of_days} have the declared columns, each key once{outcome}"


def frame_of(spark: SparkSession, rows: pa.Table) -> DataFrame:
    """The rows as a DataFrame. A timestamp without a zone is a TIMESTAMP_NTZ, as it was when it was read."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return spark.createDataFrame(rows, from_arrow_schema(rows.schema, prefer_timestamp_ntz=True))


def _nobody_lands(feed: RawFeed, first_date: date) -> WaitingForData:
    return WaitingForData(
        f"raw feed {feed.name}",
        f"a landed day from {first_date} on",
        f"no flag like {feed.flag_url(first_date)}",
        f"land a day, its flag last, or set [raw.{feed.name}] path to where days land",
    )
