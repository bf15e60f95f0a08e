"""The base class of every stage: one dataset, one day, one manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import luigi
from luigi.retcodes import retcode

from spark_lib.errors import BadData, ConfigurationError, DamagedPartition, DaystoneError, StalePartition
from spark_lib.lake import (
    Attempt,
    CleanDays,
    Documents,
    Input,
    Lake,
    Manifest,
    Partition,
    RawDays,
    RawFeed,
    Resolved,
    Rows,
)
from spark_lib.lake.feeds import cleaned
from spark_lib.session import interrupts
from spark_lib.use_case import UseCase, loading
from tasks.config import check, luigi_settings, resolve
from tasks.config.on_stale import OnStale
from tasks.config.settings import Settings
from tasks.graph import behind, cadence, met, refused, sessions, words
from tasks.graph.log import say_why
from tasks.graph.parameters import DayParameter, LakeParameter, UseCaseParameter, refusal_as_exit_code
from tasks.graph.staleness import RAW, Candidates, Day, Landed, Need, Pinned, State, States, Today
from tasks.graph.targets import PartitionTarget

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_lib.lake.gc import Kept
    from spark_lib.session.sizes import Sized

#: Luigi events for code that shows a run to a person, with the arguments (task, percent, message) and (task, error).
PROGRESS = "daystone.progress"
REFUSED = "daystone.refused"
#: The same, with the arguments (task, feed, day): a raw day is waited for in vain.
AWAITED = "daystone.awaited"


@dataclass(frozen=True)
class Description:
    """A published day in a word. ``rejection`` says why the day is not to be used, and is empty where it may be."""

    text: str
    rejection: str = ""


class Dated(luigi.Task):
    """A task of one day of one use case in one lake. ``use_case`` and ``lake`` default to the configuration's."""

    date: date = DayParameter(description="the landing day, UTC")
    use_case: str = UseCaseParameter(positional=False, description="a shipped use case or module:Class")
    lake: str = LakeParameter(positional=False, description="the root of the lake")

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        with refusal_as_exit_code():
            luigi_settings.check_class(cls)
            # A clone brings both. The configuration is read only for a task that does not.
            if "use_case" not in kwargs:
                kwargs = kwargs | {"use_case": resolve.default_use_case()}
            if "lake" not in kwargs:
                kwargs = kwargs | {"lake": resolve.default_lake()}
            values = super().get_param_values(params, args, kwargs)
            named = dict(values)
            _check_server_once(named["use_case"], named["lake"])
            return values

    @property
    def subject(self) -> str:
        """What a person is told that the day is a day of."""
        return str(self.task_family)

    @property
    def case(self) -> UseCase:
        return self.settings.case

    @property
    def settings(self) -> Settings:
        return _checked(self.use_case)

    def complete(self) -> bool:
        with self.refusal_said():
            return bool(self.output().exists())

    def deps(self) -> list[luigi.Task]:
        with self.refusal_said():
            return list(super().deps())

    @contextmanager
    def refusal_said(self) -> Iterator[None]:
        """Report a refusal while Luigi schedules. Luigi itself would log a traceback as a warning, and no ERROR."""
        try:
            yield
        except DaystoneError as error:
            self.refuse(error, retcode().scheduling_error)
            raise

    def refuse(self, error: DaystoneError, code: int) -> None:
        """Log the reason in one line, which is the last ERROR where Luigi exits with ``code``."""
        say_why(code, f"{self.task_family} of {self.date}: {error}")
        self.trigger_event(REFUSED, self, error)

    def progress(self, percent: int, message: str) -> None:
        """Show on the scheduler's page, and to all listeners, how far the run is."""
        # Luigi's worker sets both, around run().
        if self.set_progress_percentage is not None and self.set_status_message is not None:
            self.set_progress_percentage(percent)
            self.set_status_message(message)
        self.trigger_event(PROGRESS, self, percent, message)

    def on_failure(self, exception: BaseException) -> str:
        """The explanation that Luigi passes on: one line where the error is ours, else the traceback."""
        explanation = super().on_failure(exception)
        if isinstance(exception, DaystoneError):
            explanation = str(exception)
        self.refuse(self.explained(exception), retcode().task_failed)
        return str(explanation)

    def explained(self, exception: BaseException) -> DaystoneError:
        """An exception of a run as an error of ours."""
        return explained(f"run of {self.task_family} of {self.date}", exception)


