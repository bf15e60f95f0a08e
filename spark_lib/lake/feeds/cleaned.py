"""Days of a feed that declares rules, as cleaning has left them. Whatever reads such a feed reads these in place of the raw
days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from spark_lib.lake.attempt import resolved
from spark_lib.lake.feeds.raw import RawDay, RawDays, RawFeed
from spark_lib.lake.lake import Partition
from spark_lib.lake.manifest import Input

#: Names of datasets of cleaned feeds begin so.
CLEAN = "clean/"
#: The section of a clean day with the rows that were left out.
QUARANTINE = "quarantine"


@dataclass(frozen=True)
class CleanDays(RawDays):
    """Clean days of a feed without a hole, oldest first. ``partitions`` has those that ``days`` stand for, by date, and
    maybe more."""

    partitions: Mapping[date, Partition] = field(default_factory=dict, hash=False)

    @property
    def read(self) -> list[Partition]:
        """The partitions of these days."""
        return [self.partitions[day.date] for day in self.days]

    @property
    def input(self) -> Input:
        (found,) = resolved(self.read)
        return found

    def verify(self) -> None:
        """What was published stays where it is, so there is nothing to look at again."""


def dataset_of(feed: str) -> str:
    """The dataset of the clean days of a feed."""
    return f"{CLEAN}{feed}"


def clean_days(feed: RawFeed, partitions: Sequence[Partition]) -> CleanDays:
    """Clean days of ``feed``, by their partitions, oldest first."""
    days = tuple(
        RawDay(each.date, tuple(each.files("")), each.manifest.run, sum(file.size for file in each.section("")))
        for each in partitions
    )
    return CleanDays(feed, days, {each.date: each for each in partitions})
