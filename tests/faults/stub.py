"""A small graph of stages that write a few hundred bytes, for processes that something is going to happen to.

    luigi --module tests.faults.stub Report --date 2026-01-05          Report -> Sums -> Seeds of the day and the day before
    python -m tests.faults.stub 2026-01-01 2026-01-06 ROOT             one attempt at many days
    python -m tests.faults.stub 2026-01-04 2026-01-08 newest ROOT      a backfill of Report
    python -m tests.faults.stub clean 2026-01-05 ROOT                  removes a day of Sums

What the environment asks for: FAULTS_PAUSE seconds between two files; FAULTS_MARKS is a directory where each step
leaves a file; at the step FAULTS_MEET a process waits there for a second one, at FAULTS_WAIT until it is told to go on; no
file may grow beyond FAULTS_FILE_BYTES.
"""

from __future__ import annotations

import os
import resource
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import tasks
from spark_lib.errors import DaystoneError, LakeError
from spark_lib.lake import Attempt, Documents, Lake, Manifest, Partition, Rows, clean, days, resolved
from spark_lib.lake.stores.store import Conflict, Unanswered
from spark_lib.use_case import UseCase
from tasks.backfill import builder
from tasks.config.settings import Settings
from tasks.graph.staleness import Need
from tasks.planning import standing
from tests.unit.lakes import SCHEMA, Wrapped, parquet

CASE = "tests.unit.stubs.cases:Loans"
PARTS = 3
_MEETING_SECONDS = 8.0

if _bytes := os.environ.get("FAULTS_FILE_BYTES"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(_bytes), int(_bytes)))


