"""The state of every partition, and why a published one is stale: one pure function of manifests and listings.

A state is of one partition alone: it is stale where something that it was itself built from is not what it was. What a
rebuild of its inputs would change further on is known only when they have been built: they may come out equal.
"""

from __future__ import annotations

import bisect
import enum
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from spark_lib.lake import CLEAN, ROWS_FROM_RAW, Input, Manifest, Partition, are_comparable
from tasks.config.on_stale import OnStale

_ONE_DAY = timedelta(days=1)
#: Names of inputs that are raw days begin so.
RAW = "raw/"
#: The name of what a person decides of a day, as an input.
PROMOTION = "promotion"
#: A later bugfix release of a library computes the same: what counts is its feature release, the first two numbers.
_FEATURE_RELEASE = 2


def is_of_feed(name: str) -> bool:
    """Whether an input is a feed: its raw days, or its clean ones, which stand for these."""
    return name.startswith((RAW, CLEAN))


def raw_of(name: str) -> str:
    """The raw days of a feed, by the name of its raw or of its clean days."""
    return f"{RAW}{name.removeprefix(CLEAN)}" if name.startswith(CLEAN) else name


class State(enum.Enum):
    """What a partition that is asked for can be. There are no others."""

    #: It is published and whole, and what it was built from is what it was.
    DONE = "done"
    #: It is done, and its verdict is that it is not to be used.
    REJECTED = "rejected"
    #: It is done, and its verdict is that what it judges is not to be published.
    HELD = "held"
    #: It is published and whole, and would be built from something else now.
    STALE = "stale"
    #: Its manifest or one of its files is not what was published.
    DAMAGED = "damaged"
    #: It is not there. All that it needs is there, or can be built.
    MISSING = "missing"
    #: It is not there. A raw day that it needs has not landed, nor has any later day of that feed.
    WAITING = "waiting"
    #: It is not there. A raw day that it needs has not landed, although a later one has.
    HOLE = "hole"
    #: It is not there, and neither is a partition that it needs, which cannot be built.
    BLOCKED = "blocked"


PUBLISHED = frozenset({State.DONE, State.REJECTED, State.HELD, State.STALE})
BUILDABLE = frozenset({State.MISSING})


@dataclass(frozen=True, order=True)
class Day:
    """One day of a dataset, or of a feed (``raw/events``)."""

    name: str
    date: date

    def __str__(self) -> str:
        return f"{self.name} of {self.date}"


@dataclass(frozen=True)
class Pinned:
    """A run of a day whose files another partition needs for good, also when another run is published for the day."""

    day: Day
    run: str


@dataclass(frozen=True)
class InputChanged:
    """An input is another run, or other raw files, than the partition was built from.

    ``then`` is empty for a raw day that was not read: history began later then. ``differs`` says whether the rows
    differ. It is None where that is not known: of raw days, and where one of two manifests does not say it.
    """

    day: Day
    then: str
    now: str
    differs: bool | None = None
    kind = "input"


@dataclass(frozen=True)
class SettingChanged:
    """A setting that the result depends on has another value."""

    name: str
    then: Any
    now: Any
    kind = "settings"


@dataclass(frozen=True)
class CodeChanged:
    """The code of the use case (``use_case``), or what the stage makes of the same inputs (``RESULT``), has changed."""

    name: str
    then: str
    now: str
    kind = "code"


@dataclass(frozen=True)
class LibraryChanged:
    """A library that the stage computes with has another feature release."""

    name: str
    then: str
    now: str
    kind = "library"


Reason = InputChanged | SettingChanged | CodeChanged | LibraryChanged


@dataclass(frozen=True)
class Cell:
    """The state of a partition. ``reasons`` are those of a stale one. ``because`` is the raw day that is waited for, the
    raw day that is a hole, or the partition that blocks.
    """

    state: State
    reasons: tuple[Reason, ...] = ()
    because: Day | None = None


@dataclass(frozen=True)
class Need:
    """All days of ``[first, last]`` of an input, without which a partition cannot be built. One that ``may`` be needed
    does not block it.
    """

    name: str
    first: date
    last: date
    may: bool = False


@dataclass(frozen=True)
class Candidates:
    """One of ``days`` of an input, newest first, that was not rejected. They are asked for in this order, ``every`` one
    of them or only up to the first that serves. ``rows`` is the dataset whose days the choice between several is made
    on, or empty."""

    name: str
    days: tuple[date, ...]
    every: bool
    rows: str = ""


