"""Measures a backfill against what one would do without it: a day, a process of Luigi for each day, and one hand-written
Spark job for all days. Each is a whole process, as a user starts it.

    python -m benchmarks.backfill [--days 365] [--rows 100000] [--pairs 1] [--keep]

``--days`` are small days of features, and ``--rows`` those of each of 30 large days. The goals are for the defaults; with
other sizes the figures are printed and not written.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.commands import environment, seconds
from benchmarks.result import Result, judge, judged, options, parsed, record, words
from benchmarks.sides import held
from spark_lib.lake import RawFeed, days

FIRST = date(2025, 1, 1)
DAYS, ROWS, SMALL_ROWS = 365, 100_000, 20
LARGE_DAYS, LUIGI_DAYS, FEW_DAYS = 30, 20, 30
#: Seconds between two looks at the memory of a process.
LOOK = 0.1

#: What one would write by hand for a range of days: the same columns and rows in one job that checks nothing.
BY_HAND = """
import sys
from pyspark.sql import SparkSession, functions as F
from spark_lib.use_cases.credit_risk import completed_years, exact_amount, exact_average, utc_date
source, target = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[*]").config("spark.driver.memory", "2g").config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC").getOrCreate()
)
loans = spark.read.parquet(source)
earlier = loans.select(
    F.col("customer_id").alias("by"), F.col("loan_time").alias("at"), F.col("date").alias("there"),
    exact_amount(F.col("loan_amount")).alias("amount"),
)
known = (F.col("by") == F.col("customer_id")) & (F.col("at") < F.col("loan_time")) & (F.col("there") <= F.col("date"))
previous = loans.join(earlier, known).groupBy("date", "loan_id").agg(
    F.count("*").alias("nb_previous_loans"), exact_average(F.sum("amount"), F.count("amount")).alias("avg_amount_loans_previous")
)
loan_date = utc_date(F.col("loan_time"))
rows = loans.join(previous, ["date", "loan_id"], "left").select(
    "loan_id", "customer_id", "loan_time",
    F.coalesce("nb_previous_loans", F.lit(0)).alias("nb_previous_loans"), "avg_amount_loans_previous",
    completed_years(F.col("birth_date"), loan_date).alias("age"),
    completed_years(F.col("job_start_date"), loan_date).alias("years_on_the_job"), "flag_own_car", "date",
)
rows.write.partitionBy("date").parquet(target)
"""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--pairs", type=int, default=1)
    given = parsed(parser, days=DAYS, rows=ROWS)
    record(results(given.days, given.rows, given.pairs), given.into)


def results(count: int = DAYS, rows: int = ROWS, pairs: int = 1) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
        small, large = f"{directory}/small", f"{directory}/large"
        last = land(small, count, SMALL_ROWS, customers=5_000)
        found = [
            judge(
                f"a backfill of {count} small days of features / one of them alone, cold",
                [(seconds(backfill(small, FIRST, last)), seconds(one_day(small, last))) for _ in range(pairs)],
                6.0,
            ),
            judge(
                f"a backfill of {count} small days / a process of Luigi for each, by {min(count, LUIGI_DAYS)} of them",
                [(seconds(backfill(small, FIRST, last)), day_by_day(small, count, last)) for _ in range(pairs)],
                1 / 30,
            ),
            memory(small, count),
        ]
        last = land(large, LARGE_DAYS, rows, customers=LARGE_DAYS * rows // 3)
        found.append(
            judge(
                f"a backfill of {LARGE_DAYS} days of {rows:,} rows / one hand-written Spark job",
                [(seconds(backfill(large, FIRST, last)), by_hand(large)) for _ in range(pairs)],
                1.15,
            )
        )
        same = rows_of(f"{large}/by hand"), rows_of(f"{large}/credit_risk/features")
        if same[0] != same[1]:
            sys.exit(f"the hand-written job has {same[0]:,} rows, the backfill {same[1]:,}")
    return found


def land(root: str, count: int, rows: int, customers: int) -> date:
    """Land days of applications, of customers who come again, and return the last day."""
    feed = RawFeed("applications", root, "credit_risk")
    last = FIRST + timedelta(days=count - 1)
    for number, day in enumerate(days(FIRST, last)):
        draw = np.random.default_rng(number)
        place = Path(feed.directory(day))
        place.mkdir(parents=True)
        names = pc.binary_join_element_wise(str(day), pa.array(np.arange(rows).astype(str)), "-")
        midnight = datetime.combine(day, clock(), UTC)
        late = draw.random(rows) < 1 / 50  # they land a day after their time
        moments = draw.integers(0, 86_400_000_000, rows) - late * 86_400_000_000
        times = pa.array(int(midnight.timestamp() * 1_000_000) + moments).cast(pa.timestamp("us", "UTC"))
        table = pa.table(
            {
                "loan_id": names,
                "customer_id": pa.array(draw.integers(0, customers, rows).astype(str)),
                "birth_date": pa.array(draw.integers(0, 12_000, rows).astype(np.int32)).cast(pa.date32()),
                "job_start_date": pa.array(draw.integers(12_000, 20_000, rows).astype(np.int32)).cast(pa.date32()),
                "flag_own_car": pa.array(draw.random(rows) < 1 / 2),
                "loan_amount": pa.array(draw.integers(100, 50_000, rows).astype(float)),
                "loan_time": times,
            }
        )
        pq.write_table(table, place / "part-0.parquet")
        (place / "_SUCCESS").touch()
    return last


def backfill(root: str, first: date, last: date) -> list[str]:
    return _verb(root, "backfill", "--from", first, "--to", last, "--stage", "features")


def one_day(root: str, day: date) -> list[str]:
    return _verb(root, "run", "features", "--date", day)


def _verb(root: str, *arguments: object) -> list[str]:
    """A verb on a lake of which raw days are left alone: what was built of them is removed now."""
    shutil.rmtree(f"{root}/credit_risk/features", ignore_errors=True)
    first = ("--set", f"pipeline.first_date={FIRST}")
    return [sys.executable, "-m", "run", *map(str, arguments), "--lake-root", root, *first]


def day_by_day(root: str, count: int, last: date) -> float:
    """The seconds that a process of Luigi for each day would take, by the last days, which have the longest history."""
    shutil.rmtree(f"{root}/credit_risk/features", ignore_errors=True)
    luigi = str(Path(sys.executable).with_name("luigi"))
    taken = 0.0
    asked = days(max(FIRST, last - timedelta(days=LUIGI_DAYS - 1)), last)
    for day in asked:
        command = [luigi, "--module", "tasks", "FeatureEngineering", "--date", str(day), "--lake-root", root]
        taken += seconds([*command, "--pipeline-first-date", str(FIRST)])
    return taken * count / len(asked)


def by_hand(root: str) -> float:
    target = f"{root}/by hand"
    shutil.rmtree(target, ignore_errors=True)
    source = f"{root}/credit_risk/raw/applications"
    return seconds([sys.executable, "-c", BY_HAND, source, target])


def rows_of(directory: str) -> int:
    return sum(pq.read_metadata(file).num_rows for file in Path(directory).rglob("*.parquet"))


def memory(root: str, count: int) -> Result:
    """The peak of the driver and its JVM while all days are built, over that of the last few days."""
    last = FIRST + timedelta(days=count - 1)
    few = max(FIRST, last - timedelta(days=FEW_DAYS - 1))
    peaks = [peak(backfill(root, first, last)) for first in (FIRST, few)]
    name = f"driver's peak with {count} small days / with the last {FEW_DAYS} of them"
    result = judged(name, peaks[0] / peaks[1], 1.2)
    print(f"{name}\n    {result.ratio:.3g} ({words(result)}); {peaks[0]:.0f} MB against {peaks[1]:.0f} MB", flush=True)
    return result


def peak(command: Sequence[str]) -> float:
    """The greatest number of megabytes that a process and its JVM hold."""
    most = 0.0
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, held(process.pid).driver)
            time.sleep(LOOK)
    if process.returncode:
        sys.exit(f"exit {process.returncode}: {process.args!r}")
    return most


if __name__ == "__main__":
    main()
