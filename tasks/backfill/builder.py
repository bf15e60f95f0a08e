"""Builds the missing partitions of a range of days, job after job, and says what became of each.

The stages run here, one after the other, and not as tasks of Luigi's scheduler: so a nightly run of the same day is
never told to wait for a backfill. Whoever publishes a day first wins, and the other one finds the day built.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Protocol

import luigi
from luigi.task import flatten
from luigi.task_register import Register

from spark_lib.errors import DamagedPartition, DaystoneError, NotPublished, StalePartition
from spark_lib.lake import Partition, RawFeed, days
from tasks.backfill.waiting import Patience
from tasks.config.on_stale import OnStale
from tasks.config.settings import Settings
from tasks.graph import refused, sessions, words
from tasks.graph.log import logger
from tasks.graph.stage import AWAITED, PROGRESS, Stage, expanded
from tasks.graph.staleness import PUBLISHED, RAW, Candidates, Cell, Day, Need, State, States
from tasks.planning import jobs, standing
from tasks.planning.chain import CHAIN
from tasks.planning.jobs import Cut, Job, Order
from tasks.planning.plan import Builds


class Watcher(Protocol):
    """Shows a backfill to a person."""

    def due(self, stage: Stage) -> None:
        """A stage was found to be missing, and will be built."""

    def progress(self, stage: Stage, percent: int, message: str) -> None:
        """A stage says what it does."""

    def built(self, stage: Stage, message: str, seconds: float) -> None:
        """A stage is published."""

    def refused(self, task: Any, error: DaystoneError) -> None:
        """A stage says why it cannot be built."""


class Unwatched:
    """Nobody looks on."""

    def due(self, stage: Stage) -> None: ...
    def progress(self, stage: Stage, percent: int, message: str) -> None: ...
    def built(self, stage: Stage, message: str, seconds: float) -> None: ...
    def refused(self, task: Any, error: DaystoneError) -> None: ...


@dataclass(frozen=True)
class Asked:
    """What a backfill is asked for: the days ``[first, last]`` of ``stage``, or of all stages that the chain asks for by itself.
    ``place`` has the use case and the lake, where they are not those of the configuration."""

    first: date
    last: date
    stage: type[Stage] | None = None
    order: Order = Order.OLDEST
    cut: Cut = field(default_factory=Cut)
    place: dict[str, str] = field(default_factory=dict)

    def datasets(self, settings: Settings) -> list[str]:
        chain = expanded(CHAIN, settings.case)
        by_itself = (stage.dataset for stage in chain if not stage.on_demand and stage.is_used(settings))
        return [self.stage.dataset] if self.stage else [*by_itself]


@dataclass
class Report:
    """What became of the partitions that were asked for, in the order of the chain and of days.

    ``there`` were published before, or by another process meanwhile. ``failed`` are partitions whose build ended with an
    error, also such that were only needed. ``behind`` are those that were not tried, because one that they need was not
    built. ``cells`` are the states of all others that are not built. Whatever is nowhere among these ``remains``.
    """

    asked: list[Day]
    built: list[Day] = field(default_factory=list)
    there: list[Day] = field(default_factory=list)
    failed: dict[Day, DaystoneError] = field(default_factory=dict)
    behind: dict[Day, Day] = field(default_factory=dict)
    cells: dict[Day, Cell] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def remains(self) -> list[Day]:
        """The partitions that were asked for and neither built nor given up."""
        known = {*self.built, *self.there, *self.failed, *self.behind, *self.cells}
        return [day for day in self.asked if day not in known]


class Builder:
    """Builds what is asked for. Days before history begins, and stages that the chain does not ask for on a day, are
    passed over."""

    def __init__(self, asked: Asked, on_job: Callable[[str], None] = logger.info) -> None:
        self._asked = asked
        self._on_job = on_job
        self._watcher: Watcher = Unwatched()
        self._said: dict[str, str] = {}
        self._any = CHAIN[-1](date=asked.first, **asked.place)  # for what all stages have in common
        self._kinds = {stage.dataset: stage for stage in expanded(CHAIN, self._any.case)}
        self.report = Report([])
        self.states: States

    @property
    def settings(self) -> Settings:
        """The settings of the use case."""
        return self._any.settings

    @property
    def first_date(self) -> date:
        """The day on which history begins."""
        first: date = self._any.settings.first_date
        return first

    @cached_property
    def feeds(self) -> dict[str, RawFeed]:
        """Every raw feed of the use case."""
        return {feed: self._any.settings.feed(self._any.lake, feed) for feed in self._any.case.feeds}

    def look(self) -> Report:
        """Look at the lake, and note what is asked for of it and what of that is there."""
        span = (self._asked.first, self._asked.last)
        datasets = self._asked.datasets(self._any.settings)
        self.states = states = self._look_at(dict.fromkeys(datasets, span))
        asked = [Day(dataset, day) for dataset in datasets for day in days(*span)]
        self.report = Report([day for day in asked if states.stages[day.name].is_due(day.date)])
        self.report.there = [day for day in self.report.asked if self._is_fit(day)]
        return self.report

    def _is_fit(self, day: Day) -> bool:
        """Whether a partition is there, and nothing of it is to be built again."""
        return self.states.of(day).state in PUBLISHED and self.states.unfit(day) is None

    def stale(self) -> list[Day]:
        """What is there and would be built from something else now. It stays as it is, and ``[lake] on_stale`` asks that
        this is said."""
        found = (day for day in self.report.there if self.states.of(day).state is State.STALE)
        return [day for day in found if self.states.stages[day.name].on_stale is not OnStale.KEEP]

    def is_complete(self) -> bool:
        """Whether all that is asked for is there now. The report stays as it is."""
        before = self.report
        try:
            return not self.look().remains
        finally:
            self.report = before

    def stages_asked(self) -> list[Stage]:
        """The stages that are asked for and not there as they are to be; none where nothing that is stale is rebuilt."""
        if all(self._any.settings.on_stale.of(stage.dataset) is not OnStale.REBUILD for stage in CHAIN):
            return []
        return [self._stage(day.name, day.date) for day in self.look().remains]

    def jobs(self) -> list[Job]:
        """The jobs that build what ``look`` has found to be missing, in their order."""
        return self._jobs(self.states, self.report.remains)

    def _jobs(self, states: States, roots: Sequence[Day]) -> list[Job]:

        def needs(partition: Day) -> Iterator[Day]:
            for need in states.stages[partition.name].needs(partition.date):
                of = need.days if isinstance(need, Candidates) else days(need.first, need.last)
                yield from (Day(need.name, day) for day in of)
                if isinstance(need, Candidates) and need.rows:
                    yield from (Day(need.rows, day) for day in need.days)

        return jobs.ordered(
            Builds(states, roots).asked(),
            needs,
            self._asked.order,
            together=[name for name, stage in self._kinds.items() if stage.is_built_together(self._any.case)],
            size=states.raw_bytes,
            cut=self._asked.cut,
        )

    def run(self, watcher: Watcher | None = None, patience: Patience | None = None) -> Report:
        """Build what ``look`` has found to be missing. What fails is in the report. With ``patience`` raw days that are
        late are waited for, once everything else is built."""
        self._watcher = watcher or Unwatched()
        began = time.monotonic()
        with self._listening():
            try:
                self._build(self.states, self.report.remains)
                while patience and (awaited := self.awaited()) and patience.until_landed(awaited):
                    self._look_again()
                    self._build(self.states, self.report.remains)
            finally:
                for feed, day in self.awaited():
                    self._any.trigger_event(AWAITED, self._any, feed.name, day)
                self.report.seconds = time.monotonic() - began
        return self.report

    def awaited(self) -> list[tuple[RawFeed, date]]:
        """The raw days that stand in the way of what is not built, because they are late."""
        self.note_what_cannot_be_built()
        roots = [cell for _, cell in map(self.root, self.report.cells) if cell and cell.state is State.WAITING]
        late = sorted({cell.because for cell in roots if cell.because})
        return [(self.feeds[day.name.removeprefix(RAW)], day.date) for day in late]

    def _look_again(self) -> None:
        """Look at the lake as it is now; what was built or has failed stays in the report."""
        before = self.report
        there = self.look().there
        before.there = [day for day in there if day not in before.built]
        before.cells.clear()
        self.report = before

    def _build(self, states: States, roots: Sequence[Day]) -> None:
        planned = self._jobs(states, roots)
        for job in planned:
            for day in job.days:
                self._watcher.due(self._stage(job.dataset, day))
        for number, job in enumerate(planned, start=1):
            self._on_job(f"job {number:,} of {len(planned):,}: {job}")
            self._run(job, states)
            sessions.tidy()
            # Luigi keeps every task that was ever made, and a stage keeps the history that it has read.
            Register.clear_instance_cache()

    def _run(self, job: Job, states: States) -> None:
        """Build what is still missing of a job, and go on where a day of it fails."""
        wanted = [day for day in job.days if not self._is_given_up(Day(job.dataset, day), states)]
        if wanted[1:]:
            first = self._stage(job.dataset, wanted[0])
            found = first.partitions.find(job.dataset, wanted[0], wanted[-1])
            complete = first.complete_among(found, wanted)
            self.report.there += [Day(job.dataset, day) for day in complete]
            wanted = [day for day in wanted if day not in complete]
            # What is damaged, or stale where that is an error, fails alone, with its own error.
            is_rebuilt = first.on_stale is OnStale.REBUILD
            together = [day for day in wanted if day not in found or (is_rebuilt and isinstance(found[day], Partition))]
            built = self._run_together([self._stage(job.dataset, day) for day in together])
            wanted = [day for day in wanted if day not in built]
        for day in wanted:
            self._run_one(self._stage(job.dataset, day))

    def _run_together(self, stages: Sequence[Stage]) -> set[date]:
        """Build days by one job, and return those that were published before one failed. The others are then to be built
        alone, so that every day has its own error, and the rest is there."""
        built: set[date] = set()
        if not stages[1:]:
            return built
        began = time.monotonic()
        for stage in stages:
            stage.trigger_event(luigi.Event.START, stage)
        try:
            for stage in type(stages[0]).run_together(stages):
                built.add(stage.date)
                self._succeed(stage, (time.monotonic() - began) / len(stages))
        except Exception as error:
            reason = stages[0].explained(error)
            logger.info("%d days are built one by one: %s", len(stages) - len(built), reason, exc_info=True)
        return built

    def _is_given_up(self, partition: Day, states: States) -> bool:
        """Whether a partition is not tried, because one that it needs was not built."""
        if partition in self.report.failed or partition in self.report.behind:
            return True
        for need in states.stages[partition.name].needs(partition.date):
            if isinstance(need, Need) and not need.may and not need.name.startswith(RAW):
                for day in days(need.first, need.last):
                    if self._is_lost(Day(need.name, day)):
                        self._put_behind(partition, Day(need.name, day))
                        return True
        return False

    def _is_lost(self, partition: Day) -> bool:
        return partition in self.report.failed or partition in self.report.behind

    def _put_behind(self, partition: Day, needed: Day) -> None:
        self.report.behind[partition] = needed
        logger.info("%s is not built, for it needs %s", partition, needed)

    def _run_one(self, stage: Stage) -> None:
        """Build a day, unless somebody has built it meanwhile. Its error is noted."""
        partition = Day(stage.dataset, stage.date)
        began = time.monotonic()
        try:
            if stage.complete():
                self.report.there.append(partition)
                return
            if stage.on_stale.acts:  # what it was built from is built again before it
                for needed in stage.deps():
                    if isinstance(needed, Stage):
                        self._supply(needed)
            stage.trigger_event(luigi.Event.START, stage)
            self._drive(stage)
        except _Behind as behind:
            self._put_behind(partition, behind.needed)
        except Exception as error:
            self._fail(stage, error)
        else:
            self._succeed(stage, time.monotonic() - began)

    def _drive(self, stage: Stage) -> None:
        """Run a stage. What it asks for on the way is built first, where it is not there."""
        running: Iterator[luigi.DynamicRequirements] | None = stage.run()
        for wanted in running or ():
            for task in flatten(wanted.requirements):
                self._supply(task)

    def _supply(self, stage: Stage) -> None:
        """Build a partition that another asks for while it runs, as a selection does after a new model was rejected.
        Raises _Behind where it cannot be built."""
        partition = Day(stage.dataset, stage.date)
        if self._is_lost(partition):
            raise _Behind(partition)
        try:
            if stage.complete():
                return
            states = self._look_at({stage.dataset: (stage.date, stage.date)})
            self._build(states, [partition])
            if self._is_lost(partition) or not stage.complete():
                self.report.cells.setdefault(partition, states.of(partition))
                raise _Behind(partition)
        except (DamagedPartition, StalePartition) as error:
            self._fail(stage, error)
            raise _Behind(partition) from error

    def _succeed(self, stage: Stage, seconds: float) -> None:
        kind = self.report.there if stage.built_nothing else self.report.built
        kind.append(Day(stage.dataset, stage.date))
        stage.trigger_event(luigi.Event.PROCESSING_TIME, stage, seconds)
        stage.trigger_event(luigi.Event.SUCCESS, stage)
        self._watcher.built(stage, self._said.pop(stage.task_id, ""), seconds)

    def _fail(self, stage: Stage, error: Exception) -> None:
        explained = stage.explained(error)
        stage.on_failure(error)
        stage.trigger_event(luigi.Event.FAILURE, stage, error)
        self.report.failed[Day(stage.dataset, stage.date)] = explained
        self._watcher.refused(stage, explained)

    def note_what_cannot_be_built(self) -> None:
        """Note the states of those that remain and cannot be built as the lake is."""
        for day in self.report.remains:
            refused = self.states.unfit(day)
            if refused and self.states.stages[refused.name].on_stale is OnStale.FAIL:
                self.report.failed[day] = self._refusal(day)
            elif self.states.is_blocked(day):
                self.report.cells[day] = self.states.of(day)

    def _refusal(self, day: Day) -> DaystoneError:
        """Why a stale partition is an error, in the words of its stage."""
        try:
            self._stage(day.name, day.date).complete()
        except DaystoneError as error:
            return error
        return StalePartition(str(day), "a partition that is not stale", "one that was", "run again")

    def root(self, partition: Day) -> tuple[Day, Cell | None]:
        """What stands in the way of a partition: itself or one that it needs, with its state. None where that one was
        tried and failed."""
        while partition in self.report.behind:
            partition = self.report.behind[partition]
        if partition in self.report.failed:
            return partition, None
        cell = self.report.cells.get(partition) or self.states.of(partition)
        while cell.state is State.BLOCKED and cell.because is not None:
            partition, cell = cell.because, self.states.of(cell.because)
        return partition, cell

    def reasons(self) -> list[DaystoneError]:
        """Why what was asked for is not there, each reason once: errors of builds first, then what stood in the way
        from the beginning, in the order of the chain and of days."""
        found: list[DaystoneError] = []
        for error in self.report.failed.values():
            refused.note(found, error)
        seen: set[str] = set()
        for partition in self.report.cells:
            root, cell = self.root(partition)
            if cell is None:
                continue
            key = cell.because.name if cell.because else str(root)
            if key not in seen:
                seen.add(key)
                found.append(self._reason(partition, root, cell))
        return found

    def _reason(self, partition: Day, root: Day, cell: Cell) -> DaystoneError:
        """Why ``partition`` cannot be built, where ``root`` with the state ``cell`` is what stands in the way."""
        try:
            if cell.state is State.DAMAGED:
                self._stage(root.name, root.date).complete()
            elif cell.because is not None and cell.because.name.startswith(RAW):
                feed = self.feeds[cell.because.name.removeprefix(RAW)]
                newest = self.states.standing.landed[cell.because.name].newest
                last = newest if newest and cell.state is State.HOLE else cell.because.date
                feed.history(min(self.first_date, last), last)
            else:  # every model that may be chosen was rejected
                self._drive(self._stage(partition.name, partition.date))
        except DaystoneError as error:
            return error
        except _Behind:
            pass
        return NotPublished(str(partition), "what it is built from", f"no {root}", "build that first")

    def _look_at(self, spans: dict[str, tuple[date, date]]) -> States:
        named = [self._asked.stage] if self._asked.stage else []
        todays = standing.todays(self._asked.last, named, **self._asked.place)
        return standing.look(self._any.partitions, self.feeds, todays, spans)

    def _stage(self, dataset: str, day: date) -> Stage:
        return self._kinds[dataset](date=day, **self._asked.place)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        def on_progress(stage: Stage, percent: int, message: str) -> None:
            self._said[stage.task_id] = words.message_of(message)
            self._watcher.progress(stage, percent, words.message_of(message))

        luigi.Task.event_handler(PROGRESS)(on_progress)
        try:
            yield
        finally:
            luigi.Task.remove_event_handler(PROGRESS, on_progress)


class _Behind(Exception):
    """A partition cannot be built, because one that it needs is not there."""

    def __init__(self, needed: Day) -> None:
        super().__init__(needed)
        self.needed = needed