@dataclass(frozen=True)
class Today:
    """What a stage would build with today, by which its published days are judged."""

    dataset: str
    needs: Callable[[date], Sequence[Need | Candidates]]
    #: Whether the chain asks for a day.
    is_due: Callable[[date], bool]
    #: Why a published day is not to be used; empty where it may be.
    rejection: Callable[[Manifest], str] = lambda manifest: ""
    #: What such a day is called.
    refused: State = State.REJECTED
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    #: The versions of the libraries that the stage computes with.
    libraries: Mapping[str, str] = field(default_factory=dict)
    #: The run of an earlier stage without whose files a published day is of no use; None where there is none.
    pinned: Callable[[Manifest], Pinned | None] = lambda manifest: None
    #: Whether a published day is of no use, because files that it pins are not what they were: they are read.
    is_damaged_behind: Callable[[Partition], bool] = lambda partition: False
    #: Inputs that were taken as they were on the day: another run of them makes nothing stale.
    as_of: frozenset[str] = frozenset()
    #: Inputs that were read in place of raw days, which the manifest names, too.
    stands_for_raw: frozenset[str] = frozenset()
    #: The name of what people have decided of a day, as far as that decides what is built. Empty where they have to decide
    #: and did not; None where they do not decide.
    decided: Callable[[date], str | None] = lambda day: None
    #: The same as a published day was built by it; empty where people did not decide.
    decided_then: Callable[[Manifest], str] = lambda manifest: ""
    #: What a run does about a published day that is stale.
    on_stale: OnStale = OnStale.WARN

    @cached_property
    def recorded(self) -> Mapping[str, Any]:
        """The settings in the form in which a manifest holds them."""
        found: Mapping[str, Any] = json.loads(json.dumps(dict(self.settings)))
        return found


@dataclass(frozen=True)
class Landed:
    """What has landed of a feed: the identity of each day from ``first`` on, empty for a day without a flag, and the
    newest day that has landed, which may be after these."""

    first: date
    ids: tuple[str, ...]
    newest: date | None
    #: Bytes of the files of each day from ``first`` on; empty where nobody has asked.
    sizes: tuple[int, ...] = ()

    @property
    def last(self) -> date:
        """The last day that was looked at."""
        return self.first + timedelta(days=len(self.ids) - 1)

    @cached_property
    def absent(self) -> list[date]:
        """The days without a flag, oldest first."""
        return [self.first + timedelta(days=place) for place, found in enumerate(self.ids) if not found]

    def first_absent(self, first: date, last: date) -> date | None:
        """The first day of ``[first, last]`` that has not landed."""
        if first < self.first:
            return first
        place = bisect.bisect_left(self.absent, first)
        found = self.absent[place] if place < len(self.absent) else self.first + timedelta(days=len(self.ids))
        return found if found <= last else None

    def state(self, day: date) -> State:
        """The state of a day that has not landed."""
        return State.HOLE if self.newest is not None and day < self.newest else State.WAITING

    def size(self, day: date) -> int:
        """Bytes of the files of a day, as far as they are known."""
        place = (day - self.first).days
        return self.sizes[place] if 0 <= place < len(self.sizes) else 0

    def of(self, first: date, last: date) -> tuple[str, ...]:
        """The identities of ``[first, last]``."""
        start = (first - self.first).days
        stop = (last - self.first).days + 1
        before, after = ("",) * max(0, -start), ("",) * max(0, stop - max(start, len(self.ids)))
        return (*before, *self.ids[max(0, start) : max(0, stop)], *after)


@dataclass(frozen=True)
class Standing:
    """What stands in a lake: the manifests of each dataset by day, with None for a damaged one, and each feed's days."""

    published: Mapping[str, Mapping[date, Manifest | None]]
    landed: Mapping[str, Landed]
    #: The runs of all days of a dataset from the first published one on, by dataset, once they were asked for.
    _runs: dict[str, tuple[date, tuple[str, ...]]] = field(default_factory=dict, compare=False, repr=False)

    def manifest(self, name: str, day: date) -> Manifest | None:
        """The manifest of a day that is published and whole."""
        return self.published.get(name, {}).get(day)

    def runs(self, name: str, first: date, last: date) -> tuple[str, ...]:
        """The runs that are published and whole on ``[first, last]``, empty for a day without one; fewer than the days
        where these begin before the first published one. A history is compared by it at once."""
        if name not in self._runs:
            there = self.published.get(name, {})
            begin, end = (min(there), max(there)) if there else (first, first)
            found = (there.get(begin + timedelta(days=place)) for place in range((end - begin).days + 1))
            self._runs[name] = begin, tuple(manifest.run if manifest else "" for manifest in found)
        begin, runs = self._runs[name]
        start = (first - begin).days
        return runs[start : start + (last - first).days + 1] if start >= 0 else ()

    def has_run(self, partition: Day, run: str) -> bool:
        """Whether this run is what is published and whole for a partition."""
        manifest = self.manifest(partition.name, partition.date)
        return manifest is not None and manifest.run == run


