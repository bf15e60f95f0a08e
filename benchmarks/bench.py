"""The benchmarks. Whole processes, as a user starts them, are compared with what no user can do without, in turn in one
run. After that come backfills (backfill.py), days with snapshots (snapshots.py), the costs of rules (cleaning.py), publications
to databases (publication.py), the costs of strict reading of CSV (csv_reading.py), of an export to ONNX (export.py), of a
publish on S3 (s3_publish.py) and of a prediction by REST (serving.py), and a part of the benchmarks of scoring (scoring.py).

    make bench [KEEP=1]
    python -m benchmarks.bench [--keep]

Ratios are medians over pairs of runs, so that a machine whose speed drifts slows both sides of a pair alike. The table
goes to standard output, the figures to benchmarks/results/local.json or, with KEEP=1 or --keep, to latest.json, which
git tracks. An exit code of 0 says that they were measured, not that they are good.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import backfill, cleaning, csv_reading, export, publication, s3_publish, scoring, serving, snapshots
from benchmarks.commands import apart, seconds
from benchmarks.result import Result, judge, options, parsed, record

LUIGI = str(Path(sys.executable).with_name("luigi"))
DAY = "2026-03-01"
ROWS_PER_DAY = 500

BARE_LUIGI = [sys.executable, "-c", "import luigi"]
BARE_SPARK = [
    sys.executable,
    "-c",
    "from pyspark.sql import SparkSession; assert SparkSession.builder.master('local[*]').getOrCreate().range(10).count() == 10",
]


def main() -> None:
    given = parsed(options(__doc__))
    print(
        f"load {os.getloadavg()[0]:.1f}; sample: 60 days of {ROWS_PER_DAY} rows; seconds are medians (least to most), ratios medians over pairs\n"
    )
    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
        lake = os.path.join(directory, "lake")
        seconds([sys.executable, "-m", "run", "sample", "--lake-root", lake, "--rows-per-day", str(ROWS_PER_DAY)])
        results = [
            compare("the first day ever, cold, with its training window / bare session", 1, chain(lake), BARE_SPARK),
            compare("a run with nothing to do / import luigi", 10, chain(lake), BARE_LUIGI, goal=2.0),
            compare(
                "one more day, cold / bare session", 5, chain(lake), BARE_SPARK, goal=2.0, before=lambda: one_more(lake)
            ),
            compare(
                "one more day, cold / the same without a quick start",
                5,
                chain(lake),
                [*chain(lake), "--spark-quick-start", "false"],
                before=lambda: one_more(lake),
                before_other=lambda: one_more(lake),
            ),
            compare(
                "a day whose features and model are there, without Java / scored by Spark",
                5,
                chain(lake),
                [*chain(lake), "--spark-scores-from-mb", "0"],
                goal=0.4,
                before=lambda: remove(lake, "predictions"),
                before_other=lambda: remove(lake, "predictions"),
            ),
        ]
        seconds(release(lake))  # so that there is one to remove
        results.append(
            compare(
                "the release of a day / a run with nothing to do",
                10,
                release(lake),
                chain(lake),
                goal=1.2,
                before=lambda: remove(lake, "release"),
            )
        )
    results += backfill.results()
    results += apart(snapshots.results)
    results += apart(publication.results)
    results += apart(cleaning.results)
    # S3 comes first: Spark's JVM lives as long as this process, and finds only the jars that it was started with.
    results += s3_publish.results()
    results += csv_reading.results()
    results += export.results()
    results += serving.results()
    results += scoring.lean_results()
    record(results, given.into)


def chain(lake: str) -> list[str]:
    return [LUIGI, "--module", "tasks", "BatchInference", "--date", DAY, "--lake-root", lake]


def release(lake: str) -> list[str]:
    return [LUIGI, "--module", "tasks", "Release", "--date", DAY, "--lake-root", lake]


def one_more(lake: str) -> None:
    """Leave the lake as it is in the morning of a day: its raw data have landed, and the days before are built."""
    remove(lake, "features", "selection", "predictions")


def remove(lake: str, *datasets: str) -> None:
    """Remove the day of some datasets."""
    for dataset in datasets:
        shutil.rmtree(f"{lake}/credit_risk/{dataset}/date={DAY}")


def compare(
    name: str,
    pairs: int,
    ours: Sequence[str],
    other: Sequence[str],
    goal: float | None = None,
    before: Callable[[], None] = lambda: None,
    before_other: Callable[[], None] = lambda: None,
) -> Result:
    """Run both commands in turn, each after the call that prepares it, and print a line."""
    taken: list[tuple[float, float]] = []
    for _ in range(pairs):
        before()
        took = seconds(ours)
        before_other()
        taken.append((took, seconds(other)))
    return judge(name, taken, goal)


if __name__ == "__main__":
    main()
