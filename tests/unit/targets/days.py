"""What the tests of the targets share: small days, the model that a target is compared with, and children that publish
and are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import FrameType
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from spark_lib.lake.tables import arrow_schema
from spark_lib.targets import Columns, Day, Series, Target
from tests.support.patience import PATIENCE

FIRST = date(2026, 1, 30)
SCHEMA = (
    ("id", "string"),
    ("customer", "bigint"),
    ("applied", "timestamp"),
    ("score", "double"),
    ("model_date", "date"),
)
COLUMNS = Columns(SCHEMA, ("customer",), ("id",), "applied")
MODEL_DATE = date(2026, 1, 1)
#: Where lines are counted.
_OURS = ("/spark_lib/targets/", "/spark_lib/lake/stores/", "/targets/own.py")
_MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.unit.targets.days", "psycopg", "spark_lib.targets.postgres"])


class Row(NamedTuple):
    """A scored row: its key, its entity, the hour of its event, and its score."""

    id: str
    customer: int
    hour: int
    score: float


def at(offset: int) -> date:
    """A day. Those of a few offsets lie in two months."""
    return FIRST + timedelta(days=offset)


def series(lake: str, dataset: str = "predictions") -> Series:
    return Series(lake, "credit_risk", dataset)


def rows(count: int, *, score: float = 0.5, first: int = 0) -> list[Row]:
    """Rows of as many customers."""
    return [Row(f"a{number}", number, number % 24, score) for number in range(first, first + count)]


def day(of: Series, when: date, run: str, given: Sequence[Row], *, batch: int = 2, says: int | None = None) -> Day:
    """A day of rows in batches of ``batch`` rows, whose manifest ``says`` how many there are."""
    table = pa.Table.from_pylist(
        [
            {
                "id": row.id,
                "customer": row.customer,
                "applied": _MIDNIGHT + timedelta(hours=row.hour),
                "score": row.score,
                "model_date": MODEL_DATE,
            }
            for row in given
        ],
        arrow_schema(SCHEMA),
    )
    said = len(given) if says is None else says
    return Day(of, when, run, COLUMNS, said, lambda: iter(table.to_batches(max_chunksize=batch)))


@dataclass
class Model:
    """What a target has to hold: the run and the rows of each day."""

    days: dict[date, tuple[str, list[Row]]] = field(default_factory=dict)

    def runs(self) -> dict[date, str]:
        return {when: run for when, (run, _) in self.days.items()}

    def counts(self) -> dict[date, int]:
        return {when: len(found) for when, (_, found) in self.days.items() if found}

    def latest(self, customer: int) -> tuple[str, float, date, str] | None:
        found = [
            (when, row.hour, row.id, row.score, run)
            for when, (run, there) in self.days.items()
            for row in there
            if row.customer == customer
        ]
        if not found:
            return None
        when, _, id_, score, run = max(found)
        return id_, score, when, run


def latest(target: Target, of: Series, customer: int) -> tuple[str, float, date, str] | None:
    """What the target says of a customer, in the words of the model."""
    found = target.lookup(of, {"customer": customer})
    if found is None:
        return None
    assert found.model_date == MODEL_DATE
    return found.values["id"], found.values["score"], found.date, found.run


def check_same(target: Target, of: Series, model: Model, customers: Sequence[int] = range(6)) -> None:
    """Raise AssertionError where the target holds something else than the model."""
    assert target.published(of, date.min, date.max) == model.runs()
    for customer in customers:
        assert latest(target, of, customer) == model.latest(customer), customer


class Reader(Protocol):
    """Somebody who reads a target by other means than ours."""

    def counts(self, of: Series) -> dict[date, int]:
        """The number of rows of each day that has any."""


class Killed:
    """Counts the lines that are executed of our code, and kills this process at one of them."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.seen = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        path = frame.f_code.co_filename
        if not any(part in path for part in _OURS):
            return None
        if event == "line":
            self.seen += 1
            if self.seen == self.line:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def publish_in_child(target: Target, given: Sequence[tuple[Any, ...]], line: int = 0) -> int:
    """Let another process publish days, each as the arguments of ``day``, and return its exit code. It kills itself at
    that line of ours, where there is one; with 0 it is not killed."""
    child = processes.Process(target=_publish, args=(target, given, line, dict(os.environ)))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode is not None
    return child.exitcode


def _publish(target: Target, given: Sequence[tuple[Any, ...]], line: int, environment: Mapping[str, str]) -> None:
    os.environ.update(environment)  # the server that children are forked from began with another
    if line:
        sys.settrace(Killed(line))
    target.publish([day(*arguments) for arguments in given])


def lines_of_a_publication(target: Target, given: Sequence[tuple[Any, ...]]) -> int:
    """How many lines of ours a publication executes here."""
    counted = Killed(0)
    before = sys.gettrace()
    sys.settrace(counted)
    try:
        target.publish([day(*arguments) for arguments in given])
    finally:
        sys.settrace(before)
    return counted.seen


def polled(reader: Reader, of: Series, stop: Any) -> Iterator[Mapping[date, int]]:
    """What a reader sees all along, until ``stop`` is set."""
    while not stop.is_set():
        yield reader.counts(of)
