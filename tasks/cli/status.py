"""What a lake holds, day by day: the raw days that landed, and the datasets that were built. Only listings and
manifests are read, unless files are to be verified; and on a disk each raw file once, for its checksum. The states are those
of ``tasks/graph/staleness.py``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from spark_lib.errors import ConfigurationError, DamagedPartition
from spark_lib.lake import Partition, days
from spark_lib.lake.feeds import landed
from tasks.cli.place import Place
from tasks.graph import words
from tasks.graph.stage import Stage
from tasks.graph.staleness import RAW, Day, Landed, States
from tasks.graph.staleness import Cell as Judged
from tasks.graph.staleness import State as PartitionState
from tasks.planning import chain as stages_of
from tasks.planning import standing

DAYS_SHOWN = 14


class State(enum.Enum):
    """The states of a day of a feed or a dataset, as the table shows them."""

    LANDED = "landed"
    WAITING = "waiting"
    HOLE = "hole"
    PUBLISHED = "published"
    REJECTED = "rejected"
    HELD = "held"
    STALE = "stale"
    MISSING = "missing"
    BLOCKED = "blocked"
    DAMAGED = "damaged"
    NOT_DUE = "not due"


@dataclass(frozen=True)
class Cell:
    """A day of a feed or a dataset in a word. ``judged`` has the reasons of a dataset's."""

    state: State
    text: str
    judged: Judged | None = None


@dataclass(frozen=True)
class Report:
    """The report on a lake. ``cells`` are by day, then by feed or dataset."""

    lake: str
    use_case: str
    feeds: list[str]
    datasets: list[str]
    cells: dict[date, dict[str, Cell]]
    damaged: list[DamagedPartition]
    #: Why trainings were rejected and predictions held, a line each.
    rejections: list[str]
    #: How many files were read and compared with their checksums, and how many have no checksum of their content.
    verified: int = 0
    unverifiable: int = 0

    def stale(self) -> dict[str, list[date]]:
        """The stale days of each dataset that has some."""
        found = {
            dataset: [day for day, cells in self.cells.items() if cells[dataset].state is State.STALE]
            for dataset in self.datasets
        }
        return {dataset: days for dataset, days in found.items() if days}

    def document(self) -> dict[str, Any]:
        """The report as JSON has it: what the table shows, with the reasons of what is stale."""
        days = {
            str(day): {
                name: {"state": cell.state.value, "text": cell.text}
                | (words.document(cell.judged) if cell.state is State.STALE and cell.judged else {})
                for name, cell in cells.items()
            }
            for day, cells in self.cells.items()
        }
        return {
            "lake": self.lake,
            "use_case": self.use_case,
            "feeds": self.feeds,
            "datasets": self.datasets,
            "days": days,
            "rejections": self.rejections,
            "damaged": list(map(str, self.damaged)),
        }

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
    chain = [stage for stage in stages_of.of(place.case) if stage.is_used(place.settings)]
    datasets = [stage.dataset for stage in chain]
    if last is None:
        shown = [stage.dataset for stage in chain if stage.always_shown]
        return Report(place.partitions.root, place.use_case, list(place.feeds), shown, {}, [], [])
    if first is None:
        first = last - timedelta(days=DAYS_SHOWN - 1)
    if first > last:
        raise ConfigurationError(
            "status", "a first day that is not after the last", f"{first} to {last}", "correct --from, --to"
        )
    feeds = {f"{RAW}{name}": (first, last) for name in place.feeds}
    stages = standing.todays(last, use_case=place.use_case, lake=place.partitions.root)
    states, found = standing.look_closely(
        place.partitions, place.feeds, stages, dict.fromkeys(datasets, (first, last)) | feeds
    )
    chain = [stage for stage in chain if stage.always_shown or found[stage.dataset]]
    datasets = [stage.dataset for stage in chain]
    cells: dict[date, dict[str, Cell]] = {day: {} for day in days(first, last)}
    for name in place.feeds:
        for day in cells:
            cells[day][name] = _landed(states.standing.landed[f"{RAW}{name}"], day, place.settings.first_date)
    damaged: list[DamagedPartition] = []
    rejections: list[str] = []
    verified = unverifiable = 0
    for stage in chain:
        of_stage = {day: partition for day, partition in found[stage.dataset].items() if day in cells}
        for day, partition in of_stage.items():
            wrong: list[DamagedPartition] = []
            if isinstance(partition, DamagedPartition):
                wrong = [partition]
            elif verify:
                wrong, without = partition.verify()
                wrong = wrong or stage.damage_behind(place.partitions, partition)
                verified += len(partition.manifest.files) - without
                unverifiable += without
            elif states.of(Day(stage.dataset, day)).state is PartitionState.DAMAGED:
                wrong = stage.damage_behind(place.partitions, partition)
            if wrong:
                of_stage[day] = wrong[0]
                damaged.append(wrong[0])
            elif rejection := _rejection(stage, partition):
                rejections.append(rejection)
        for day in cells:
            cells[day][stage.dataset] = _cell(stage, states, day, of_stage.get(day))
    root, names = place.partitions.root, list(place.feeds)
    return Report(root, place.use_case, names, datasets, cells, damaged, rejections, verified, unverifiable)


def newest(place: Place) -> date | None:
    """The last day of the lake that has a partition or has landed."""
    used = (stage for stage in stages_of.of(place.case) if stage.is_used(place.settings))
    found = [day for stage in used if (day := place.partitions.newest(stage.dataset))]
    after = max(found, default=None)
    found += [day for feed in place.feeds.values() if (day := landed.newest(feed, after))]
    return max(found, default=None)


def _landed(feed: Landed, day: date, begins: date) -> Cell:
    if feed.of(day, day)[0]:
        return Cell(State.LANDED, "landed")
    if day < begins:
        return Cell(State.NOT_DUE, "–")
    return Cell(State.HOLE, "hole") if feed.state(day) is PartitionState.HOLE else Cell(State.WAITING, "waiting")


def _cell(stage: type[Stage], states: States, day: date, found: Partition | DamagedPartition | None) -> Cell:
    if isinstance(found, DamagedPartition):
        return Cell(State.DAMAGED, "damaged")
    cell = states.cell(stage.dataset, day)
    if cell is None:
        return Cell(State.NOT_DUE, "–")
    if found is None or cell.state is PartitionState.STALE:
        return Cell(State(cell.state.value), cell.state.value, cell)
    described = stage.describe(found.manifest)
    return Cell(State(stage.refused.value) if described.rejection else State.PUBLISHED, described.text, cell)


def _rejection(stage: type[Stage], found: Partition | DamagedPartition) -> str:
    """Why the partition of a day is not to be used; empty where it may be."""
    if not isinstance(found, Partition) or not (described := stage.describe(found.manifest)).rejection:
        return ""
    return f"{found.dataset} of {found.date} was {described.text}: {described.rejection}"
