"""Measures what strict reading of CSV costs: a landed day is read by the rules of docs/feeds.md, and the same file by
Spark's own lenient reader.

    python -m benchmarks.csv_reading [--rows 1000000] [--pairs 5] [--keep]

Both read every column of one file in one session, in turn, into Spark's sink that keeps nothing. Before that, each
reads the file once to warm up, and what they read is compared by a hash of every row. ``make bench`` runs it too.
Figures of other numbers of rows are printed only.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.result import Result, judge, run
from spark_lib.frames import raw as raw_feeds
from spark_lib.lake import RawDays, RawFeed
from spark_lib.session.session import session
from spark_lib.use_case import Feed

ROWS = 1_000_000
PAIRS = 5
GOAL = 1.3
DAY = date(2026, 1, 1)
ORDERS = Feed(
    "order_id STRING, customer_id STRING, ordered_at TIMESTAMP, amount DECIMAL(10,2), items INT, weight DOUBLE, "
    "comment STRING",
    key="order_id",
)


def results(rows: int = ROWS, pairs: int = PAIRS) -> list[Result]:
    """Measure and print."""
    spark = session(conf={"spark.ui.enabled": "false"})
    try:
        with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
            days = land(directory, rows)
            refuse_difference(strict(spark, days), lenient(spark, days))
            taken = [(seconds(strict(spark, days)), seconds(lenient(spark, days))) for _ in range(pairs)]
        size = f"{days.size / 1e6:,.0f} MB"
        return [judge(f"reading {rows:,} rows of CSV ({size}) by strict rules / Spark's lenient reading", taken, GOAL)]
    finally:
        spark.stop()


def land(root: str, rows: int) -> RawDays:
    """A day of orders in one file, with a few quoted values."""
    feed = RawFeed("orders", root, "shop", format="csv")
    directory = Path(feed.directory(DAY))
    directory.mkdir(parents=True)
    random = np.random.default_rng(0)
    at = random.integers(1_767_225_600_000_000, 1_767_312_000_000_000, rows)
    table = pa.table(
        {
            "order_id": [f"o{number:08d}" for number in range(rows)],
            "customer_id": [f"c{number:06d}" for number in random.integers(0, rows, rows)],
            "ordered_at": pa.array(at, pa.timestamp("us", "UTC")),
            "amount": pa.array(random.integers(1, 10**7, rows)).cast(pa.decimal128(19, 0)).cast(pa.decimal128(21, 2)),
            "items": random.integers(1, 100, rows, dtype=np.int32),
            "weight": random.random(rows),
            "comment": ["late, again" if number % 10 == 0 else "in time" for number in range(rows)],
        }
    )
    options = pa.csv.WriteOptions(quoting_style="needed", quoting_header="needed")
    pa.csv.write_csv(table, directory / "orders.csv", options)
    (directory / feed.flag).touch()
    return feed.history(DAY, DAY)


def strict(spark: SparkSession, days: RawDays) -> DataFrame:
    return raw_feeds.read(spark, days, ORDERS).drop("landed")


def lenient(spark: SparkSession, days: RawDays) -> DataFrame:
    """Read as most users would: by Spark's defaults, and with the schema, so that nothing has to be inferred."""
    return spark.read.schema(ORDERS.schema).csv(days.files, header=True)


def refuse_difference(one: DataFrame, other: DataFrame) -> None:
    """End the benchmark where two frames have not the same rows."""
    found = [
        frame.select(F.xxhash64(*frame.columns).cast("decimal(20,0)").alias("hash")).agg(F.count("hash"), F.sum("hash"))
        for frame in (one, other)
    ]
    ours, theirs = (tuple(frame.collect()[0]) for frame in found)
    if ours != theirs:
        raise SystemExit(f"the two read other rows: {ours} and {theirs}")


def seconds(frame: DataFrame) -> float:
    """The seconds that reading every column of a frame takes."""
    began = time.perf_counter()
    frame.write.format("noop").mode("overwrite").save()
    return time.perf_counter() - began


def main() -> None:
    run(__doc__, results, PAIRS, rows=ROWS)


if __name__ == "__main__":
    main()
