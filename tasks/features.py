"""Features of the rows that landed on a day, point-in-time."""

from __future__ import annotations

from datetime import date

from tasks.config.settings import Settings
from tasks.graph.stage import Stage, history_needed, previous
from tasks.graph.staleness import Candidates, Need
from tasks.raw import RawPartition


class FeatureEngineering(Stage):
    """One row for each row of the scored feed that landed on the day: key, entity, event time and features.

    Luigi waits for the day itself; earlier days are history, in which a hole is an error. Outcomes that features look
    back on are those of earlier days, so that Luigi waits for the day before.
    """

    dataset = "features"
    RESULT = 1
    libraries = ("pyspark",)

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return day >= settings.first_date

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        return history_needed(settings, day, previous(day, 1))

    @property
    def feeds_read(self) -> list[str]:
        return [*self.case.feature_feeds, *self.case.past_outcome_feeds]

    def requires(self) -> list[RawPartition]:
        self.refuse_earlier_days()
        landed = [self.clone(RawPartition, feed=feed) for feed in self.case.feature_feeds]
        if self.last_outcomes < self.settings.first_date:
            return landed
        past = self.case.past_outcome_feeds
        return [*landed, *(self.clone(RawPartition, feed=feed, date=self.last_outcomes) for feed in past)]

    @property
    def last_outcomes(self) -> date:
        """The last day of the outcomes that features may see."""
        return previous(self.date, 1)

    def run(self) -> None:
        if self.needs_no_build():
            return
        raw = self.history(self.last_outcomes)
        with self.attempt(inputs=[days for days in raw.values() if days.days]) as attempt:
            from spark_lib.stages import features

            self.publish(
                attempt, features.build(self.spark(raw.values()), self.case, raw, attempt.destination, self.file_rows)
            )
