"""Measures what a publish on S3 costs: a job of Spark's through an attempt, against the bare write of the same job.

    python -m benchmarks.s3_publish [--megabytes 200] [--pairs 2] [--keep]

All write the same rows from one session to one versitygw, in turn, so that a machine whose speed drifts slows them
alike. ``make bench`` runs it too. Figures of other sizes than the goal's are printed only.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.result import Result, judge, run, spread
from spark_lib.frames.files import schema_of, write_parquet
from spark_lib.lake import Attempt, Lake, Rows
from spark_lib.lake.stores import open_store
from spark_lib.lake.stores.store import Entry, Store
from spark_lib.session.paths import spark_path
from spark_lib.session.session import session
from tests.support.s3 import versitygw

MEGABYTES = 2000
PAIRS = 5
FILES = 12
COLUMNS = 16
FIRST_DAY = date(2026, 1, 1)
#: Hadoop's own committer, as a session without our settings has it. It renames files into their place; on S3 that is a
#: copy.
RENAME_COMMITTER = {
    "spark.sql.sources.commitProtocolClass": (
        "org.apache.spark.sql.execution.datasources.SQLHadoopMapReduceCommitProtocol"
    ),
    "spark.sql.parquet.output.committer.class": "org.apache.parquet.hadoop.ParquetOutputCommitter",
}


class Timed:
    """A store that passes everything on, and adds up what its requests took."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def list(self, *asked: str) -> Iterator[Entry]:
        with self._clock("listings"):
            found = [*self.store.list(*asked)]
        return iter(found)

    def open(self, key: str) -> BinaryIO:
        with self._clock("footers"):
            return self.store.open(key)

    def create(self, key: str, body: bytes) -> None:
        with self._clock("the put"):
            self.store.create(key, body)

    @contextmanager
    def _clock(self, what: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - begun


class Publishing:
    """Days published through an attempt, and where the time of their commits went."""

    def __init__(self, lake: Lake, frame: DataFrame) -> None:
        self.lake = lake
        self.frame = frame
        self.timed = lake.store = Timed(lake.store)
        self.written: list[float] = []
        self.committed: list[float] = []
        self.parts: list[dict[str, float]] = []

    def __call__(self) -> None:
        day = FIRST_DAY + timedelta(days=len(self.written))
        begun = time.perf_counter()
        with Attempt(self.lake, "features", [day], stage="Benchmark") as attempt:
            observed = write_parquet(self.frame, attempt.destination, file_rows=10**9)
            written = time.perf_counter()
            self.timed.seconds.clear()
            attempt.commit(Rows({"": observed["rows"]}, schema_of(self.frame)))
        self.written.append(written - begun)
        self.committed.append(time.perf_counter() - written)
        self.parts.append(dict(self.timed.seconds))

    def report(self, since: int) -> None:
        """Print where the time went, without the first ``since`` publishes."""
        print(
            f"    of ours: {spread(self.written[since:])} for the job, {spread(self.committed[since:])} for the commit"
        )
        for part in ("listings", "footers", "the put"):
            print(f"        {part:<9} {spread([parts[part] for parts in self.parts[since:]])}")


def results(megabytes: int = MEGABYTES, pairs: int = PAIRS) -> list[Result]:
    """Measure and print. The machine needs twice the size on disk."""
    with (
        tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory,
        versitygw(Path(directory)) as server,
        pytest.MonkeyPatch.context() as environment,
    ):
        server.reach(environment)
        spark = session(conf={"spark.ui.enabled": "false"}, on_s3=True)
        try:
            return _compared(spark, server.new_bucket(), megabytes, pairs)
        finally:
            spark.stop()


def _compared(spark: SparkSession, bucket: str, megabytes: int, pairs: int) -> list[Result]:
    frame = rows(spark, megabytes)
    ours, bare, renamed = (f"s3://{bucket}/{place}" for place in ("ours", "bare", "renamed"))
    publish = Publishing(Lake(ours, "credit_risk"), frame)

    places = itertools.count()  # a directory that was removed leaves its name behind

    def write() -> None:
        frame.write.parquet(spark_path(f"{bare}/{next(places)}"))

    def write_and_rename() -> None:
        with _set(spark, RENAME_COMMITTER):
            once = frame.write.option("mapreduce.fileoutputcommitter.algorithm.version", "1")
            once.parquet(spark_path(f"{renamed}/{next(places)}"))

    ways: list[tuple[str, Callable[[], None]]] = [(ours, publish), (bare, write), (renamed, write_and_rename)]
    seconds: dict[str, list[float]] = {root: [] for root, _ in ways}
    for turn in range(pairs + 1):
        sizes = set()
        for root, way in ways[turn % 3 :] + ways[: turn % 3]:
            begun = time.perf_counter()
            way()
            seconds[root].append(time.perf_counter() - begun)
            sizes.add(_cleared(root))
        if [len(files) for files in sizes] != [FILES]:
            raise AssertionError(f"not the same {FILES} files each time: {sizes}")
    print(f"{FILES} files, {sum(sizes.pop()) / 1e6:.0f} MB; one round to warm up, then {pairs}, each way first in turn")
    measured = {root: taken[1:] for root, taken in seconds.items()}
    name = f"writing and publishing {megabytes / 1000:g} GB of Parquet on S3 / a bare write"
    found = [
        judge(f"{name} with the magic committer", list(zip(measured[ours], measured[bare], strict=True)), goal=1.05),
        judge(f"{name} with the rename committer", list(zip(measured[ours], measured[renamed], strict=True))),
    ]
    publish.report(since=1)
    return found


def rows(spark: SparkSession, megabytes: int) -> DataFrame:
    """Random doubles, which no encoding makes smaller, in as many partitions as there are to be files."""
    count = megabytes * 10**6 // (8 * COLUMNS)
    return spark.range(0, count, 1, FILES).select(*(F.rand(seed).alias(f"c{seed}") for seed in range(COLUMNS)))


def _cleared(root: str) -> tuple[int, ...]:
    """Remove what was written below a root, and wait for the disk. Returns the sizes of its Parquet files."""
    store = open_store(root)
    sizes = sorted(entry.size for entry in store.list("") if entry.key.endswith(".parquet"))
    store.remove("")
    os.sync()
    return tuple(sizes)


@contextmanager
def _set(spark: SparkSession, settings: dict[str, str]) -> Iterator[None]:
    before = {name: str(spark.conf.get(name)) for name in settings}
    try:
        for name, value in settings.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, kept in before.items():
            spark.conf.set(name, kept)


def main() -> None:
    run(__doc__, results, PAIRS, megabytes=MEGABYTES)


if __name__ == "__main__":
    main()
