"""Measures what it takes to see what a lake on S3 holds: a plan of every stage over many days, and a backfill of a year in
which there is nothing to do, both against the import of Luigi and boto3.

    python -m benchmarks.planning [--days 1000] [--pairs 3] [--keep]

The lake is one of tests/unit/stubs: the stages are Daystone's own, and what they write is small. Its last third has every
kind of state: days that landed again, and partitions that are missing or damaged. The goals are for the default number of days;
with another the figures are printed and not written. It is not a part of ``make bench``, for to lay the lake takes long.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

import tasks
from benchmarks.backfill import peak
from benchmarks.commands import seconds
from benchmarks.result import Result, judge, judged, options, parsed, record
from spark_lib.lake import days
from tests.support.s3 import Server, versitygw
from tests.unit.stubs.stublake import LOANS, StubLake, build, prepare

#: The first day, and the first that a model scores.
FIRST, SCORED = date(2026, 1, 1), date(2026, 1, 12)
DAYS, YEAR = 1_000, 365
PLAN_GOAL, NOTHING_GOAL, MEGABYTES = 20.0, 3.0, 300
IMPORTS = [sys.executable, "-c", "import luigi, boto3"]
#: Days that one call of Luigi builds.
TOGETHER = 50


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--pairs", type=int, default=3)
    given = parsed(parser, days=DAYS)
    record(results(given.days, given.pairs), given.into)


def results(count: int = DAYS, pairs: int = 3) -> list[Result]:
    last = FIRST + timedelta(days=count - 1)
    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory, versitygw(Path(directory)) as server:
        bucket = lay(Path(directory, "lake"), last, server)
        cache = f"{directory}/cache"
        os.environ |= server.environment | {"XDG_CACHE_HOME": cache}
        plan = verb(bucket, "plan", FIRST, last, "--why")
        quiet = min(YEAR, 2 * count // 3)
        year = verb(bucket, "backfill", SCORED, FIRST + timedelta(days=quiet - 1))

        every = f"a plan of {count:,} days of every stage on S3"
        imports = "import luigi, boto3"
        memory = peak(plan)
        shutil.rmtree(cache)
        cold = [(seconds(plan), seconds(IMPORTS))]
        warm = [(seconds(plan), seconds(IMPORTS)) for _ in range(pairs)]
        nothing = [(seconds(year), seconds(IMPORTS)) for _ in range(pairs)]
        return [
            judge(f"{every}, nothing read before / {imports}", cold),
            judge(f"{every}, read before / {imports}", warm, PLAN_GOAL),
            judged(f"peak of {every} / {MEGABYTES} MB", memory / MEGABYTES, 1.0),
            judge(f"a backfill of a year on S3 with nothing to do / {imports}", nothing, NOTHING_GOAL),
        ]


def verb(bucket: str, name: str, first: date, last: date, *more: str) -> list[str]:
    place = ("--lake-root", f"s3://{bucket}/lake", "--use-case", LOANS)
    return [sys.executable, "-m", "run", name, "--from", str(first), "--to", str(last), *more, *place]


def lay(root: Path, last: date, server: Server) -> str:
    """A lake with every stage of every day until ``last``, of which the last third is disturbed, in a bucket."""
    logging.disable(logging.INFO)
    with pytest.MonkeyPatch.context() as patch:
        lake = prepare(patch, root, use_case=LOANS)
        lake.land(last)
        asked = days(FIRST, last)
        for begin in range(0, len(asked), TOGETHER):
            some = asked[begin : begin + TOGETHER]
            build(*(tasks.BatchInference(date=day) for day in some if day >= SCORED))
            build(*(tasks.ServingFeatures(date=day) for day in some))
    disturb(lake, asked[2 * len(asked) // 3 :])
    bucket = server.new_bucket()
    server.upload(root, bucket, "lake")
    print(f"{len(asked):,} days, {sum(path.is_file() for path in root.rglob('*')):,} objects", flush=True)
    return bucket


def disturb(lake: StubLake, some: Sequence[date]) -> None:
    """Let days land again, and let partitions be missing or damaged."""
    draw = np.random.default_rng(0)

    def pick(those: Sequence[date], number: int) -> list[date]:
        return [those[place] for place in draw.choice(len(those), number, replace=False)]

    for dataset in ("features", "balanced", "model", "selection", "predictions"):
        there = sorted(set(some) & lake.published(dataset).keys())
        chosen = pick(there, len(there) // 10)
        for day in chosen[::2]:
            lake.delete(dataset, day)
        for day in chosen[1::2]:
            lake.damage(dataset, day)
    for day in pick(some, len(some) // 30):
        lake.flag("events", day).with_name("rows.csv").write_text("again")


if __name__ == "__main__":
    main()
