"""Features of the rows that landed on a day, point-in-time."""

from __future__ import annotations

from datetime import date

from tasks.config.settings import Settings
from tasks.graph.stage import Stage
from tasks.raw import RawPartition


class FeatureEngineering(Stage):
    """One row for each row of the scored feed that landed on the day: key, entity, event time and features.

    Luigi waits for the day itself; earlier days are history, in which a hole is an error.
    """

    dataset = "features"
    RESULT = 1

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return day >= settings.first_date

    @property
    def feeds_read(self) -> list[str]:
        return self.case.feature_feeds

    def requires(self) -> list[RawPartition]:
        self.refuse_earlier_days()
        return [self.clone(RawPartition, feed=feed) for feed in self.case.feature_feeds]

    def run(self) -> None:
        raw = self.history()
        with self.attempt(inputs=raw.values()) as attempt:
            from spark_lib.stages import features

            self.publish(
                attempt, features.build(self.spark(raw.values()), self.case, raw, attempt.destination, self.file_rows)
            )
