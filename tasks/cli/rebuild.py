"""Builds a day again, in place of what is published for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from spark_lib.lake import Partition
from tasks.cli.run import Outcome, Watcher, run
from tasks.graph.stage import Stage
from tasks.graph.staleness import Day
from tasks.planning import chain
from tasks.planning.story import used_of


@dataclass(frozen=True)
class Rebuilt:
    """``old`` and ``new`` are ids of runs. ``old`` is empty where no readable manifest was published, ``new`` where the
    rebuild failed.
    """

    outcome: Outcome
    old: str = ""
    new: str = ""


def rebuild(stage: Stage, watcher: Watcher) -> Rebuilt:
    """Build a stage again, whether it is complete, damaged or missing, and those of its inputs that are missing."""
    lake = stage.partitions
    old = lake.published_run(stage.dataset, stage.date)
    stage.force = True
    outcome = run(stage, watcher)
    return Rebuilt(outcome, old, lake.published_run(stage.dataset, stage.date) if outcome.error is None else "")


def built_from_others(stage: Stage) -> list[tuple[str, date]]:
    """The published days that were built from another run of this day than the one that is published, in the order of the
    chain. Those are left out whose run is known to have had the same rows."""
    lake, built = stage.partitions, Day(stage.dataset, stage.date)
    (now,) = lake.require(stage.dataset, stage.date)
    found = []
    for other in chain.of(stage.case):
        for day, partition in lake.find(other.dataset, stage.date, date.max).items():
            if not isinstance(partition, Partition):
                continue
            used = used_of(partition.manifest, built)
            is_equal = used.digest != "" and used.digest == now.manifest.digest
            if used.run not in ("", now.manifest.run) and not is_equal:
                found.append((other.dataset, day))
    return found
