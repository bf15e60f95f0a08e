"""The story of one partition: what it was built from, who was built from it, and what would differ if it were built now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from spark_lib.lake import Manifest, Partition
from tasks.graph.staleness import Cell, Day, States
from tasks.planning import standing
from tasks.planning.chain import later, of_dataset

if TYPE_CHECKING:
    from spark_lib.lake import Lake, RawFeed
    from spark_lib.use_case import UseCase
    from tasks.graph.stage import Stage


@dataclass(frozen=True)
class User:
    """A published partition that was built from the one that is told of, and from which run of it."""

    day: Day
    run: str


@dataclass(frozen=True)
class Story:
    """``cell`` is None where the partition is not there and the chain does not ask for it. ``explained`` is what its
    stage says of it, a line each, under its ``heading``."""

    day: Day
    cell: Cell | None
    manifest: Manifest | None
    explained: tuple[str, ...]
    used_by: tuple[User, ...]
    heading: str = ""


def tell(lake: Lake, feeds: Mapping[str, RawFeed], case: UseCase, stage: type[Stage], day: date) -> Story:
    """The story of a day of a stage."""
    stages = later(stage, case)
    states = standing.look(lake, feeds, standing.todays(day, [stage]), {stage.dataset: (day, day)})
    told = Day(stage.dataset, day)
    manifest = states.standing.manifest(told.name, day)
    explained = _explained(states, stage, manifest) if manifest else ()
    return Story(
        told, states.cell(told.name, day), manifest, explained, tuple(_users(lake, told, stages)), stage.explained_as
    )


def _explained(states: States, stage: type[Stage], manifest: Manifest) -> tuple[str, ...]:
    """What the stage says of a published day and, where that explains it, what the stages say of its inputs of one
    day."""
    said = list(stage.explain(manifest))
    for given in manifest.inputs:
        source = of_dataset(given.name)
        if given.first == given.last and source and given.name not in stage.as_of:
            found = states.standing.manifest(given.name, given.first)
            said += source.explain(found) if found else ()
    return tuple(said)


def _users(lake: Lake, told: Day, stages: Sequence[type[Stage]]) -> list[User]:
    """Who was built from a partition of the first of some stages, in their order."""
    found = []
    for stage in stages[told.name not in stages[0].stands_for_raw :]:
        for day, partition in lake.find(stage.dataset, told.date, date.max).items():
            if isinstance(partition, Partition) and (run := used_of(partition.manifest, told).run):
                found.append(User(Day(stage.dataset, day), run))
    return found


class Used(NamedTuple):
    """The run of a day that something was built from, and the digest of its rows; both are empty where there was none."""

    run: str = ""
    digest: str = ""


def used_of(manifest: Manifest, day: Day) -> Used:
    """What a manifest says that it was built from, of one day."""
    for given in manifest.inputs:
        if given.name == day.name and given.first <= day.date <= given.last:
            place = (day.date - given.first).days
            return Used(given.ids[place], given.digests[place] if given.digests else "")
    return Used()
