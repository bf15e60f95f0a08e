"""Scores whose tasks die, have twins or come too late: run by ``test_scoring_deaths.py`` on a cluster.

    python dying_tasks.py MASTER LOG LAKE SCRATCH

Each of ``WAYS`` scores the same day into a lake of its own, SCRATCH/NAME, and leaves marks in SCRATCH/NAME.marks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from unittest.mock import patch

from pyspark.sql import SparkSession

from spark_lib.errors import DaystoneError
from spark_lib.lake import Attempt, Lake
from spark_lib.scoring import engine
from spark_lib.scoring import partitions as scoring
from spark_lib.scoring.partitions import Slice, attempted
from spark_lib.session.session import session
from spark_lib.stages import inference, selection
from tests.spark.lakes import AFTER, ANY_FILE_ROWS, CASE, Parcels

_LONGEST = 90.0
#: A task that takes thrice as long as the first one that ended, and 3 s at least, gets a twin, on the other host.
_SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "50ms",
    "spark.speculation.multiplier": "3",
    "spark.speculation.minTaskRuntime": "3s",
    "spark.speculation.quantile": "0.5",
}

Told = scoring.Done | DaystoneError


def undisturbed(marks: Path, job: scoring.Job, share: Sequence[Slice], task: int) -> Told:
    return attempted(job, share, task)


def dies(marks: Path, job: scoring.Job, share: Sequence[Slice], task: int) -> Told:
    """The first attempt ends with its process, after its file was written and before Spark hears of it."""
    done = attempted(job, share, task)
    if task == 1 and _first(marks / "died"):
        os._exit(1)
    return done


def has_a_twin(marks: Path, job: scoring.Job, share: Sequence[Slice], task: int) -> Told:
    """Both attempts have written their files before either is done."""
    done = attempted(job, share, task)
    if task == 1:
        (marks / f"wrote-{os.getpid()}").touch()
        _wait(lambda: len(list(marks.glob("wrote-*"))) > 1)
    return done


def comes_too_late(marks: Path, job: scoring.Job, share: Sequence[Slice], task: int) -> Told:
    """The first attempt writes its file after its twin's was published."""
    late = task == 1 and _first(marks / "late")
    if late:
        _wait((marks / "published").exists)
    done = attempted(job, share, task)
    if late:
        (marks / "wrote").touch()
    return done


WAYS = {"undisturbed": undisturbed, "dies": dies, "twin": has_a_twin, "zombie": comes_too_late}


def main(master: str, log: str, lake: str, scratch: str) -> None:
    conf = {"spark.executor.memory": "512m", "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1", **_SPECULATION}
    spark = session(master=master, driver_memory="1g", shuffle_partitions=2, conf=conf, log_file=log)
    for name, way in WAYS.items():
        marks = Path(scratch, f"{name}.marks")
        marks.mkdir()
        with patch.object(engine, "LEAST_ROWS", 0), patch.object(scoring, "attempted", partial(way, marks)):
            score(spark, Lake(lake, CASE), Lake(f"{scratch}/{name}", CASE))
        (marks / "published").touch()
    _wait((Path(scratch) / "zombie.marks" / "wrote").exists)


def score(spark: SparkSession, source: Lake, target: Lake) -> None:
    (to_score,) = source.require("features", AFTER)
    pinned = selection.pinned(source, source.require("selection", AFTER)[0])
    with Attempt(target, "predictions", [AFTER], stage="Test") as attempt:
        attempt.commit(
            inference.build(partial(scoring.run, spark), Parcels(), to_score, pinned, attempt, ANY_FILE_ROWS)
        )


def _first(mark: Path) -> bool:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LONGEST
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError("what a test waits for did not happen")
        time.sleep(0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
