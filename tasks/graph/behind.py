"""Looks at what published partitions were built from: by one listing for each dataset and each feed, and only as far as
the way back goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.lake import Manifest, Partition, days
from spark_lib.lake.feeds import landed
from tasks.graph.staleness import RAW, Candidates, Landed, Need, Standing, States, Today, is_of_feed, raw_of

if TYPE_CHECKING:
    from spark_lib.errors import DamagedPartition
    from spark_lib.lake import RawFeed

Span = tuple[date, date]
Found = dict[date, "Partition | DamagedPartition"]
#: What has landed of each feed, as the run that is on has listed it; None where no run is on.
_LISTED: ContextVar[dict[RawFeed, Landed] | None] = ContextVar("listed", default=None)


def look(
    find: Callable[[str, date, date], Found],
    feeds: Mapping[str, RawFeed],
    stages: Sequence[Today],
    wanted: Mapping[str, Iterable[date]],
    listed: Callable[[RawFeed, date, date], Landed],
    as_of: bool = False,
) -> States:
    """The states of the published partitions among ``wanted``, which has days by dataset, and of those that they were
    built from. What is not published has no state here.

    With ``as_of`` those are looked at, too, whose other runs make nothing stale, such as the models behind a selection.
    Behind these only inputs of one day are: the features of a training window are many.

    ``find`` is that of a lake. ``stages`` are in the order of the chain. ``listed`` says what has landed of a feed:
    ``look_at``, or ``seen``.
    """
    asked = {name: set(found) for name, found in wanted.items()}
    lightly: dict[str, set[date]] = {}
    spans: dict[str, Span] = {}
    published: dict[str, dict[date, Manifest | None]] = {}
    for stage in reversed(stages):
        wholly = asked.get(stage.dataset, set())
        if not (either := wholly | lightly.get(stage.dataset, set())):
            continue
        if stage.dataset in stage.stands_for_raw:
            wholly |= set(days(earliest(stage, max(either)), max(either)))
            either |= wholly
        there = published[stage.dataset] = _published(find, stage.dataset, either)
        for day, manifest in there.items():
            if manifest is None:
                continue
            for read in manifest.inputs:
                if day not in wholly:
                    if read.first == read.last:
                        lightly.setdefault(read.name, set()).add(read.first)
                elif read.name.startswith(RAW):
                    widen(spans, read.name, read.first, read.last)
                elif read.name not in stage.as_of:
                    asked.setdefault(read.name, set()).update(days(read.first, read.last))
                elif as_of:
                    lightly.setdefault(read.name, set()).update(days(read.first, read.last))
            for need in stage.needs(day) if day in wholly else ():
                if isinstance(need, Need) and is_of_feed(need.name):
                    widen(spans, raw_of(need.name), need.first, need.last)
    standing = {
        f"{RAW}{name}": listed(feed, *spans[f"{RAW}{name}"]) for name, feed in feeds.items() if f"{RAW}{name}" in spans
    }
    return States(stages, Standing(published, standing))


def _published(
    find: Callable[[str, date, date], Found], dataset: str, wanted: set[date]
) -> dict[date, Manifest | None]:
    """The manifests of the wanted days that are there, None for a damaged one."""
    found = find(dataset, min(wanted), max(wanted))
    return {day: each.manifest if isinstance(each, Partition) else None for day, each in found.items() if day in wanted}


def look_at(feed: RawFeed, first: date, last: date) -> Landed:
    """What has landed of a feed on ``[first, last]``, by one listing, or by two where the last day has not landed."""
    there = feed.landed(first, last)
    newest = last if last in there else landed.newest(feed, last) or max(there, default=None)
    ids = tuple(feed.identity(there[day]) if day in there else "" for day in days(first, last))
    sizes = tuple(there[day].size if day in there else 0 for day in days(first, last))
    return Landed(first, ids, newest, sizes)


def seen(feed: RawFeed, first: date, last: date) -> Landed:
    """The same as ``look_at``; while a run is on, as it was when the run first looked at these days."""
    listed = _LISTED.get()
    if listed is None:
        return look_at(feed, first, last)
    known = listed.get(feed)
    if known is None or first < known.first or last > known.last:
        if known is not None:
            first, last = min(first, known.first), max(last, known.last)
        known = listed[feed] = look_at(feed, first, last)
    return known


@contextmanager
def remembered() -> Iterator[None]:
    """A run, in which each feed is listed once, unless something is published."""
    before = _LISTED.set({})
    try:
        yield
    finally:
        _LISTED.reset(before)


def forget() -> None:
    """Forget what has landed, because something was published: it may have been built from newer raw days."""
    if listed := _LISTED.get():
        listed.clear()


def earliest(stage: Today, day: date) -> date:
    """The first day on which history begins for a day of a stage, which is built from earlier days of its own."""
    return min((need.first for need in stage.needs(day) if isinstance(need, Need)), default=day)


def span_of(need: Need | Candidates) -> Span:
    """The first and the last day of a need; the last one is before the first where it has none."""
    if isinstance(need, Need):
        return need.first, need.last
    return (min(need.days), max(need.days)) if need.days else (date.max, date.min)


def widen(wanted: dict[str, Span], name: str, first: date, last: date) -> None:
    """Let the days of ``wanted`` reach over ``[first, last]`` too, which may be empty."""
    if first <= last:
        begin, end = wanted.get(name, (first, last))
        wanted[name] = min(begin, first), max(end, last)
