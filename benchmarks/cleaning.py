"""Measures what rules cost: a day of a feed with rules on three columns, cleaned, and its features from clean days, against
the features of the same day from raw days, in one warm session.

    python -m benchmarks.cleaning [--pairs N] [--rows N] [--keep]

What is timed are whole stages: listings, jobs, checksums and manifests. Both sides read the same raw days, of which the
earlier ones are cleaned before anything is timed. All rows pass, so that both have the same features, whose digests are
compared.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from benchmarks.backfill import FIRST, land
from benchmarks.result import Result, judge, run
from spark_lib.use_cases.credit_risk import CreditRisk

DAYS = 3
ROWS, PAIRS = 1_000_000, 3
GOAL = 1.5
PLAIN, RULED = "credit_risk", "benchmarks.cleaning:Ruled"
RULES = {
    "amount is sound": "loan_amount > 0 AND loan_amount < 1000000",
    "born before the loan": "birth_date < loan_time",
    "a car or none": "flag_own_car IS NOT NULL",
}


class Ruled(CreditRisk):
    """The same use case, whose scored feed declares rules on three columns."""

    feeds = dict(CreditRisk.feeds) | {"applications": replace(CreditRisk.feeds["applications"], rules=RULES)}


def main() -> None:
    run(__doc__, results, PAIRS, rows=ROWS)


def results(rows: int = ROWS, pairs: int = PAIRS) -> list[Result]:
    """The figures. They end the process where features of clean days are others than those of raw days."""
    import tasks
    from tasks.config import resolve

    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
        resolve.give("lake", "root", directory)
        resolve.give("pipeline", "first_date", str(FIRST))
        resolve.give("raw", "path", "{root}/credit_risk/raw/{feed}/date={date:%Y-%m-%d}")
        last = land(directory, DAYS, rows, customers=10 * rows)
        plain = [tasks.FeatureEngineering(date=last, use_case=PLAIN, lake=directory)]
        clean = [
            tasks.Cleaning(date=last - timedelta(days=back), use_case=RULED, lake=directory, feed="applications")
            for back in range(DAYS)
        ]
        ruled = [clean[0], tasks.FeatureEngineering(date=last, use_case=RULED, lake=directory)]
        for stage in clean[1:]:
            stage.run()
        seconds(ruled)  # both warm up
        seconds(plain)
        taken = [(seconds(ruled), seconds(plain)) for _ in range(pairs)]
        digests = {stages[-1].partitions.require("features", last)[0].manifest.digest for stages in (ruled, plain)}
    if len(digests) > 1:
        sys.exit("features of clean days are others than those of raw days")
    return [
        judge(
            f"a day of {rows:,} rows with rules on three columns, cleaned, and its features / without rules",
            taken,
            GOAL,
        )
    ]


def seconds(stages: list[Any]) -> float:
    """The seconds that stages take to build their days, which may be there, again."""
    began = time.perf_counter()
    for stage in stages:
        stage.force = True
        stage.run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
