"""The interface of a target: a place outside of the lake to which days are published, such as a database.

A module outside of this repository adds a kind of target by one class with the methods of ``Target``. What every target
promises:

- A day is visible whole or not at all, and days become visible in the order in which they are given.
- A day that is published twice is the same as one that is published once.
- An older day never overwrites what a newer day says of an entity. An entity that a rebuilt day no longer has goes back
  to what earlier days say of it.
- A process may be killed at any moment. To publish the same days again repairs whatever it left.
- The rows are counted against the manifest before the target's ledger names the run.
- Rows that were superseded stay for a stated time and are then deleted.

The ledger is the target's own: it is kept where the rows are, and is written together with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from spark_lib.errors import BadData, ConfigurationError, PublishError
from spark_lib.lake import Partition, Schema
from spark_lib.lake.tables import read_batches

if TYPE_CHECKING:
    import pyarrow as pa

#: The column, of predictions of every kind of problem, that has the date of the model that scored the row.
MODEL_DATE = "model_date"


@dataclass(frozen=True)
class Series:
    """The days of one dataset, ``predictions`` or ``serving_features``, of one use case in one lake. Several lakes may
    publish to one target: ``lake`` tells them apart."""

    lake: str
    use_case: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.dataset} of {self.use_case} from lake {self.lake}"


@dataclass(frozen=True)
class Columns:
    """The columns of a day: ``schema`` has names and Spark SQL types in order. ``key`` is unique within the day,
    ``entity`` is what a look-up asks for, and ``event_time`` is empty where the use case has none. Raises
    ConfigurationError where one of them is not in the schema."""

    schema: Schema
    entity: tuple[str, ...]
    key: tuple[str, ...]
    event_time: str = ""

    def __post_init__(self) -> None:
        there = dict(self.schema)
        for name in (*self.entity, *self.key, *filter(None, [self.event_time])):
            if name not in there:
                raise ConfigurationError(
                    "columns to publish", f"a column {name!r}", f"only {', '.join(there)}", "correct the use case"
                )


@dataclass(frozen=True)
class Day:
    """One day as it is to be published. ``rows`` is the manifest's number of rows. ``batches`` begins at the first row
    each time that it is called, and gives Arrow record batches of the schema of ``arrow_schema(columns.schema)``."""

    series: Series
    date: date
    run: str
    columns: Columns
    rows: int
    batches: Callable[[], Iterator[pa.RecordBatch]]

    def __str__(self) -> str:
        return f"{self.series.dataset} of {self.date}"

    def check_rows(self, found: int) -> None:
        """Raise BadData where another number of rows was read than the manifest says."""
        if found != self.rows:
            raise BadData(
                f"{self}: run {self.run}",
                f"the {self.rows:,} rows of its manifest",
                f"{found:,}",
                "check its files (daystone verify), then publish again; nothing was published",
            )


@dataclass(frozen=True)
class Score:
    """What the newest published day that has an entity says of it: ``values`` by column, the run, the date of the
    model (None where the day has no model), and the day."""

    values: Mapping[str, Any]
    run: str
    model_date: date | None
    date: date


class Target(Protocol):
    """A place that days are published to. Every method may be called at any time, by several processes at once. A
    server that does not answer raises PublishError within 15 seconds, and a directory that cannot be used LakeError."""

    def publish(self, days: Iterable[Day]) -> None:
        """Make days visible, one by one, in the order that they are given, over one connection. A day whose run is
        there already is not written again.

        Raises PublishError where the target refuses or where another process published another run of a day meanwhile,
        BadData where rows are not those of the manifest, and ConfigurationError where the columns do not fit what is
        there. The days before the one that failed stay published.
        """

    def published(self, series: Series, first: date, last: date) -> dict[date, str]:
        """The run of each day of ``[first, last]`` that both the ledger and the target hold."""

    def withdraw(self, series: Series, day: date) -> None:
        """Take a day back, whether it is there or not. Entities go back to what earlier days say of them."""

    def lookup(self, series: Series, entity: Mapping[str, Any]) -> Score | None:
        """The newest row of an entity, which is given by its columns. That is the row of the newest day; within a day
        the one with the latest event time, and of rows with the same event time the one with the greatest key. None
        where no published day has the entity."""

    def check(self) -> None:
        """Raise PublishError or ConfigurationError where days cannot be published. Nothing is changed."""


def day_of(series: Series, partition: Partition, entity: tuple[str, ...], key: tuple[str, ...], event_time: str) -> Day:
    """A published partition of rows as a day to publish. ``event_time`` is empty where the use case has none."""
    manifest = partition.manifest
    columns = Columns(manifest.schema, entity, key, event_time)
    return Day(series, partition.date, manifest.run, columns, manifest.rows(), lambda: read_batches(partition))


def asked(columns: tuple[str, ...], entity: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an entity in the order of its columns. Raises ConfigurationError where others are named."""
    if set(entity) != set(columns):
        raise ConfigurationError(
            "look-up of an entity", f"a value of {', '.join(columns)}", ", ".join(entity) or "none", "name each column"
        )
    return {name: entity[name] for name in columns}


def overtaken(where: str, day: Day, before: str, now: str) -> PublishError:
    """The error for a day whose run in the ledger was ``before`` when its publication began, and is ``now`` when its turn
    comes. Either is empty where the ledger has no run."""
    return PublishError(
        f"{where}, {day}",
        f"to publish run {day.run} in place of {f'run {before}' if before else 'none'}",
        f"run {now}, which another process published meanwhile" if now else "none, it was withdrawn",
        "run again: then the run that is in force is published",
    )
