"""Looks at what stands in a lake, by one listing for each dataset and each feed and by the manifests that are listed.

The way goes from the end of the chain to its beginning: what a dataset is built from says which days of the next one are
looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.lake import Partition, days
from tasks.config.on_stale import OnStale
from tasks.graph.behind import Span, earliest, look_at, span_of, widen
from tasks.graph.stage import expanded
from tasks.graph.staleness import RAW, Candidates, Day, Pinned, Standing, States, Today
from tasks.planning.chain import CHAIN

if TYPE_CHECKING:
    from spark_lib.errors import DamagedPartition
    from spark_lib.lake import Lake, Manifest, RawFeed
    from tasks.graph.stage import Stage

Found = dict[str, dict[date, "Partition | DamagedPartition"]]


def todays(day: date, asked: Iterable[type[Stage]] = (), **place: str) -> list[Today]:
    """What each stage of the chain would build with today, in its order. Without a ``use_case`` and a ``lake`` in
    ``place`` they are those of the configuration. Raises ConfigurationError. No result depends on ``day``."""
    named = set(asked)
    case = CHAIN[-1](date=day, **place).case  # any stage knows its use case
    return [stage(date=day, **place).today(stage in named) for stage in expanded(CHAIN, case)]


def look(lake: Lake, feeds: Mapping[str, RawFeed], stages: Sequence[Today], spans: Mapping[str, Span]) -> States:
    """The states of the partitions of ``spans``, which has the first and the last day of each dataset that is asked
    for. What they were built from, and what they would be built from, is looked at too.

    ``stages`` are in the order of the chain.
    """
    return look_closely(lake, feeds, stages, spans)[0]


def look_closely(
    lake: Lake, feeds: Mapping[str, RawFeed], stages: Sequence[Today], spans: Mapping[str, Span]
) -> tuple[States, Found]:
    """What ``look`` returns, and the partitions that were found, by dataset and day."""
    wanted = dict(spans)
    all_found: Found = {}
    published: dict[str, dict[date, Manifest | None]] = {}
    pinning: list[tuple[Today, Partition, Pinned]] = []
    for stage in reversed(stages):
        if stage.dataset not in wanted:
            continue
        first, last = wanted[stage.dataset]
        if stage.dataset in stage.stands_for_raw:
            first = min(first, earliest(stage, last))
        found = all_found[stage.dataset] = lake.find(stage.dataset, first, last)
        there = {day: each.manifest if isinstance(each, Partition) else None for day, each in found.items()}
        published[stage.dataset] = there
        for day in days(first, last):
            manifest = there.get(day)
            for read in manifest.inputs if manifest else ():
                if read.name not in stage.as_of:
                    widen(wanted, read.name, read.first, read.last)
            partition = found.get(day)
            if isinstance(partition, Partition) and (pinned := stage.pinned(partition.manifest)):
                widen(wanted, pinned.day.name, pinned.day.date, pinned.day.date)
                pinning.append((stage, partition, pinned))
            if day in there or stage.is_due(day):
                for need in stage.needs(day):
                    widen(wanted, need.name, *span_of(need))
                    if isinstance(need, Candidates) and need.rows and need.days:
                        widen(wanted, need.rows, *span_of(need))
    landed = {
        f"{RAW}{name}": look_at(feed, *wanted[f"{RAW}{name}"])
        for name, feed in feeds.items()
        if f"{RAW}{name}" in wanted
    }
    states = States(stages, Standing(published, landed))
    damaged = [
        Day(stage.dataset, partition.date)
        for stage, partition, pinned in pinning
        # What is published and whole needs no look. Only of another run, or of a damaged one, are the files read.
        if not states.standing.has_run(pinned.day, pinned.run) and stage.is_damaged_behind(partition)
        # A run builds a stale one again, whatever it pins.
        if not (stage.on_stale is OnStale.REBUILD and states.unfit(Day(stage.dataset, partition.date)))
    ]
    return (states.with_damaged(damaged) if damaged else states), all_found