class Stage(Dated):
    """Builds one day of ``dataset``.

    Subclasses say what they require. Their ``run()`` opens an attempt, calls one function of the module of the same
    noun in ``spark_lib.stages``, and publishes. A stage is complete when its partition is published and whole, and
    ``[lake] on_stale`` has nothing against it.

    Where ``needs_no_build()`` is True, ``run()`` ends at once.
    """

    #: The name of the dataset that the stage writes.
    dataset: ClassVar[str]
    #: A number to increase when the stage gives other rows or documents than before from the same inputs and settings.
    RESULT: ClassVar[int]
    #: The values of ``[training]`` that affect the result; the manifest records them.
    settings_used: ClassVar[Sequence[str]] = ()
    #: The libraries that the result is computed with, as far as manifests record their versions.
    libraries: ClassVar[Sequence[str]] = ()
    #: The stages that a day is built from.
    built_from: ClassVar[tuple[type[Stage], ...]] = ()
    #: The datasets that are read as they were on the day. Another run of them makes no published day stale.
    as_of: ClassVar[Sequence[str]] = ()
    #: The datasets whose partitions are read in place of raw days, which the manifest names, too.
    stands_for_raw: ClassVar[Sequence[str]] = ()
    #: Whether no stage asks for this one, so that only a person does.
    on_demand: ClassVar[bool] = False
    #: Whether the table of ``status`` has a column for it where no day of it is there.
    always_shown: ClassVar[bool] = True
    #: Whether a day that is there, but not complete, is built anew in its place.
    replaces: ClassVar[bool] = False
    #: What a published day is called whose verdict is that it is not to be used.
    refused: ClassVar[State] = State.REJECTED
    #: What a refused day is said to be in a message to people, where it is not its state.
    told_as: ClassVar[str] = ""
    #: Whether a refused day is no matter any more once a later day of the dataset is not refused.
    superseded: ClassVar[bool] = False
    #: The datasets of whose runs a published day keeps those that it was built from: gc and clean never remove them.
    keeps: ClassVar[tuple[str, ...]] = ()
    #: The word above what ``explain`` says of a day.
    explained_as: ClassVar[str] = "chosen"
    #: Build although the day is complete, and swap the manifest for the new run's (``daystone rebuild``).
    force = False
    #: Whether a ``run()`` of this process had nothing to build.
    built_nothing = False

    @property
    def subject(self) -> str:
        return self.dataset

    @classmethod
    def kinds(cls, case: UseCase) -> tuple[type[Stage], ...]:
        """The stages that this one is for a use case: itself, or one for each value of a parameter besides the day. Each
        has a dataset of its own."""
        return (cls,)

    @classmethod
    def is_used(cls, settings: Settings) -> bool:
        """Whether the configuration has this stage in the chain; by default it has."""
        return True

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        """Whether the chain of a day asks for this stage; by default as soon as there may be a model."""
        return cadence.has_model(day, settings)

    @classmethod
    def may_be_asked(cls, day: date, settings: Settings) -> bool:
        """Whether a person may ask for a day of a stage that is ``on_demand``; by default from the first day of history on."""
        return day >= settings.first_date

    @classmethod
    def needs(cls, day: date, settings: Settings) -> Sequence[Need | Candidates]:
        """What a day is built from, by the calendar alone. ``requires()`` and ``run()`` ask Luigi for the same; this says
        it without making a task of each day, for the states of a whole lake. By default nothing.
        """
        return ()

    @classmethod
    def is_built_together(cls, case: UseCase) -> bool:
        """Whether one job may build many days of a use case; by default each day is a job of its own."""
        return False

    @classmethod
    def run_together(cls, stages: Sequence[Any]) -> Iterator[Stage]:
        """Build many days, oldest first, by one job, and yield each once it is published. For stages that
        ``is_built_together``."""
        raise NotImplementedError

    @classmethod
    def describe(cls, manifest: Manifest) -> Description:
        """A published day in a word, for a table; by default its number of rows."""
        return Description(f"{manifest.rows():,}")

    @classmethod
    def explain(cls, manifest: Manifest) -> list[str]:
        """Why a published day is what it is, where its stage has chosen something: a line each. By default nothing."""
        return []

    @classmethod
    def runs_kept(cls, day: date, manifest: Manifest) -> Iterator[Kept]:
        """The runs that a published day needs, whatever is published in their place; by default those of the dataset that
        it ``keeps`` and was built from."""
        for given in manifest.inputs:
            if given.name in cls.keeps:
                yield from ((given.name, given.first, run) for run in given.ids)

    @classmethod
    def pinned(cls, manifest: Manifest) -> Pinned | None:
        """The run of an earlier stage whose damage ``damage_behind`` looks for; by default there is none."""
        return None

    @classmethod
    def damage_behind(cls, lake: Lake, partition: Partition) -> list[DamagedPartition]:
        """Damage outside of a whole partition that makes the partition useless; by default none."""
        return []

    @classmethod
    def decided_then(cls, manifest: Manifest) -> str:
        """The name of the decision of people that a published day was built by; by default they decide nothing."""
        return ""

    def decisions(self) -> Callable[[date], str | None]:
        """Says of a day by the name of which decision of people it is built; empty where they have to decide and did not.
        By default None: they decide nothing."""
        return lambda day: None

    def wanted(self) -> Callable[[date], bool]:
        """Says whether a day is to have this stage: by default where the chain asks for it, and for another stage where
        people have decided so."""
        return lambda day: self.is_due(day, self.settings)

    def complete(self) -> bool:
        """Whether the day is published and whole. Under ``[lake] on_stale = rebuild`` it must not be stale either, nor
        anything that it was built from. Under ``fail`` a stale one raises StalePartition.
        """
        if self.force or not super().complete():
            return False
        if self.on_stale.acts:
            with self.refusal_said():
                states = self._states([self.date], behind.seen)
                unfit = states.unfit(self._day)
                if unfit is not None:
                    self._refuse_stale(unfit, states)
                    return False
        met.complete(self, [self.date])
        return True

    def deps(self) -> list[luigi.Task]:
        """What ``requires()`` says, and what a published day was built from that is to be rebuilt before it."""
        found = super().deps()
        if not self.on_stale.acts or self.force:
            return found
        with self.refusal_said():
            states = self._states([self.date], behind.seen)
            if states.standing.manifest(self.dataset, self.date) and states.of(self._day).state is not State.STALE:
                kinds = {kind.dataset: kind for kind in expanded(self.built_from, self.case)}
                for given in states.built_from(self._day):
                    if given.name in kinds and states.unfit(given):
                        found.append(self.clone(kinds[given.name], date=given.date))
        return found

    def needs_no_build(self) -> bool:
        """Whether a day that was not complete, because something was stale, is not stale any more: another process has
        built it meanwhile, or what it was built from came out equal. It is looked at afresh.

        Raises StalePartition where the day is stale and ``[lake] on_stale = fail``.
        """
        if self.force or not self.on_stale.acts:
            return False
        states = self._states([self.date], behind.look_at)
        if states.standing.manifest(self.dataset, self.date) is None:
            return False
        if states.of(self._day).state is State.STALE:
            self._refuse_stale(self._day, states)
            return False
        behind.forget()
        self.built_nothing = True
        self.progress(100, f"{self.dataset}: not stale any more, nothing was built")
        return True

    @property
    def on_stale(self) -> OnStale:
        """What a run does about a stale day of this dataset."""
        return self.settings.on_stale.of(self.dataset)

    @property
    def _day(self) -> Day:
        return Day(self.dataset, self.date)

    def _states(self, wanted: Iterable[date], listed: Callable[[RawFeed, date, date], Landed]) -> States:
        """The states of days of this dataset that are published, and of what they were built from."""
        return behind.look(self.partitions.find, self.feeds, self.lineage(), {self.dataset: wanted}, listed)

    def _refuse_stale(self, stale: Day, states: States) -> None:
        """Raise StalePartition for a stale partition whose policy is to fail."""
        if self.settings.on_stale.of(stale.name) is OnStale.FAIL:
            raise StalePartition(
                str(stale),
                "a partition that would be built the same now, as [lake] on_stale = fail asks for",
                f"a stale one: {'; '.join(words.of_reasons(states.of(stale).reasons))}",
                f"build it again (daystone rebuild {stale.name} --date {stale.date}), or set [lake] on_stale to keep, warn "
                "or rebuild",
            )

    @property
    def feeds(self) -> dict[str, RawFeed]:
        """Every raw feed of the use case."""
        return {feed: self.settings.feed(self.lake, feed) for feed in self.case.feeds}

    def lineage(self) -> list[Today]:
        """What this stage, and all that it is built from, would build with today, in the order of the chain."""
        of = (self.settings, self.lake, type(self))
        if of not in _LINEAGES:
            _LINEAGES[of] = [self.clone(kind).today() for kind in _in_order(type(self), self.case)]
        return _LINEAGES[of]

    @property
    def priority(self) -> int:  # type: ignore[override]  # Luigi asks tasks, and never sets it
        """Luigi builds what has the highest priority first, so the oldest day has the highest. The numbers are even, to
        leave room between two days.

        A priority is never below 0, which Luigi's own reports of a task say. Luigi's scheduler raises whatever a task
        needs to the priority of the task, and never lowers it. What a stage needs is of its day or an older one.
        """
        return 2 * (date.max - self.date).days

    def output(self) -> PartitionTarget:
        return PartitionTarget(self.partitions, self.dataset, self.date)

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[date]) -> list[date]:
        """The complete days among many, by one listing, and by one more for each dataset and feed that they were built
        from where ``[lake] on_stale`` asks whether they are stale. A damaged day is left out; its own ``complete()``
        raises.
        """
        days = list(parameter_tuples)
        if not days:
            return []
        stage = cls(date=days[0])  # not always a class: Luigi's ranges bind parameters to it first
        return stage.complete_among(stage.partitions.find(stage.dataset, min(days), max(days)), days)

    def complete_among(self, found: Mapping[date, Partition | DamagedPartition], days: Iterable[date]) -> list[date]:
        """The days of this dataset that are complete, of those that were ``found``."""
        complete = [day for day in days if isinstance(found.get(day), Partition)]
        if self.on_stale.acts and complete:
            states = self._states(complete, behind.seen)
            complete = [day for day in complete if states.unfit(Day(self.dataset, day)) is None]
        met.complete(self, complete)
        return complete

    @cached_property
    def partitions(self) -> Lake:
        return Lake(self.lake, loading.directory(self.use_case), self.settings.connection)

    def attempt(self, inputs: Iterable[Input | Resolved], of_inputs_alone: bool = False) -> Attempt:
        """Open an attempt at this day, recording what its result depends on: its inputs, and unless it is ``of_inputs_alone``
        the configuration and the code of the use case."""
        return self.attempt_at({self.date: tuple(inputs)}, of_inputs_alone=of_inputs_alone)

    def attempt_at(
        self,
        inputs: Mapping[date, Sequence[Input | Resolved]],
        sources: Sequence[Resolved] = (),
        of_inputs_alone: bool = False,
    ) -> Attempt:
        """Open an attempt at the days of ``inputs``, each of which is recorded with its own. ``sources`` are verified for
        all of them together."""
        from spark_lib.use_case.fingerprint import versions

        return Attempt(
            self.partitions,
            self.dataset,
            list(inputs),
            stage=self.task_family,
            # Clean days are partitions, of which a rebuild looks whether they still stand.
            inputs={
                day: [given.input if isinstance(given, CleanDays) else given for given in read]
                for day, read in inputs.items()
            },
            sources=sources,
            settings={} if of_inputs_alone else self.recorded_settings(),
            code={"result": str(self.RESULT)} if of_inputs_alone else self.recorded_code(),
            versions=versions(),
            rebuild=self.force or self.replaces or self.on_stale is OnStale.REBUILD,
            max_hours=self.settings.lake.max_attempt_hours,
        )

    @property
    def file_rows(self) -> int:
        """The greatest number of rows in a Parquet file."""
        return self.settings.lake.max_records_per_file

    def recorded_settings(self) -> Mapping[str, Any]:
        """The configuration values that this stage's result depends on: those of ``[training]`` that it uses, and how
        the CSV feeds that it reads are written."""
        values = self.settings.training
        used = {name: getattr(values, name) for name in (*self.settings_used, *self.settings_of_the_problem)}
        landed = [feed for feed in self.feeds_read if not self.case.feeds[feed].is_cleaned]
        return used | self.settings.dialects(self.lake, landed)

    def recorded_code(self) -> dict[str, str]:
        """The code that this stage's result depends on: its own number, and the use case's."""
        from spark_lib.use_case.fingerprint import code

        return code(self.case, self.RESULT)

    def today(self, asked: bool = False) -> Today:
        """What the stage would build with today, by which the published days of its dataset are judged. Where it is
        ``asked`` for, a stage that no other asks for is due on every day of history.
        """
        from spark_lib.use_case.fingerprint import versions

        kind, settings = type(self), self.settings
        there = versions()

        wanted = self.wanted()

        def is_due(day: date) -> bool:
            return wanted(day) or (asked and kind.on_demand and kind.may_be_asked(day, settings))

        return Today(
            self.dataset,
            needs=lambda day: kind.needs(day, settings),
            is_due=is_due,
            rejection=lambda manifest: kind.describe(manifest).rejection,
            refused=kind.refused,
            settings=self.recorded_settings(),
            code=self.recorded_code(),
            libraries={name: there[name] for name in self.libraries if name in there},
            pinned=kind.pinned,
            is_damaged_behind=lambda partition: bool(kind.damage_behind(self.partitions, partition)),
            as_of=frozenset(self.as_of),
            stands_for_raw=frozenset(self.stands_for_raw),
            decided=self.decisions(),
            decided_then=kind.decided_then,
            on_stale=self.on_stale,
        )

    @property
    def settings_of_the_problem(self) -> Sequence[str]:
        """More of ``settings_used``, which depend on what the use case's label asks."""
        return ()

    @property
    def feeds_read(self) -> Sequence[str]:
        """The feeds that the stage reads itself, as they landed or cleaned."""
        return ()

    def publish(self, attempt: Attempt, written: Rows | Documents) -> Manifest:
        """Commit this day of an attempt, report in words what is now published, and return its manifest."""
        self.progress(90, "publishing")
        with interrupts.held():
            stands = attempt.commit({self.date: written})[self.date]
        self.force = False
        behind.forget()
        self.progress(100, self.summary(stands))
        return stands

    def summary(self, manifest: Manifest) -> str:
        """A published day in words."""
        return f"{self.dataset}: {manifest.rows():,} rows"

    def spark(self, reads: Iterable[Sized] = ()) -> SparkSession:
        """The process's session, started on first use, with partitions for what this stage reads. Raises
        JavaMissing."""
        self.progress(5, "starting Spark")
        started = sessions.start(self.settings, self.lake, reads, f"{self.dataset} of {self.date}")
        if self.set_tracking_url is not None and started.sparkContext.uiWebUrl:
            self.set_tracking_url(started.sparkContext.uiWebUrl)
        self.progress(10, "Spark is up")
        return started

    def raw_days(self, feed: str, first: date, last: date | None = None) -> RawDays:
        """The feed's days from ``first`` to this one, or to ``last``, listed now. Raises HoleInHistory, WaitingForData,
        and BadData where a stage of this run was refused for one of their files."""
        days = self.settings.feed(self.lake, feed).history(first, last or self.date)
        self._read.append(days)
        refused.check(days)
        return days

    def days_read(self, feed: str, first: date, last: date | None = None) -> RawDays:
        """The same as ``raw_days``; of a feed that is cleaned its clean days. Raises NotPublished, DamagedPartition for one
        of these."""
        last = last or self.date
        if not self.case.feeds[feed].is_cleaned:
            return self.raw_days(feed, first, last)
        found = self.partitions.require(cleaned.dataset_of(feed), first, last) if first <= last else []
        return cleaned.clean_days(self.settings.feed(self.lake, feed), found)

    def history(self, last_outcomes: date) -> dict[str, RawDays]:
        """Every feed that features may see, from the first day on: outcomes to ``last_outcomes``, which may be before
        the first day, and all others to this day."""
        first = self.settings.first_date
        seen = {feed: self.days_read(feed, first) for feed in self.case.feature_feeds}
        return seen | {feed: self.days_read(feed, first, last_outcomes) for feed in self.case.past_outcome_feeds}

    @cached_property
    def _read(self) -> list[RawDays]:
        """The raw days that the run has asked for."""
        return []

    def refuse_earlier_days(self) -> None:
        """Raise ConfigurationError for a day before history begins: no raw day of it will ever land."""
        first = self.settings.first_date
        if self.date < first:
            raise ConfigurationError(
                f"{self.dataset} of {self.date}",
                f"a day from [pipeline] first_date on, {first}",
                "an earlier one",
                "ask for a later day, or set [pipeline] first_date",
            )

    def on_failure(self, exception: BaseException) -> str:
        if isinstance(exception, BadData):
            refused.remember(exception, self._read)
        return super().on_failure(exception)