class States:
    """The states of the partitions of one use case in a lake. Each is found out once, when it is first asked for."""

    def __init__(self, stages: Sequence[Today], standing: Standing) -> None:
        self.stages = {stage.dataset: stage for stage in stages}
        self.standing = standing
        self._cells: dict[Day, Cell] = {}
        self._unfit: dict[Day, Day | None] = {}

    def with_damaged(self, partitions: Iterable[Day]) -> States:
        """The states where these partitions are damaged, too."""
        published = {name: dict(days) for name, days in self.standing.published.items()}
        for partition in partitions:
            published[partition.name][partition.date] = None
        return States(list(self.stages.values()), replace(self.standing, published=published))

    def cell(self, dataset: str, day: date) -> Cell | None:
        """The state of a day of a dataset; None where it is not there and the chain does not ask for it."""
        there = day in self.standing.published.get(dataset, {})
        return self.of(Day(dataset, day)) if there or self.stages[dataset].is_due(day) else None

    def of(self, partition: Day) -> Cell:
        """The state of a partition that is asked for."""
        # Recursion ends: what a partition needs is of another dataset earlier in the chain.
        if partition not in self._cells:
            self._cells[partition] = self._found(partition)
        return self._cells[partition]

    def if_absent(self, partition: Day) -> Cell:
        """The state that a partition would be in if it were not there."""
        return self._absent(self.stages[partition.name], partition.date)

    def _found(self, partition: Day) -> Cell:
        stage = self.stages[partition.name]
        published = self.standing.published.get(partition.name, {})
        if partition.date not in published:
            return self._absent(stage, partition.date)
        manifest = published[partition.date]
        if manifest is None:
            return Cell(State.DAMAGED)
        if reasons := tuple(reasons_of(stage, partition.date, manifest, self.standing, self._is_fresh)):
            return Cell(State.STALE, reasons)
        return Cell(stage.refused if stage.rejection(manifest) else State.DONE)

    def _is_fresh(self, partition: Day) -> bool:
        """Whether a partition is there, and would be built the same now."""
        if partition not in self._cells:
            self._find_line_before(partition)
        return self.of(partition).state is State.DONE

    def _find_line_before(self, partition: Day) -> None:
        """Find out the states of the days before one, oldest first: a snapshot is built from the one before it, and a
        long line of them is no recursion that way."""
        line = []
        for day in sorted(self.standing.published.get(partition.name, {}), reverse=True):
            before = Day(partition.name, day)
            if before in self._cells:
                break  # it was found out with all that it asks for
            if day < partition.date and self.standing.manifest(partition.name, day):
                line.append(before)
        for before in reversed(line):
            self.of(before)

    def _absent(self, stage: Today, day: date) -> Cell:
        if stage.decided(day) == "":
            return Cell(State.BLOCKED, because=Day(PROMOTION, day))
        needs = stage.needs(day)
        raw = (cell for need in needs if (cell := self._not_landed(need)))
        if cell := min(raw, key=_worst_and_oldest, default=None):
            return cell
        for need in needs:
            blocking = self._chosen(need) if isinstance(need, Candidates) else self._blocking(need)
            if blocking is not None:
                return Cell(State.BLOCKED, because=blocking)
        return Cell(State.MISSING)

    def _not_landed(self, need: Need | Candidates) -> Cell | None:
        """The state of the first raw day of a need that has not landed."""
        if not need.name.startswith(RAW) or isinstance(need, Candidates):
            return None
        feed = self.standing.landed[need.name]
        day = feed.first_absent(need.first, need.last)
        return None if day is None else Cell(feed.state(day), because=Day(need.name, day))

    def _blocking(self, need: Need) -> Day | None:
        """The first partition of a need that is not there and cannot be built."""
        if need.may or need.name.startswith(RAW):
            return None
        day = need.first
        while day <= need.last:
            if self.is_blocked(Day(need.name, day)):
                return Day(need.name, day)
            day += _ONE_DAY
        return None

    def _chosen(self, need: Candidates) -> Day | None:
        """The candidate that stops the walk before one serves, or the newest where all were rejected."""
        may_serve = False
        for day in need.days:
            candidate = Day(need.name, day)
            if self.is_blocked(candidate):
                if need.every or not may_serve:
                    return candidate
                break  # a newer one may serve, once it is built
            may_serve = may_serve or not self.is_rejected(candidate)
            if self.serves(candidate) and not need.every:
                break
        if not may_serve:
            return Day(need.name, need.days[0]) if need.days else None
        return next((rows for rows in self.compared_on(need) if self.is_blocked(rows)), None)

    def compared_on(self, need: Candidates) -> list[Day]:
        """The partitions on whose rows the candidates that are there, and serve, are certainly compared."""
        serving = [day for day in need.days if self.serves(Day(need.name, day))]
        return [Day(need.rows, day) for day in serving[:-1]] if need.rows and need.every else []

    def unfit(self, partition: Day) -> Day | None:
        """The stale partition because of which a published one is not complete: itself, or one that it was built from.
        None where it is complete, as it is under a policy that keeps what is stale.
        """
        if partition not in self._unfit:
            self._unfit[partition] = self._found_unfit(partition)
        return self._unfit[partition]

    def _found_unfit(self, partition: Day) -> Day | None:
        stage = self.stages[partition.name]
        is_there = self.standing.manifest(partition.name, partition.date) is not None
        if not is_there or not stage.on_stale.acts:
            return None
        if self.of(partition).state is State.STALE:
            return partition
        # A snapshot that is stale is not read, and what was built from it is stale by the same raw day.
        others = (given for given in self.built_from(partition) if given.name not in stage.stands_for_raw)
        return next(filter(None, map(self.unfit, others)), None)

    def built_from(self, partition: Day, as_of: bool = False) -> Iterator[Day]:
        """The published partitions that a published one was built from; with ``as_of`` also those whose other runs make
        it not stale."""
        return (day for day in self.recorded(partition, as_of) if self.standing.manifest(day.name, day.date))

    def recorded(self, partition: Day, as_of: bool = False) -> Iterator[Day]:
        """The same, and those that are not there any more."""
        stage = self.stages[partition.name]
        manifest = self.standing.manifest(partition.name, partition.date)
        for given in manifest.inputs if manifest else ():
            if given.name in self.stages and (as_of or given.name not in stage.as_of):
                for place in range(len(given.ids)):
                    yield Day(given.name, given.first + timedelta(days=place))

    def is_blocked(self, partition: Day) -> bool:
        """Whether a partition is neither there and whole nor can be built."""
        return self.of(partition).state not in PUBLISHED | BUILDABLE

    def raw_bytes(self, partition: Day) -> int:
        """Bytes that land on the day of a partition, of the feeds that it is built from itself."""
        needs = self.stages[partition.name].needs(partition.date)
        feeds = {raw_of(need.name) for need in needs if is_of_feed(need.name)}
        return sum(self.standing.landed[feed].size(partition.date) for feed in feeds)

    def serves(self, candidate: Day) -> bool:
        """Whether a candidate is there, and not rejected."""
        manifest = self.standing.manifest(candidate.name, candidate.date)
        return manifest is not None and not self.stages[candidate.name].rejection(manifest)

    def is_rejected(self, candidate: Day) -> bool:
        """Whether a candidate is there, and rejected."""
        manifest = self.standing.manifest(candidate.name, candidate.date)
        return manifest is not None and bool(self.stages[candidate.name].rejection(manifest))


