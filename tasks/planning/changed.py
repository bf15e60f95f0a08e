"""Reports partitions that were made by other settings than today's. A setting that is changed has no effect on what is
already built, so a run that finds such partitions says so in one line at its end.

A run asks nothing of the inputs of a complete stage, so the way back is taken by manifests: from each complete stage
that the run has met to the inputs that its manifest names, with one listing for each dataset.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import luigi

from spark_lib.errors import DaystoneError
from spark_lib.lake import Partition, days
from spark_lib.lake.lake import some
from tasks.features import FeatureEngineering
from tasks.graph import met, refused
from tasks.graph.log import logger
from tasks.graph.stage import Stage, forget_checked
from tasks.planning.chain import CHAIN
from tasks.planning.commands import to_rebuild
from tasks.serving import ServingFeatures

#: The datasets that have settings, or are built from one that has. Each stands before what it is built from.
_BACK = tuple(stage.dataset for stage in reversed(CHAIN) if stage not in (FeatureEngineering, ServingFeatures))
_STAGES = {stage.dataset: stage for stage in CHAIN}
_KINDS_SHOWN, _DAYS_SHOWN = 4, 3


def note() -> str:
    """A line that names the partitions that the run has met and that were made by other settings than today's, and the
    commands that rebuild them. Empty where there are none.

    Never raises for a lake that cannot be read: the stages that need the lake report that.
    """
    return "; ".join(filter(None, map(_note, met.partitions())))


def install() -> None:
    """Let every run of Luigi's begin without the memory of an earlier one, and end with the note, as a warning."""
    schedule_and_run = luigi.interface._schedule_and_run
    if hasattr(schedule_and_run, "__wrapped__"):
        return

    @functools.wraps(schedule_and_run)
    def and_say(*given: Any, **more: Any) -> Any:
        met.forget()
        refused.forget()
        try:
            result = schedule_and_run(*given, **more)
            if words := note():
                logger.warning(words)
            return result
        finally:
            forget_checked()

    luigi.interface._schedule_and_run = and_say  # Luigi has no event for the beginning and the end of a run


@dataclass(frozen=True)
class _Change:
    """Days of a dataset that were made by the same other settings."""

    dataset: str
    settings: str
    days: list[date]


def _note(found: met.Met) -> str:
    partitions = list(_back_from(found))
    changes: dict[tuple[str, str], list[date]] = {}
    for partition in partitions:
        made = _made_otherwise(found.stage, partition)
        if made:
            settings = ", ".join(f"{name} {then}, now {now}" for name, (then, now) in made.items())
            changes.setdefault((partition.dataset, settings), []).append(partition.date)
    if not changes:
        return ""
    ordered = [_Change(*of, days) for of, days in sorted(changes.items(), key=lambda item: _rank(item[0][0]))]
    count = sum(len(change.days) for change in ordered)
    listed = "; ".join(
        f"{change.dataset} of {some(change.days, _DAYS_SHOWN)} ({change.settings})" for change in ordered[:_KINDS_SHOWN]
    )
    more = f"; and {len(ordered) - _KINDS_SHOWN} kinds more" if len(ordered) > _KINDS_SHOWN else ""
    were, them = ("1 partition was", "it") if count == 1 else (f"{count:,} partitions were", "them")
    return f"{were} made by other settings than today's, which have no effect on {them}: {listed}{more}. {_next(found, partitions, ordered)}"


def _back_from(found: met.Met) -> Iterator[Partition]:
    """The partitions that were met, and those with settings that they were built from. Damaged ones are left out."""
    wanted = {
        dataset: set(days)
        for dataset, days in found.days.items()
        if dataset in _BACK or _settings_of(found.stage, dataset)
    }
    for dataset in [*(wanted.keys() - set(_BACK)), *_BACK]:
        asked = wanted.get(dataset)
        if not asked:
            continue
        try:
            there = found.stage.partitions.find(dataset, min(asked), max(asked))
        except DaystoneError:
            continue
        for day, partition in there.items():
            if day in asked and isinstance(partition, Partition):
                yield partition
                for name, used in _built_from(partition):
                    wanted.setdefault(name, set()).add(used)


def _built_from(partition: Partition) -> Iterator[tuple[str, date]]:
    for given in partition.manifest.inputs:
        if given.name in _BACK:
            yield from ((given.name, day) for day in days(given.first, given.last))


def _made_otherwise(stage: Stage, partition: Partition) -> dict[str, tuple[Any, Any]]:
    """The settings that have changed since a partition was made: the value then, and the value now. A setting that the
    manifest does not record, as one of an older version may not, is left out.
    """
    then, now = partition.manifest.settings, _settings_of(stage, partition.dataset)
    if not isinstance(then, Mapping):
        return {}
    return {name: (then[name], now[name]) for name in now if name in then and then[name] != now[name]}


def _settings_of(stage: Stage, dataset: str) -> Mapping[str, Any]:
    """Today's settings of the stage that writes a dataset."""
    return stage.clone(_STAGES[dataset]).recorded_settings() if dataset in _STAGES else {}


def _next(found: met.Met, partitions: list[Partition], changes: list[_Change]) -> str:
    """The commands that rebuild the partitions and what was built from them, in the order in which they work."""
    affected = {(change.dataset, day) for change in changes for day in change.days}
    for partition in sorted(partitions, key=lambda partition: _rank(partition.dataset)):
        if affected & set(_built_from(partition)):
            affected.add((partition.dataset, partition.date))
    settings = found.stage.settings
    commands = []
    for dataset in sorted({dataset for dataset, _ in affected}, key=_rank):
        again = sorted(
            day for of, day in affected if of == dataset and (of not in _BACK or _STAGES[of].is_due(day, settings))
        )
        if again:
            others = f" (then {some(again[1:], _DAYS_SHOWN)})" if again[1:] else ""
            commands.append(f"{to_rebuild(found.stage, dataset, again[0])}{others}")
    if not commands:
        return "Today's settings ask for none of them, so there is nothing to rebuild"
    return f"To make them anew: {'; '.join(commands)}"


def _rank(dataset: str) -> int:
    return -_BACK.index(dataset) if dataset in _BACK else -len(_BACK)
