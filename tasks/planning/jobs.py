"""Puts the partitions that a backfill builds into jobs, and the jobs into an order in which each finds what it needs.

A job is of one dataset. It has one day, or many days where the dataset can build them together. All of this is pure.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tasks.graph.staleness import Day

#: The greatest number of calendar days that a job spans, unless another is asked for. A year is then four jobs: few
#: enough that their start costs nothing, and many enough that one which is stopped loses little.
MOST_DAYS = 92
#: Bytes of raw data that land on the days of a job, at most, unless one day alone has more.
MOST_BYTES = 2**31


class Order(enum.Enum):
    """Which days come first. What a day needs comes before it in either order."""

    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True)
class Cut:
    """Where jobs end: a job spans at most so many calendar ``days``, and so many ``bytes`` land on its days."""

    days: int = MOST_DAYS
    bytes: int = MOST_BYTES


@dataclass(frozen=True)
class Job:
    """Partitions of one dataset that are built together. ``days`` are in the order of time."""

    dataset: str
    days: tuple[date, ...]

    def __str__(self) -> str:
        if not self.days[1:]:
            return f"{self.dataset} of {self.days[0]}"
        return f"{self.dataset} of {self.days[0]} to {self.days[-1]} ({len(self.days):,} days)"


def ordered(
    asked: Iterable[Day],
    needs: Callable[[Day], Iterable[Day]],
    order: Order = Order.OLDEST,
    *,
    together: Collection[str] = (),
    size: Callable[[Day], int] = lambda day: 0,
    cut: Cut | None = None,
) -> list[Job]:
    """The jobs that build the partitions of ``asked``, each once.

    ``needs`` says which partitions a partition is built from; those that are not asked for are passed over. A
    partition needs datasets earlier in the chain alone, so that jobs never wait for each other in a circle. The days of
    the datasets ``together`` share jobs, which end as ``cut`` says, by the ``size`` of each day in bytes.
    """
    wanted = sorted(asked, key=lambda day: (day.date, day.name), reverse=order is Order.NEWEST)
    job_of = {
        Day(job.dataset, day): job for job in _jobs(wanted, frozenset(together), size, cut or Cut()) for day in job.days
    }
    found: dict[Job, None] = {}

    def visit(job: Job) -> None:
        if job in found or job in under_way:
            return
        under_way.add(job)
        for day in job.days if order is Order.OLDEST else reversed(job.days):
            for need in needs(Day(job.dataset, day)):
                if need in job_of:
                    visit(job_of[need])
        found[job] = None

    under_way: set[Job] = set()
    for day in wanted:
        visit(job_of[day])
    return list(found)


def _jobs(wanted: Sequence[Day], together: Collection[str], size: Callable[[Day], int], cut: Cut) -> Iterator[Job]:
    for dataset in dict.fromkeys(day.name for day in wanted):
        days = [day.date for day in wanted if day.name == dataset]
        if dataset in together:
            sizes = {day: size(Day(dataset, day)) for day in days}
            for group in _groups(days, sizes, cut):
                yield Job(dataset, tuple(sorted(group)))
        else:
            yield from (Job(dataset, (day,)) for day in days)


def _groups(days: Sequence[date], sizes: Mapping[date, int], cut: Cut) -> Iterator[list[date]]:
    """The days in their order, in groups of those that lie together."""
    group: list[date] = []
    held = 0
    for day in days:
        if group and (abs((day - group[0]).days) >= cut.days or held + sizes[day] > cut.bytes):
            yield group
            group, held = [], 0
        group.append(day)
        held += sizes[day]
    if group:
        yield group