def reasons_of(
    stage: Today,
    day: date,
    manifest: Manifest,
    standing: Standing,
    is_fresh: Callable[[Day], bool] = lambda partition: False,
) -> Iterator[Reason]:
    """Why a published day is stale: settings, code, libraries, then inputs. None where it is not.

    What the manifest does not record is never a reason, nor is an input that is no longer there: what was built from it
    stays what it is. A raw day that was landed again is no reason where a snapshot stands for it that was built from the
    new files and came out equal; ``is_fresh`` says of a partition that it would be built the same now.
    """
    settings = list(_settings(stage, manifest))
    yield from settings
    yield from _code(stage, manifest)
    yield from _libraries(stage, manifest)
    changed = [
        reason for given in manifest.inputs if given.name not in stage.as_of for reason in _changed(given, standing)
    ]
    if any(is_of_feed(reason.day.name) for reason in changed):
        until = _stood_for(stage, manifest, standing, is_fresh)
        changed = [reason for reason in changed if not (is_of_feed(reason.day.name) and reason.day.date <= until)]
    yield from changed
    then, now = stage.decided_then(manifest), stage.decided(day)
    if now and then != now:
        yield InputChanged(Day(PROMOTION, day), then, now)
    if not settings:  # other settings may ask for other days, which says the same once more
        yield from _read_now_too(stage.needs(day), manifest.inputs, standing)


