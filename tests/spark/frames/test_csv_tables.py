"""Whatever a table of a feed is, in whatever dialect: Spark gets exactly the values that were written."""

from __future__ import annotations

from datetime import date, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.frames import raw as raw_feeds
from spark_lib.lake import Dialect, RawFeed
from spark_lib.use_case import Feed
from tests.support.drawn_tables import EVERY_TYPE, Table, dialects, tables

FIRST = date(2000, 1, 1)
DECLARED = Feed(", ".join(f"{name} {kind}" for name, kind in EVERY_TYPE.items()), key="text")


def drawn(strategy: Any, many: int) -> list[Any]:
    """So many examples of a strategy."""
    found: list[Any] = []

    @settings(
        max_examples=many,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(example: Any) -> None:
        found.append(example)

    draw()
    return found


@pytest.mark.parametrize("many", [200, pytest.param(2_000, marks=pytest.mark.full)])
def test_any_table_that_lands_as_csv_is_read_as_it_was_written(spark: SparkSession, tmp_path: Path, many: int) -> None:
    """Each table is a day of a feed; the feeds of all dialects are read by one job."""
    written: dict[tuple[int, date], Table] = {}
    frames = []
    for number, options in enumerate(drawn(dialects(), 10)):
        feed = RawFeed(f"feed{number}", str(tmp_path), "shop", format="csv", dialect=Dialect(**options))
        of_feed = drawn(tables(options, EVERY_TYPE), many // 10)
        for place, table in enumerate(of_feed):
            day = FIRST + timedelta(days=place)
            land(feed, day, table)
            written[number, day] = table
        days = feed.history(FIRST, FIRST + timedelta(days=len(of_feed) - 1))
        frames.append(raw_feeds.read(spark, days, DECLARED).withColumn("feed", F.lit(number)))
    found: dict[tuple[int, date], list[Any]] = {key: [] for key in written}
    for row in reduce(DataFrame.unionByName, frames).toArrow().to_pylist():
        found[row.pop("feed"), row.pop("landed")].append(row)
    for key, table in written.items():
        assert found[key] == table.rows, table


def land(feed: RawFeed, day: date, table: Table) -> None:
    directory = Path(feed.directory(day))
    directory.mkdir(parents=True)
    (directory / "table.csv").write_bytes(table.text)
    (directory / feed.flag).touch()