def explained(where: str, exception: BaseException) -> DaystoneError:
    """An exception as an error of ours, which says what to do next."""
    if isinstance(exception, DaystoneError):
        return exception
    first_line = str(exception).strip().partition("\n")[0].rstrip(".")
    return DaystoneError(
        where,
        "no exception",
        f"{type(exception).__name__}: {first_line}",
        "read the traceback in the log of the run",
    )


class Awaited(luigi.DynamicRequirements):
    """Requirements that take a damaged partition, or a stale one that is an error, for incomplete. It is then scheduled
    and reports its own error, instead of failing the task that asks.
    """

    def complete(self, complete_fn: Callable[[luigi.Task], bool] | None = None) -> bool:
        try:
            return bool(super().complete(complete_fn))
        except (DamagedPartition, StalePartition):
            return False


def history_needed(settings: Settings, day: date, last_outcomes: date) -> list[Need | Candidates]:
    """The days that ``Stage.history`` reads for a day."""
    first, case = settings.first_date, settings.case
    read = [Need(name_read(case, feed), first, day) for feed in case.feature_feeds]
    past = case.past_outcome_feeds if last_outcomes >= first else ()
    return [*read, *(Need(name_read(case, feed), first, last_outcomes) for feed in past)]


def name_read(case: UseCase, feed: str) -> str:
    """The name of the input that a feed is read from: its raw days, or where it is cleaned the dataset of its clean
    ones."""
    return cleaned.dataset_of(feed) if case.feeds[feed].is_cleaned else f"{RAW}{feed}"