def step(name: str) -> None:
    """Say that this process got as far as ``name``, and do there what the environment asks for."""
    if not os.environ.get("FAULTS_MARKS"):
        return
    marks = Path(os.environ["FAULTS_MARKS"])
    (marks / f"{name}.{os.getpid()}").write_text(repr(time.time()))
    deadline = time.monotonic() + _MEETING_SECONDS
    if os.environ.get("FAULTS_MEET") == name:
        while len(list(marks.glob(f"{name}.*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.002)
    if os.environ.get("FAULTS_WAIT") == name:
        while not (marks / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
    time.sleep(float(os.environ.get("FAULTS_PAUSE", "0")))


def write(attempt: Attempt, ids: Sequence[int], day: date) -> Rows:
    """What a job does: the rows of a day in several files below the attempt's destination."""
    store = attempt.lake.store
    columns = {"date": day, "run": attempt.run}
    parts = [f"{column}={columns[column]}" for column in attempt.partition_by]
    directory = "/".join([attempt.destination.removeprefix(f"{store.url('')}/"), *parts])
    for number in range(PARTS if ids else 0):
        step(f"{attempt.dataset}-{day}-part-{number}")
        key = f"{directory}/part-{number}-{secrets.token_hex(4)}.parquet"
        try:
            store.create(key, parquet(ids[number::PARTS]))
        except Conflict:
            pass  # its own, of a try whose answer was lost: the name is nobody else's
        except Unanswered as error:
            raise LakeError(store.url(key), "an answer", str(error), "run again") from error
    step(f"{attempt.dataset}-{day}-commit")
    return Rows({"": len(ids)}, SCHEMA)


def seeds(day: date) -> list[int]:
    return [day.toordinal() * 100 + number for number in range(20)]


def ids_of(partition: Partition) -> list[int]:
    import pyarrow.parquet as pq

    ids: list[int] = []
    for file in partition.manifest.files:
        with partition.store.open(f"{partition.prefix}/{file.path}") as opened:
            ids += pq.ParquetFile(opened).read().column("id").to_pylist()
    return sorted(ids)


class Seeds(tasks.Stage):
    """Rows that depend on nothing but the day. A backfill builds many days by one attempt."""

    dataset = "seeds"
    RESULT = 1

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return True

    @classmethod
    def is_built_together(cls, case: UseCase) -> bool:
        return True

    @classmethod
    def run_together(cls, stages: Sequence[Seeds]) -> Iterator[Seeds]:
        with stages[0].attempt_at({stage.date: () for stage in stages}) as attempt:
            written = {stage.date: write(attempt, seeds(stage.date), stage.date) for stage in stages}
            for stage in stages:
                stage.publish(attempt, written[stage.date])
                yield stage

    def run(self) -> None:
        with self.attempt(inputs=()) as attempt:
            self.publish(attempt, write(attempt, seeds(self.date), self.date))


class Sums(tasks.Stage):
    """Rows that depend on two days of another dataset."""

    dataset = "sums"
    RESULT = 1

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return True

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need]:
        return [Need("seeds", day - timedelta(days=1), day)]

    def requires(self) -> list[Seeds]:
        return [self.clone(Seeds, date=day) for day in days(self.date - timedelta(days=1), self.date)]

    def run(self) -> None:
        found = self.partitions.require("seeds", self.date - timedelta(days=1), self.date)
        with self.attempt(inputs=resolved(found)) as attempt:
            yesterday, today = map(ids_of, found)
            self.publish(attempt, write(attempt, [a + b for a, b in zip(yesterday, today, strict=True)], self.date))


class Report(tasks.Stage):
    """Documents, by what another dataset holds."""

    dataset = "report"
    RESULT = 1

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return True

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need]:
        return [Need("sums", day, day)]

    def requires(self) -> Sums:
        return self.clone(Sums)

    def run(self) -> None:
        (found,) = self.partitions.require("sums", self.date)
        with self.attempt(inputs=[found.input]) as attempt:
            ids = ids_of(found)
            step(f"report-{self.date}-commit")
            text = f"{sum(ids)} in {len(ids)} rows\n".encode()
            self.publish(attempt, Documents({"report.txt": text, "rows.txt": repr(ids).encode()}))

    def summary(self, manifest: Manifest) -> str:
        return f"report of {self.date}"


def backfill(root: str, first: str, last: str, order: str) -> None:
    """A backfill of reports and of all that they need; a refusal is its exit code."""
    builder.CHAIN = standing.CHAIN = (Seeds, Sums, Report)
    asked = builder.Asked(
        date.fromisoformat(first),
        date.fromisoformat(last),
        Report,
        builder.Order(order),
        builder.Cut(3),
        {"use_case": CASE, "lake": root},
    )
    try:
        backfilling = builder.Builder(asked)
        backfilling.look()
        backfilling.run()
        for reason in backfilling.reasons():
            raise reason
    except DaystoneError as refused:
        sys.stderr.write(f"ERROR: {refused}\n")
        sys.exit(refused.exit_code)


def command(root: str, first: str, last: str) -> None:
    """One attempt at many days, each third of them without rows; a refusal is its exit code."""
    lake = Lake(root, "many")
    try:
        with Attempt(lake, "many", days(date.fromisoformat(first), date.fromisoformat(last)), stage="Many") as attempt:
            attempt.commit({day: write(attempt, [] if day.day % 3 == 0 else seeds(day), day) for day in attempt.days})
    except DaystoneError as refused:
        sys.stderr.write(f"ERROR: {refused}\n")
        sys.exit(refused.exit_code)


class StepByStep(Wrapped):
    """Removes one object after the other, the last one first: no store promises an order."""

    def remove(self, prefix: str) -> None:
        self.remove_objects(entry.key for entry in reversed(list(self.store.list(prefix))))

    def remove_objects(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.store.remove_objects([key])
            step(f"clean-{key.rpartition('/')[2]}")


def cleaned(root: str, day: str) -> None:
    """Remove a day of Sums."""
    lake = Lake(root, CASE.replace(":", "."))
    lake.__dict__["store"] = StepByStep(lake.store)
    for directory in clean.find(lake, "sums", date.fromisoformat(day), date.fromisoformat(day)).values():
        clean.remove(lake, directory)


if __name__ == "__main__":
    *given, lake_root = sys.argv[1:]
    if given[0] == "clean":
        cleaned(lake_root, given[1])
    elif given[2:]:
        backfill(lake_root, *given)
    else:
        command(lake_root, *given)
