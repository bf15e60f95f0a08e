"""Names the stale partitions that a run has met, or found behind those that it has met, once at its end.

A run asks nothing of the inputs of a complete stage. So the way back is taken by manifests: from each complete stage that
the run has met to the inputs that its manifest names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from spark_lib.errors import DaystoneError
from spark_lib.lake import RawFeed
from spark_lib.lake.lake import some
from tasks.config.on_stale import OnStale
from tasks.graph import behind, met, words
from tasks.graph.stage import Stage
from tasks.graph.staleness import Day, Landed, State, States, Today
from tasks.planning.chain import of_dataset, rank
from tasks.planning.commands import to_rebuild

_KINDS_SHOWN, _DAYS_SHOWN = 4, 3
#: Days of a dataset that are stale for the same reasons, by dataset and reasons.
_Kinds = dict[tuple[str, str], list[date]]


def note() -> str:
    """A line that names the stale partitions that the run has met or found behind those, says why they are stale, and
    has the commands that build them again. Empty where there are none, or where ``[lake] on_stale`` keeps them all.

    Never raises for a lake that cannot be read: the stages that need the lake report that.
    """
    return "; ".join(filter(None, map(_note, met.partitions())))


def _note(found: met.Met) -> str:
    stages = _lineage(found.stage, found.days)
    if all(stage.on_stale is OnStale.KEEP for stage in stages):
        return ""
    states = _look(found, stages)
    reached = list(_back(states, (Day(dataset, day) for dataset, days in found.days.items() for day in days)))
    kinds: _Kinds = {}
    for partition in sorted(reached):
        if states.stages[partition.name].on_stale is not OnStale.KEEP and states.of(partition).state is State.STALE:
            why = "; ".join(words.of_reasons(states.of(partition).reasons))
            kinds.setdefault((partition.name, why), []).append(partition.date)
    return _in_words(found.stage, states, reached, kinds) if kinds else ""


def _lineage(stage: Stage, datasets: Iterable[str]) -> list[Today]:
    """What the stages of some datasets, and all that these are built from, would build with today, in order."""
    found: dict[str, Today] = {}
    for dataset in sorted(datasets, key=_in_order):
        kind = of_dataset(dataset) or (type(stage) if dataset == stage.dataset else None)
        if kind is not None:
            found |= {today.dataset: today for today in stage.clone(kind).lineage()}
    return sorted(found.values(), key=lambda today: _in_order(today.dataset))


def _look(found: met.Met, stages: list[Today]) -> States:
    def find(dataset: str, first: date, last: date) -> behind.Found:
        try:
            there: behind.Found = found.stage.partitions.find(dataset, first, last)
        except DaystoneError:
            return {}
        return there

    def listed(feed: RawFeed, first: date, last: date) -> Landed:
        try:
            return behind.seen(feed, first, last)
        except DaystoneError:
            return Landed(first, (), None)

    return behind.look(find, found.stage.feeds, stages, found.days, listed, as_of=True)


def _back(states: States, met_days: Iterable[Day]) -> Iterator[Day]:
    """The partitions that were met and are whole, and those that they were built from, each once."""
    waiting = [day for day in met_days if day.name in states.stages and states.standing.manifest(day.name, day.date)]
    seen = set(waiting)
    while waiting:
        partition = waiting.pop()
        yield partition
        new = set(states.built_from(partition, as_of=True)) - seen
        seen |= new
        waiting += new


def _in_words(stage: Stage, states: States, reached: list[Day], kinds: _Kinds) -> str:
    ordered = sorted(kinds.items(), key=lambda item: (rank(item[0][0]), item[0], item[1]))
    listed = "; ".join(
        f"{dataset} of {some(days, _DAYS_SHOWN)} ({why})" for (dataset, why), days in ordered[:_KINDS_SHOWN]
    )
    more = f"; and {len(ordered) - _KINDS_SHOWN} kinds more" if len(ordered) > _KINDS_SHOWN else ""
    count = sum(map(len, kinds.values()))
    one, many = "1 partition is stale and stays as it is", f"{count:,} partitions are stale and stay as they are"
    stale = {Day(dataset, day) for (dataset, _), days in kinds.items() for day in days}
    return f"{one if count == 1 else many}: {listed}{more}. {_next(stage, states, reached, stale)}"


def _next(stage: Stage, states: States, reached: list[Day], stale: set[Day]) -> str:
    """The commands that build the partitions and what was built from them again, in the order in which they work."""
    again = set(stale)
    for partition in sorted(reached, key=lambda day: _in_order(day.name)):
        if not again.isdisjoint(states.built_from(partition, as_of=True)):
            again.add(partition)
    commands = []
    for dataset in sorted({day.name for day in again}, key=_in_order):
        is_due = states.stages[dataset].is_due
        kind = of_dataset(dataset)
        on_demand = kind is None or kind.on_demand
        days = sorted(day.date for day in again if day.name == dataset and (on_demand or is_due(day.date)))
        if days:
            others = f" (then {some(days[1:], _DAYS_SHOWN)})" if days[1:] else ""
            commands.append(f"{to_rebuild(stage, dataset, days[0])}{others}")
    if not commands:
        return "Today's settings ask for none of them, so there is nothing to rebuild"
    return f"To build them again: {'; '.join(commands)}"


def _in_order(dataset: str) -> tuple[int, str]:
    return rank(dataset), dataset
