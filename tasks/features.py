"""Features of the rows that landed on a day, point-in-time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from spark_lib.lake import Input, resolved
from spark_lib.session import interrupts
from spark_lib.use_case import UseCase
from tasks.cleaning import Cleaning, awaited
from tasks.config.settings import Settings
from tasks.graph.stage import Dated, Stage, history_needed, previous
from tasks.graph.staleness import Candidates, Need
from tasks.snapshot import Snapshot, newest_to_read


class FeatureEngineering(Stage):
    """One row for each row of the scored feed that landed on the day: key, entity, event time and features.

    Luigi waits for the day itself; earlier days are history, in which a hole is an error. Outcomes that features look
    back on are those of earlier days, so that Luigi waits for the day before.
    """

    dataset = "features"
    RESULT = 1
    libraries = ("pyspark",)
    built_from = (Cleaning, Snapshot)
    stands_for_raw = (Snapshot.dataset,)

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return day >= settings.first_date

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        snapshot = Snapshot.before(day, settings)
        stood_for = [Need(Snapshot.dataset, snapshot, snapshot)] if snapshot else []
        return [*history_needed(settings, day, previous(day, 1)), *stood_for]

    @classmethod
    def is_built_together(cls, case: UseCase) -> bool:
        return case.has_engineer_days

    @classmethod
    def run_together(cls, stages: Sequence[FeatureEngineering]) -> Iterator[FeatureEngineering]:
        newest = stages[-1]
        raw = newest.history(newest.last_outcomes)
        read = {feed: days.input for feed, days in raw.items() if days.days}
        inputs = {stage.date: stage.read_until(read) for stage in stages}
        sources = [raw[feed] for feed in read]
        with newest.attempt_at(inputs, sources) as attempt:
            from spark_lib.stages import features

            written = features.build_days(newest.spark(raw.values()), newest.case, raw, attempt, newest.file_rows)
            with interrupts.held():
                for stage in stages:
                    stage.publish(attempt, written[stage.date])
                    yield stage

    def read_until(self, read: Mapping[str, Input]) -> list[Input]:
        """Of what was read by feed what this day alone would read."""
        past = self.case.past_outcome_feeds
        ends = {feed: self.last_outcomes if feed in past else self.date for feed in read}
        return [given.until(ends[feed]) for feed, given in read.items() if given.first <= ends[feed]]

    @property
    def feeds_read(self) -> list[str]:
        return self.case.history_feeds

    def requires(self) -> list[Dated]:
        self.refuse_earlier_days()
        first = self.settings.first_date
        found = [task for feed in self.case.feature_feeds for task in awaited(self, feed, first, self.date)]
        if snapshot := Snapshot.before(self.date, self.settings):
            found.append(self.clone(Snapshot, date=snapshot))
        past = self.case.past_outcome_feeds if self.last_outcomes >= first else ()
        return [*found, *(task for feed in past for task in awaited(self, feed, first, self.last_outcomes))]

    @property
    def last_outcomes(self) -> date:
        """The last day of the outcomes that features may see."""
        return previous(self.date, 1)

    def run(self) -> None:
        if self.needs_no_build():
            return
        raw = self.history(self.last_outcomes)
        inputs = [days for days in raw.values() if days.days]
        snapshot = newest_to_read(self, raw) if Snapshot.is_used(self.settings) else None
        if snapshot is None:
            with self.attempt(inputs) as attempt:
                from spark_lib.stages import features

                spark = self.spark(raw.values())
                self.publish(attempt, features.build(spark, self.case, raw, attempt.destination, self.file_rows))
            return
        with self.attempt([*inputs, *resolved([snapshot])]) as attempt:
            from spark_lib.stages.snapshot import build_features

            spark = self.spark([snapshot, *(days.after(snapshot.date) for days in raw.values())])
            written = build_features(spark, self.case, raw, snapshot, attempt.destination, self.file_rows)
            self.publish(attempt, written)
