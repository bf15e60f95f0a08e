"""What a partition was built from, and what that was built from, down to the raw days."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from spark_lib.lake import Input, Manifest, Partition
from tasks.graph.staleness import RAW, Day

if TYPE_CHECKING:
    from spark_lib.errors import DamagedPartition
    from spark_lib.lake import Lake

    #: What finds the published days of a dataset from a first to a last one, as ``Lake.find`` does.
    Find = Callable[[str, date, date], Mapping[date, Partition | DamagedPartition]]


@dataclass(frozen=True)
class Ancestor:
    """A run of a day that something was built from. ``manifest`` is None where another run, or none, is published for
    the day by now: what that run was built from is known no longer."""

    day: Day
    run: str
    manifest: Manifest | None


@dataclass(frozen=True)
class Lineage:
    """A published partition and all that it comes from, each once: it comes before what it was built from."""

    ancestors: tuple[Ancestor, ...]

    @property
    def root(self) -> Ancestor:
        """The partition whose lineage it is."""
        return self.ancestors[0]

    def spans(self) -> Iterator[tuple[Span, list[Span]]]:
        """The partitions that were read together, as those of a training's window, and what each span was built from.
        The partition itself comes first, and nothing is there that no other span was built from."""
        spans = [Span(self.root.day.name, self.root.day.date, self.root.day.date)]
        for span in spans:  # it grows meanwhile
            read: dict[Span, None] = {}
            for each in self.ancestors:
                if each.day.name == span.name and span.first <= each.day.date <= span.last and each.manifest:
                    read |= dict.fromkeys(map(_span, each.manifest.inputs))
            found = _widest(list(read))
            yield span, found
            spans += [source for source in found if source not in spans]


@dataclass(frozen=True, order=True)
class Span:
    """The days ``[first, last]`` of a dataset or of a feed."""

    name: str
    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.name} of {self.first}" + (f" to {self.last}" if self.last > self.first else "")


def trace(lake: Lake, dataset: str, day: date) -> Lineage:
    """The lineage of a published day. Raises NotPublished where it is missing, and DamagedPartition where it is
    damaged."""
    (partition,) = lake.require(dataset, day)
    return _trace(partition, dataset, day, lake.find)


def traces(lake: Lake, dataset: str, first: date, last: date) -> dict[date, Lineage]:
    """The lineage of each day of ``[first, last]`` that is published and whole. What several of them were built from is
    looked up once."""
    find = cache(lake.find)
    there = lake.find(dataset, first, last)
    return {
        day: _trace(partition, dataset, day, find)
        for day, partition in there.items()
        if isinstance(partition, Partition)
    }


def _trace(partition: Partition, dataset: str, day: date, find: Find) -> Lineage:
    found = [Ancestor(Day(dataset, day), partition.manifest.run, partition.manifest)]
    known = {(found[0].day, found[0].run)}
    for each in found:  # it grows meanwhile
        for given in each.manifest.inputs if each.manifest else ():
            if given.name.startswith(RAW):
                continue
            for ancestor in _read(find, given):
                if (ancestor.day, ancestor.run) not in known:
                    known.add((ancestor.day, ancestor.run))
                    found.append(ancestor)
    return Lineage(tuple(found))


def _read(find: Find, given: Input) -> Iterator[Ancestor]:
    """The days of an input, as they stand."""
    there = find(given.name, given.first, given.last)
    for place, run in enumerate(given.ids):
        day = date.fromordinal(given.first.toordinal() + place)
        stands = there.get(day)
        same = isinstance(stands, Partition) and stands.manifest.run == run
        yield Ancestor(Day(given.name, day), run, stands.manifest if same and isinstance(stands, Partition) else None)


def _span(given: Input) -> Span:
    return Span(given.name, given.first, given.last)


def _widest(spans: list[Span]) -> list[Span]:
    """The spans that lie in no other one: each day of a window reads a history of its own, which the last one has."""
    return [span for span in spans if not any(span != other and _holds(other, span) for other in spans)]


def _holds(one: Span, other: Span) -> bool:
    return one.name == other.name and one.first <= other.first and other.last <= one.last
