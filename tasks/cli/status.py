"""What a lake holds, day by day: the raw days that landed, and the datasets that were built. Only listings and
manifests are read, unless files are to be verified.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from spark_lib.errors import ConfigurationError, DamagedPartition
from spark_lib.lake import Partition, RawFeed, days
from spark_lib.lake.feeds import landed
from tasks.cli.place import Place
from tasks.config.settings import Settings
from tasks.graph.stage import Stage
from tasks.planning.chain import CHAIN

DAYS_SHOWN = 14


class State(enum.Enum):
    """The states of a day of a feed or a dataset, as the table shows them."""

    LANDED = "landed"
    WAITING = "waiting"
    HOLE = "hole"
    PUBLISHED = "published"
    REJECTED = "rejected"
    MISSING = "missing"
    DAMAGED = "damaged"
    NOT_DUE = "not due"


@dataclass(frozen=True)
class Cell:
    state: State
    text: str


@dataclass(frozen=True)
class Report:
    """The report on a lake. ``cells`` are by day, then by feed or dataset."""

    lake: str
    use_case: str
    feeds: list[str]
    datasets: list[str]
    cells: dict[date, dict[str, Cell]]
    damaged: list[DamagedPartition]
    #: Why trainings were rejected, a line each.
    rejections: list[str]
    #: How many files were read and compared with their checksums, and how many have no checksum of their content.
    verified: int = 0
    unverifiable: int = 0

    def raise_if_damaged(self) -> None:
        """Raise one DamagedPartition for all."""
        if self.damaged:
            step = "restore the files, or build each day anew (daystone rebuild STAGE --date DAY)"
            raise DamagedPartition(
                f"lake {self.lake}",
                "every published partition to be whole",
                f"{len(self.damaged)} damaged: {', '.join(error.where.partition(': ')[0] for error in self.damaged)}",
                self.damaged[0].next_step if len(self.damaged) == 1 else step,
            )


def report(place: Place, first: date | None, last: date | None, verify: bool = False) -> Report:
    """Report on the days from ``first`` to ``last``. By default these are the fourteen days up to the newest day of the
    lake, whatever the clock says.

    With ``verify`` every file of these days is read. A report without days means that the lake holds nothing. Raises
    ConfigurationError where ``first`` is after ``last``.
    """
    if last is None:
        last = newest(place)
    datasets = [stage.dataset for stage in CHAIN]
    if last is None:
        return Report(place.partitions.root, place.use_case, list(place.feeds), datasets, {}, [], [])
    if first is None:
        first = last - timedelta(days=DAYS_SHOWN - 1)
    if first > last:
        raise ConfigurationError(
            "status", "a first day that is not after the last", f"{first} to {last}", "correct --from, --to"
        )
    cells: dict[date, dict[str, Cell]] = {day: {} for day in days(first, last)}
    for name, feed in place.feeds.items():
        for day, cell in _feed(feed, first, last, place.settings.first_date):
            cells[day][name] = cell
    damaged: list[DamagedPartition] = []
    rejections: list[str] = []
    verified = unverifiable = 0
    for stage in CHAIN:
        dataset = stage.dataset
        found = place.partitions.find(dataset, first, last)
        for day, partition in found.items() if verify else ():
            if isinstance(partition, Partition):
                wrong, without = partition.verify()
                wrong = wrong or stage.damage_behind(place.partitions, partition)
                found[day] = wrong[0] if wrong else partition
                verified += len(partition.manifest.files) - without
                unverifiable += without
        for day in days(first, last):
            cells[day][dataset] = _cell(stage, day, found.get(day), place.settings)
        damaged += [partition for partition in found.values() if isinstance(partition, DamagedPartition)]
        rejections += [words for partition in found.values() if (words := _rejection(stage, partition))]
    root, feeds = place.partitions.root, list(place.feeds)
    return Report(root, place.use_case, feeds, datasets, cells, damaged, rejections, verified, unverifiable)


def newest(place: Place) -> date | None:
    """The last day of the lake that has a partition or has landed."""
    found = [day for stage in CHAIN if (day := place.partitions.newest(stage.dataset))]
    after = max(found, default=None)
    found += [day for feed in place.feeds.values() if (day := landed.newest(feed, after))]
    return max(found, default=None)


def _feed(feed: RawFeed, first: date, last: date, begins: date) -> Iterator[tuple[date, Cell]]:
    there = feed.landed(first, last)
    newest_there = last if last in there else landed.newest(feed, last) or max(there, default=first)
    for day in days(first, last):
        if day in there:
            yield day, Cell(State.LANDED, "landed")
        elif day < begins:
            yield day, Cell(State.NOT_DUE, "–")
        elif day < newest_there:
            yield day, Cell(State.HOLE, "hole")
        else:
            yield day, Cell(State.WAITING, "waiting")


def _cell(stage: type[Stage], day: date, found: Partition | DamagedPartition | None, settings: Settings) -> Cell:
    if isinstance(found, DamagedPartition):
        return Cell(State.DAMAGED, "damaged")
    if found is None:
        return Cell(State.MISSING, "missing") if stage.is_due(day, settings) else Cell(State.NOT_DUE, "–")
    described = stage.describe(found.manifest)
    return Cell(State.REJECTED if described.rejection else State.PUBLISHED, described.text)


def _rejection(stage: type[Stage], found: Partition | DamagedPartition) -> str:
    """Why the partition of a day is not to be used; empty where it may be."""
    if not isinstance(found, Partition) or not (rejection := stage.describe(found.manifest).rejection):
        return ""
    return f"{found.dataset} of {found.date} was rejected: {rejection}"
