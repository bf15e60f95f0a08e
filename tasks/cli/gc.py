"""Finds and removes what nobody will miss in a lake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from spark_lib.errors import ConfigurationError
from spark_lib.lake import gc
from tasks.cli import render
from tasks.cli.place import Place
from tasks.planning import chain, kept


@dataclass(frozen=True)
class Found:
    """The garbage of a lake that has been garbage for longer than ``older_than_hours``."""

    garbage: list[gc.Garbage]
    older_than_hours: float

    def removable(self, unpublished: bool) -> list[gc.Garbage]:
        """What ``--yes`` removes. A run whose day has no manifest is among it only where ``unpublished`` is True: it
        may be a crashed attempt's, or a published one whose manifest somebody has removed, and only a person knows
        which.
        """
        return [garbage for garbage in self.garbage if unpublished or garbage.why is not gc.Why.ABANDONED]


def look(place: Place, older_than_hours: float | None) -> Found:
    """Find what has been garbage for longer than ``older_than_hours``. The default, twice ``[lake] max_attempt_hours``,
    is also the least. Raises ConfigurationError for fewer hours, DamagedPartition where a manifest cannot be read.
    """
    least = 2 * place.settings.lake.max_attempt_hours
    hours = least if older_than_hours is None else older_than_hours
    if hours < least:
        raise ConfigurationError(
            "gc --older-than",
            f"at least {least:g} hours, twice [lake] max_attempt_hours: a younger run may still be published",
            f"{hours:g}",
            "give a higher age",
        )
    keep = set(kept.runs(place.partitions))
    found = gc.find_probes(place.partitions, hours * 3600)
    for stage in chain.of(place.case):
        found += gc.find(place.partitions, stage.dataset, hours * 3600, keep)
    return Found(found, hours)


def remove(place: Place, garbage: Iterable[gc.Garbage]) -> Iterator[gc.Garbage]:
    """Remove the garbage piece by piece, as what is returned is iterated, and yield each piece that is gone."""
    for each in garbage:
        gc.remove(place.partitions, each)
        yield each


def line(place: Place, garbage: gc.Garbage) -> str:
    """One piece of garbage in a line of words."""
    since = datetime.fromtimestamp(garbage.since, UTC)
    parts = [render.count(len(garbage.entries), "file"), f"{garbage.size:,} bytes"]
    parts += [render.count(len(garbage.uploads), "unfinished upload")] if garbage.uploads else []
    where = place.partitions.store.url(garbage.key)
    return f"{garbage.why.value} since {since:%Y-%m-%d %H:%M} UTC, {', '.join(parts)}: {where}"