def expanded(stages: Iterable[type[Stage]], case: UseCase) -> tuple[type[Stage], ...]:
    """The stages of a use case among some: one with a parameter besides the day once for each value."""
    return tuple(kind for stage in stages for kind in stage.kinds(case))


def previous(day: date, days: int) -> date:
    """The day so many days earlier."""
    return day - timedelta(days=days)


#: The settings of each use case, once they have been checked: all tasks of a run share them.
_CHECKED: dict[str, Settings] = {}
_CHECKED_SERVERS: set[tuple[str, str]] = set()
#: What each stage in a lake, and all that it is built from, would build with by some settings.
_LINEAGES: dict[tuple[Settings, str, type[Stage]], list[Today]] = {}


def places() -> dict[tuple[str, str], Settings]:
    """The use cases and lakes of the tasks that were made in this run, with their settings."""
    return {place: _checked(place[0]) for place in _CHECKED_SERVERS}


def forget_checked() -> None:
    """Forget the settings that were checked, because the configuration may change before the next run of the process."""
    _CHECKED.clear()
    _CHECKED_SERVERS.clear()
    _LINEAGES.clear()


def _in_order(kind: type[Stage], case: UseCase) -> list[type[Stage]]:
    """A stage and all that it is built from, each behind what it is built from itself."""
    found = [earlier for other in expanded(kind.built_from, case) for earlier in _in_order(other, case)]
    return list(dict.fromkeys([*found, kind]))


def _checked(name: str) -> Settings:
    """The settings of a use case. They are checked when the first task of the use case is made, never at import, and the
    process is told then how they reach S3."""
    if name not in _CHECKED:
        check.configuration_files()
        luigi_settings.check()
        luigi_settings.check_shared(_below(Dated))
        settings = Settings(name, loading.load(name))
        settings.check()
        settings.connect()
        _CHECKED[name] = settings
    return _CHECKED[name]


def _below(kind: type[Dated]) -> Iterator[type[Dated]]:
    """All classes of tasks below ``kind``."""
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _check_server_once(use_case: str, lake: str) -> None:
    """Check what names the S3 server of a lake when the first task of the lake is made, before any request is sent."""
    settings = _checked(use_case)
    if (use_case, lake) in _CHECKED_SERVERS:
        return
    settings.ways(lake)  # raises for a server that cannot be asked
    _CHECKED_SERVERS.add((use_case, lake))
