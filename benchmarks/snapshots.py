"""Measures how the time of a day of features grows with its history, with weekly snapshots and without, in one warm
session.

    python -m benchmarks.snapshots [--pairs N] [--rows N] [--keep]

What is timed is the whole stage: listings, the job, checksums and the manifest. Both days are the same day of the week, so
that as many days have landed since the last snapshot. The customers are a population of ten times the rows of a day, so
that nearly all of them have borrowed by the early day: what grows is the history and not the state.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import date, timedelta
from typing import Any

from benchmarks.backfill import FIRST, land
from benchmarks.result import Result, judge, run

EARLY, LATE = 52, 500
ROWS, PAIRS = 100_000, 3
CUSTOMERS_A_ROW = 10
GOAL = 1.2
CASE = "credit_risk"


def main() -> None:
    run(__doc__, results, PAIRS, rows=ROWS)


def results(rows: int = ROWS, pairs: int = PAIRS) -> list[Result]:
    """The figures. They end the process where features from a snapshot are others than those from all raw days."""
    from tasks.config import resolve

    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
        resolve.give("lake", "root", directory)
        resolve.give("pipeline", "first_date", str(FIRST))
        land(directory, LATE, rows, customers=CUSTOMERS_A_ROW * rows)
        with_them, digests = measured(directory, "weekly", pairs)
        without, others = measured(directory, "none", pairs)
    if digests != others:
        sys.exit(f"features from a snapshot are others: {digests}, and {others} from all raw days")
    what = f"day {LATE} of features / day {EARLY}, {rows:,} rows a day, warm"
    return [judge(f"{what}, weekly snapshots", with_them, GOAL), judge(f"{what}, all raw days", without)]


def measured(root: str, cadence: str, pairs: int) -> tuple[list[tuple[float, float]], list[str]]:
    """The seconds of the late day and the early one, in turn, and the digests of their rows."""
    import tasks
    from tasks.config import resolve
    from tasks.graph.stage import forget_checked

    resolve.give("features", "snapshot", cadence)
    forget_checked()
    days = [FIRST + timedelta(days=number - 1) for number in (LATE, EARLY)]
    stages = [made(tasks.FeatureEngineering, root, day) for day in days]
    for stage in reversed(stages):
        if before := tasks.Snapshot.before(stage.date, stage.settings):
            made(tasks.Snapshot, root, before).run()
        seconds(stage)  # it warms up
    taken = [(seconds(stages[0]), seconds(stages[1])) for _ in range(pairs)]
    return taken, [stage.partitions.require(stage.dataset, stage.date)[0].manifest.digest for stage in stages]


def made(kind: Any, root: str, day: date) -> Any:
    return kind(date=day, use_case=CASE, lake=root)


def seconds(stage: Any) -> float:
    """The seconds that a stage takes to build its day, which may be there, again."""
    stage.force = True
    began = time.perf_counter()
    stage.run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