def _settings(stage: Today, manifest: Manifest) -> Iterator[SettingChanged]:
    then = manifest.settings
    if not isinstance(then, Mapping):
        return  # whoever has written it
    for name, now in stage.recorded.items():
        if name in then and (was := json.loads(json.dumps(then[name]))) != now:
            yield SettingChanged(name, was, now)


def _code(stage: Today, manifest: Manifest) -> Iterator[CodeChanged]:
    if "result" not in manifest.code:
        return  # an older Daystone took the fingerprint of a use case otherwise
    for name, now in stage.code.items():
        then = manifest.code.get(name, now)
        if then != now:
            yield CodeChanged("RESULT" if name == "result" else name, then, now)


def _libraries(stage: Today, manifest: Manifest) -> Iterator[LibraryChanged]:
    for name, now in stage.libraries.items():
        then = manifest.versions.get(name, now)
        if _feature_release(then) != _feature_release(now):
            yield LibraryChanged(name, then, now)


def _feature_release(version: str) -> list[str]:
    return version.split(".")[:_FEATURE_RELEASE]


def _stood_for(stage: Today, manifest: Manifest, standing: Standing, is_fresh: Callable[[Day], bool]) -> date:
    """The last raw day that was not read, because a snapshot stands for it which is fresh and has the same rows."""
    if manifest.metrics.get(ROWS_FROM_RAW):
        return date.min  # all raw days were read
    stands = (
        given.last
        for given in manifest.inputs
        if given.name in stage.stands_for_raw and standing.manifest(given.name, given.last)
        if not any(_changed(given, standing)) and is_fresh(Day(given.name, given.last))
    )
    return max(stands, default=date.min)


def _changed(given: Input, standing: Standing) -> Iterator[InputChanged]:
    """The days of an input that are there, and are not what they were."""
    if given.name.startswith(RAW):
        feed = standing.landed.get(given.name)
        now = feed.of(given.first, given.last) if feed else ()
        if now == given.ids:
            return
        for place, (then, found) in enumerate(zip(given.ids, now, strict=False)):
            if found and then != found and are_comparable(then, found):
                yield InputChanged(Day(given.name, given.first + timedelta(days=place)), then, found)
        return
    if standing.runs(given.name, given.first, given.last) == given.ids:
        return
    for place, then in enumerate(given.ids):
        day = given.first + timedelta(days=place)
        stands = standing.manifest(given.name, day)
        if stands is None or stands.run == then:
            continue
        was = given.digests[place] if place < len(given.digests) else ""
        if was and was == stands.digest:
            continue  # built again, and equal
        yield InputChanged(Day(given.name, day), then, stands.run, True if was and stands.digest else None)


def _read_now_too(
    needs: Sequence[Need | Candidates], inputs: Sequence[Input], standing: Standing
) -> Iterator[InputChanged]:
    """The raw days that have landed, would be read now, as they are or cleaned, and are before or after those that were
    read."""
    for need in needs:
        recorded = [given for given in inputs if given.name == need.name]
        name = raw_of(need.name)
        if not recorded or isinstance(need, Candidates) or name not in standing.landed:
            continue
        first, last = min(given.first for given in recorded), max(given.last for given in recorded)
        feed = standing.landed[name]
        for begin, end in (
            (need.first, min(need.last, first - _ONE_DAY)),
            (max(need.first, last + _ONE_DAY), need.last),
        ):
            for place, found in enumerate(feed.of(begin, end) if begin <= end else ()):
                if found:
                    yield InputChanged(Day(name, begin + timedelta(days=place)), "", found)


def _worst_and_oldest(cell: Cell) -> tuple[bool, date]:
    assert cell.because is not None  # a raw day that has not landed
    return cell.state is not State.HOLE, cell.because.date
