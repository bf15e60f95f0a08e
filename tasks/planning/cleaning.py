"""Says what ``daystone clean`` would remove, what that makes missing, and what has to stay."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError
from spark_lib.lake import Partition, clean, days
from spark_lib.lake.lake import some
from tasks.graph.staleness import PROMOTION, Cell, Day, Standing, States
from tasks.planning import kept, standing
from tasks.planning.chain import CHAIN, later, of_dataset, rank

if TYPE_CHECKING:
    from spark_lib.lake import Lake, Manifest, RawFeed
    from spark_lib.use_case import UseCase
    from tasks.graph.stage import Stage


@dataclass(frozen=True)
class Kept:
    """A run that stays although its day goes, and the days that were made from it."""

    day: Day
    run: str
    used_by: tuple[Day, ...]


@dataclass(frozen=True)
class Cleaning:
    """``directories`` go, those of a later dataset first. ``kept`` runs in them stay. ``staying`` are published days that
    were built from what goes. ``becomes`` has the states that change, before and after; None is a day that is not there
    and that the chain does not ask for."""

    directories: tuple[clean.Directory, ...]
    kept: tuple[Kept, ...]
    staying: tuple[Day, ...]
    becomes: Mapping[Day, tuple[Cell | None, Cell | None]]

    def remove(self, lake: Lake) -> Iterator[clean.Directory]:
        """Remove day by day, as what is returned is iterated, and yield each day that is gone. What was built from a day
        goes before it, so that what is interrupted can be found again from what is left."""
        for directory in self.directories:
            clean.remove(lake, directory, [each.run for each in self.kept if each.day == _day(directory)])
            yield directory


def look(
    lake: Lake,
    feeds: Mapping[str, RawFeed],
    case: UseCase,
    stage: type[Stage],
    first: date,
    last: date,
    downstream: bool,
) -> Cleaning:
    """What removing ``[first, last]`` of a stage would remove, with ``downstream`` also all that was built from it.

    Raises ConfigurationError where a published run that would be removed is one that a published day of another dataset
    was made from, and that is not removed.
    """
    stages = later(stage, case)
    asked = clean.find(lake, stage.dataset, first, last)
    users = _users(lake, stages, set(asked))
    found = {Day(stage.dataset, day): directory for day, directory in asked.items()}
    if downstream:
        for name in {day.name for day in users}:
            wanted = [day.date for day in users if day.name == name]
            there = clean.find(lake, name, min(wanted), max(wanted))
            found |= {Day(name, day): there[day] for day in wanted if day in there}
    rests = list(_kept(lake, found))
    for each in rests:
        published = lake.published_run(each.day.name, each.day.date)
        if each.run == published:
            raise _refusal(each, users)
    runs = [each.run for each in rests]
    directories = sorted(
        (each for each in found.values() if each.without(runs)),
        key=lambda each: (
            -rank(each.dataset),
            each.dataset,
            each.date.toordinal() * (-1 if _is_chained(each.dataset) else 1),
        ),
    )
    staying = () if downstream else tuple(sorted(users, key=lambda day: (rank(day.name), day.name, day.date)))
    end = max([last, *(day.date for day in users)])
    return Cleaning(
        tuple(directories), tuple(rests), staying, dict(_becomes(lake, feeds, stages, (first, end), set(found)))
    )


def _users(lake: Lake, stages: Sequence[type[Stage]], removed: set[date]) -> set[Day]:
    """The published days that were built from days of the first of some stages, directly or not."""
    stage = stages[0]
    gone = {stage.dataset: set(removed)}
    for other in stages[not _is_chained(stage.dataset) :] if removed else ():
        of_later = gone.setdefault(other.dataset, set())
        for day, partition in sorted(lake.find(other.dataset, min(removed), date.max).items()):
            if isinstance(partition, Partition) and _was_built_from(partition.manifest, gone):
                of_later.add(day)
    users = {Day(name, day) for name, found in gone.items() for day in found}
    return users - {Day(stage.dataset, day) for day in removed}


def _is_chained(dataset: str) -> bool:
    """Whether a day of a dataset is built from an earlier one."""
    stage = of_dataset(dataset)
    return stage is not None and dataset in stage.stands_for_raw


def _was_built_from(manifest: Manifest, gone: Mapping[str, set[date]]) -> bool:
    return any(given.first <= day <= given.last for given in manifest.inputs for day in gone.get(given.name, ()))


def _kept(lake: Lake, found: Mapping[Day, clean.Directory]) -> Iterator[Kept]:
    """The runs in the directories that days which are not removed were made from."""
    if {day.name for day in found}.isdisjoint(name for stage in CHAIN for name in stage.keeps):
        return
    for (name, day, run), users in kept.runs(lake).items():
        directory = found.get(Day(name, day))
        left = tuple(user for user in users if user not in found)
        if directory and left and run in directory.runs:
            yield Kept(Day(name, day), run, left)


def _refusal(each: Kept, downstream: Collection[Day]) -> ConfigurationError:
    names = "; ".join(
        f"{name} of {some(user.date for user in each.used_by if user.name == name)}"
        for name in dict.fromkeys(user.name for user in each.used_by)
    )
    return ConfigurationError(
        f"clean {each.day}",
        "a run that nothing published was made from",
        f"run {each.run}, which {names} was made from",
        _way_out(each, downstream),
    )


def _way_out(each: Kept, downstream: Collection[Day]) -> str:
    """What has to go before a run may, where anything can. ``downstream`` is what ``--downstream`` removes."""
    if any(user.name == PROMOTION for user in each.used_by):
        return "leave it there: what a person has promoted stays, because any day may be scored by it again"
    first = next((user for user in each.used_by if user not in downstream), None)
    if first is None:
        return "add --downstream, which removes that and what was built from it, too"
    return f"remove that first (daystone clean {first.name} --from {first.date} --to {first.date})"


def _becomes(
    lake: Lake, feeds: Mapping[str, RawFeed], stages: Sequence[type[Stage]], span: tuple[date, date], removed: set[Day]
) -> Iterator[tuple[Day, tuple[Cell | None, Cell | None]]]:
    """The states of the datasets of some stages that change, on the days of ``span``."""
    if not removed:
        return
    spans = {each.dataset: span for each in stages}
    before = standing.look(lake, feeds, standing.todays(span[0], stages[:1]), spans)
    published = {
        name: {day: manifest for day, manifest in there.items() if Day(name, day) not in removed}
        for name, there in before.standing.published.items()
    }
    after = States(list(before.stages.values()), Standing(published, before.standing.landed))
    for each in stages:
        for day in days(*span):
            was, will = before.cell(each.dataset, day), after.cell(each.dataset, day)
            if was != will:
                yield Day(each.dataset, day), (was, will)


def _day(directory: clean.Directory) -> Day:
    return Day(directory.dataset, directory.date)
