"""Clean days of the feeds that declare rules: what passes, and in a quarantine what does not."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

import luigi

from spark_lib.errors import ConfigurationError
from spark_lib.lake import CLEAN, QUARANTINE, Input, Manifest, RawDays, days
from spark_lib.session import interrupts
from spark_lib.use_case import UseCase
from spark_lib.use_case.keys import names
from tasks.config.settings import Settings
from tasks.graph.log import logger
from tasks.graph.parameters import DayParameter, refusal_as_exit_code
from tasks.graph.stage import Dated, Description, Stage
from tasks.graph.staleness import RAW, Candidates, Need
from tasks.raw import RawPartition

#: The greatest number of days that one job cleans where a stage asks for its history.
_MOST_DAYS = 92


class Cleaning(Stage):
    """A day of a feed that declares rules, duplicates or ``unique_days``: the rows that pass, and the section
    ``quarantine``.

    It is made from raw days alone, the day's own and those of the ``unique_days`` before it, so that days can be built in
    any order. Whatever reads the feed reads its clean days. Each such feed has a dataset, ``clean/<feed>``, and a class of
    its own (``of``), of which every task is: this one stands for them all.
    """

    dataset = CLEAN.rstrip("/")
    RESULT = 1
    libraries = ("pyspark",)
    explained_as = "left out"
    feed: str = luigi.Parameter(positional=False, description="a feed of the use case that declares rules")
    #: The feed of a class; None for the one that stands for all.
    of_feed: ClassVar[str | None] = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Cleaning:
        if cls.of_feed is not None:
            return super().__new__(cls)
        given = dict(cls.get_param_values(cls.get_params(), args, kwargs))
        return super().__new__(of(given["feed"]))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with refusal_as_exit_code():
            self.settings.feed(self.lake, self.feed)  # refuses a feed that nobody declares
            if not self.case.feeds[self.feed].is_cleaned:
                cleaned = self.case.cleaned_feeds
                raise ConfigurationError(
                    f"{self.dataset} of {self.date}",
                    f"a feed that is cleaned: {', '.join(cleaned) if cleaned else 'this use case declares none'}",
                    f"{self.feed!r}, which declares no rules and is read as it landed",
                    "name another, or declare rules, duplicates or unique_days of the feed",
                )

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        own = {} if cls.of_feed is None else {"feed": cls.of_feed}  # whatever task it is cloned from
        return super().get_param_values(params, args, kwargs | own)

    @classmethod
    def kinds(cls, case: UseCase) -> tuple[type[Stage], ...]:
        return tuple(map(of, case.cleaned_feeds))

    @classmethod
    def is_used(cls, settings: Settings) -> bool:
        return cls.of_feed is not None and cls.of_feed in settings.case.cleaned_feeds

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return cls.is_used(settings) and day >= settings.first_date

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        assert cls.of_feed is not None  # the class that stands for all has no days
        return [Need(f"{RAW}{cls.of_feed}", cls._first_needed(day, settings), day)]

    @classmethod
    def is_built_together(cls, case: UseCase) -> bool:
        return True

    @classmethod
    def run_together(cls, stages: Sequence[Cleaning]) -> Iterator[Cleaning]:
        newest = stages[-1]
        begins = {stage.date: cls._first_needed(stage.date, newest.settings) for stage in stages}
        landed = newest.raw_days(newest.feed, min(begins.values()))
        raw = landed.of({day for last, first in begins.items() for day in days(first, last)})
        inputs = {last: [_between(raw, first, last)] for last, first in begins.items()}
        with newest.attempt_at(inputs, [raw]) as attempt:
            from spark_lib.stages import cleaning

            written = cleaning.build_days(newest.spark([raw]), newest.case, raw, attempt, newest.file_rows)
            with interrupts.held():
                for stage in stages:
                    stage.publish(attempt, written[stage.date])
                    yield stage

    @classmethod
    def describe(cls, manifest: Manifest) -> Description:
        clean, landed = manifest.rows(""), manifest.rows()
        return Description(f"{clean:,}" if clean == landed else f"{clean:,} of {landed:,}")

    @classmethod
    def explain(cls, manifest: Manifest) -> list[str]:
        apart = manifest.rows(QUARANTINE)
        if not apart:
            return []
        broken = sorted(manifest.metrics["rules"].items(), key=lambda item: (-item[1], item[0]))
        rules = ", ".join(f"{name} {count:,}" for name, count in broken if count)
        return [f"{apart:,} of {manifest.rows():,} rows, in quarantine: {rules}"]

    @property
    def feeds_read(self) -> list[str]:
        return [self.feed]

    def recorded_settings(self) -> Mapping[str, Any]:
        """What the feed declares, as far as a row depends on it, and how its CSV is written."""
        declared, case = self.case.feeds[self.feed], self.case
        by_time = case.event_time_of(self.feed) if declared.duplicates == "newest" else None
        return self.settings.dialects(self.lake, self.feeds_read) | {
            "schema": " ".join(declared.schema.split()),
            "key": list(names(declared.key)),
            "never_null": list(case.never_null(self.feed)),
            "rules": dict(declared.rules),
            "duplicates": declared.duplicates,
            "unique_days": declared.unique_days,
            "event_time": by_time,
        }

    def recorded_code(self) -> dict[str, str]:
        """No code of the use case computes a clean day: what it declares is among the settings."""
        return {"result": str(self.RESULT)}

    def requires(self) -> list[RawPartition]:
        self.refuse_earlier_days()
        return [self.clone(RawPartition)]

    def run(self) -> None:
        if self.needs_no_build():
            return
        raw = self.raw_days(self.feed, self._first_needed(self.date, self.settings))
        with self.attempt([raw]) as attempt:
            from spark_lib.stages import cleaning

            spark = self.spark([raw])
            self.publish(attempt, cleaning.build(spark, self.case, raw, attempt.destination, self.file_rows))

    def summary(self, manifest: Manifest) -> str:
        return f"{self.dataset}: {manifest.rows(''):,} rows, {manifest.rows(QUARANTINE):,} in quarantine"

    @classmethod
    def _first_needed(cls, day: date, settings: Settings) -> date:
        """The first raw day that a clean day is made from."""
        assert cls.of_feed is not None  # the class that stands for all has no days
        return settings.case.feeds[cls.of_feed].first_needed(day, settings.first_date)


@functools.cache
def of(feed: str) -> type[Cleaning]:
    """The stage that cleans one feed. To Luigi its tasks are those of ``Cleaning`` with this feed."""
    named = {
        "__module__": __name__,
        "__doc__": Cleaning.__doc__,
        "of_feed": feed,
        "dataset": f"{CLEAN}{feed}",
        "_visible_in_registry": False,
    }
    made: type[Cleaning] = types.new_class(Cleaning.__name__, (Cleaning,), exec_body=lambda body: body.update(named))
    return made


class CleaningRange(Dated):
    """The clean days of a feed from ``first`` to ``date``. Those that are missing are built by one job.

    Stages that read many days of a cleaned feed ask for it.
    """

    first: date = DayParameter(option="--first", description="the first day, UTC")
    feed: str = luigi.Parameter(positional=False, description="a feed of the use case that declares rules")
    #: The day that is built now, by which a failure is reported.
    _at_work: Cleaning | None = None

    def requires(self) -> list[RawPartition]:
        """Luigi waits for the last day, unless its clean day is there. What is missing before it is a hole in history."""
        stage = self._stage(self.date)
        return [] if stage.partitions.find(stage.dataset, self.date, self.date) else [self.clone(RawPartition)]

    def output(self) -> list[luigi.Target]:
        """The target of the last day; the days before it are seen by ``complete``."""
        return [self._stage(self.date).output()]

    def complete(self) -> bool:
        with self.refusal_said():
            return not self._missing()

    def run(self) -> None:
        missing = self._missing()
        for start in range(0, len(missing), _MOST_DAYS):
            self._build(missing[start : start + _MOST_DAYS])

    def on_failure(self, exception: BaseException) -> str:
        stage = self._at_work or self._stage(self.date)
        return stage.on_failure(exception)

    @property
    def priority(self) -> int:  # type: ignore[override]  # Luigi asks tasks, and never sets it
        return self._stage(self.date).priority

    def _build(self, wanted: list[date]) -> None:
        """Build days by one job. Where it fails they are built one by one, so that every good day before a bad one is there
        and the bad one has its own error."""
        stages = [self._stage(day) for day in wanted]
        for stage in stages:
            stage.trigger_event(luigi.Event.START, stage)
        built = []
        if stages[1:]:
            try:
                for stage in of(self.feed).run_together(stages):
                    built.append(stage)
                    stage.trigger_event(luigi.Event.SUCCESS, stage)
            except Exception as error:
                reason = stages[0].explained(error)
                logger.info("%d days are built one by one: %s", len(stages) - len(built), reason, exc_info=True)
        for stage in stages:
            if stage not in built:
                self._at_work = stage
                stage.run()
                stage.trigger_event(luigi.Event.SUCCESS, stage)

    def _missing(self) -> list[date]:
        """The days that are not complete. Raises DamagedPartition."""
        stage, wanted = self._stage(self.date), days(self.first, self.date)
        found = stage.partitions.find(stage.dataset, self.first, self.date)
        complete = stage.complete_among(stage.partitions.require_whole(found), wanted)
        return [day for day in wanted if day not in complete]

    def _stage(self, day: date) -> Cleaning:
        stage: Cleaning = self.clone(of(self.feed), date=day)
        return stage


def awaited(stage: Stage, feed: str, first: date, last: date) -> list[Dated]:
    """What a stage that reads ``[first, last]`` of a feed asks Luigi for: that the last day has landed, or of a cleaned
    feed all clean days."""
    if stage.case.feeds[feed].is_cleaned:
        return [stage.clone(CleaningRange, feed=feed, first=first, date=last)]
    return [stage.clone(RawPartition, feed=feed, date=last)]


def late(wanted: Iterable[Dated]) -> list[RawPartition]:
    """The raw days, oldest first, that have not landed although some tasks of ``awaited`` need them. A clean day that is
    there needs none."""
    found = []
    for task in wanted:
        if isinstance(task, RawPartition):
            found.append(task)
        elif isinstance(task, CleaningRange):
            found += task.requires()
    return sorted((raw for raw in found if not raw.complete()), key=lambda raw: raw.date)


def landed(stage: Stage) -> list[Dated]:
    """The same of every feed that a stage reads, for one that reads all days up to its own."""
    stage.refuse_earlier_days()
    first = stage.settings.first_date
    return [task for feed in stage.feeds_read for task in awaited(stage, feed, first, stage.date)]


def _between(raw: RawDays, first: date, last: date) -> Input:
    return raw.of(days(first, last)).input
