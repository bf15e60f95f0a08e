"""Builds the features of every entity as of the next midnight, by the same ``engineer``, for an event that is still to
come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from spark_lib.frames.files import columns_of, unreadable_files_named
from spark_lib.lake import RawDays, Rows
from spark_lib.stages.features import engineered, read_landed, write_engineered
from spark_lib.use_case.keys import names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_lib.use_case import UseCase


@unreadable_files_named()
def build(spark: SparkSession, case: UseCase, raw: Mapping[str, RawDays], url: str, file_rows: int) -> Rows:
    """Write one row for each entity that has landed: its latest row, with its event time set to the next midnight. Where
    no column is the event time, the day on which a row ``landed`` stands for it.

    The latest row is the one with the greatest event time. Of rows with the same event time it is the one with the
    greatest key, and of rows with the same key the last that landed. Raises what ``features.build`` raises.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    tomorrow = raw[case.rows].last.date + timedelta(days=1)
    history, _, _ = read_landed(spark, case, raw, outcomes_before=tomorrow)
    midnight = datetime.combine(tomorrow, time(), UTC)
    time_of_row = case.event_time or "landed"
    kind = "date" if case.event_time is None else columns_of(case.feeds[case.rows].schema)[case.event_time]
    order = [time_of_row, *names(case.key), "landed"]
    latest_first = Window.partitionBy(*names(case.entity_or_key)).orderBy(*map(F.desc, order))
    latest = history[case.rows].withColumn("_rank", F.row_number().over(latest_first)).where("_rank = 1").drop("_rank")
    if case.event_time is not None:
        latest = latest.drop("landed")
    latest = latest.withColumn(time_of_row, F.lit(midnight).cast(kind))
    return write_engineered(case, latest, latest.count(), engineered(case, latest, history), url, file_rows)
