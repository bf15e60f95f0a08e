"""The commands that processes of the stub are started with, what they are to publish, and what they may exit with."""

from __future__ import annotations

import signal
import sys
import sysconfig
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from spark_lib.lake import days
from tests.faults import stub
from tests.faults.reader import Key

DAY = date(2026, 1, 5)
MANY = days(date(2026, 1, 1), date(2026, 1, 8))
BACKFILLED = days(date(2026, 1, 4), date(2026, 1, 8))
LUIGI_CASE = stub.CASE.replace(":", ".")

#: Luigi's codes for a task that failed, and for one whose completeness could not be found out.
FAILED, UNKNOWN, NOT_RUN = 30, 35, 15
#: What an attempt at many days exits with: see spark_lib/errors.py.
REFUSED = frozenset(range(30, 41))
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Job:
    """A command, to which the root of the lake is added, and the partitions that are there when it has exited with 0."""

    command: tuple[str, ...]
    wanted: tuple[Key, ...]


def luigi(stage: str = "Report", day: date = DAY) -> Job:
    """Luigi's command line for a stage of the stub, and for all that it needs."""
    before = day - timedelta(days=1)
    needed = {"Seeds": [("seeds", day)], "Sums": [("sums", day), ("seeds", before), ("seeds", day)]}
    needed["Report"] = [("report", day), *needed["Sums"]]
    program = str(Path(sysconfig.get_path("scripts"), "luigi"))
    return Job(
        (program, "--module", "tests.faults.stub", stage, "--date", str(day), "--lake-root"),
        tuple((LUIGI_CASE, dataset, day) for dataset, day in needed[stage]),
    )


def clean(day: date = DAY) -> Job:
    """Removes a day of Sums, which a run builds again."""
    return Job((sys.executable, "-m", "tests.faults.stub", "clean", str(day)), ())


def many(first: int = 0, last: int = len(MANY) - 1) -> Job:
    """One attempt at many days."""
    asked = MANY[first : last + 1]
    return Job(
        (sys.executable, "-m", "tests.faults.stub", str(asked[0]), str(asked[-1])),
        tuple(("many", "many", day) for day in asked),
    )


def backfill(order: str = "oldest") -> Job:
    """A backfill of the reports of some days, and of all that they need."""
    first, *_, last = BACKFILLED
    needed = [("report", day) for day in BACKFILLED] + [("sums", day) for day in BACKFILLED]
    needed += [("seeds", day) for day in days(first - timedelta(days=1), last)]
    return Job(
        (sys.executable, "-m", "tests.faults.stub", str(first), str(last), order),
        tuple((LUIGI_CASE, dataset, day) for dataset, day in needed),
    )
