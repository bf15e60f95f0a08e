"""Features as of the next midnight, for a store that serves them online."""

from __future__ import annotations

from datetime import date

from tasks.cleaning import Cleaning, landed
from tasks.config.settings import Settings
from tasks.graph.stage import Dated, Stage, history_needed
from tasks.graph.staleness import Candidates, Need


class ServingFeatures(Stage):
    """One row for each entity that ever landed: its features as an event at the next midnight would see them.

    Nothing in BatchInference asks for it.
    """

    dataset = "serving"
    RESULT = 1
    libraries = ("pyspark",)
    built_from = (Cleaning,)
    on_demand = True

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return False  # no stage of the chain asks for it

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        return history_needed(settings, day, day)

    @property
    def feeds_read(self) -> list[str]:
        return self.case.history_feeds

    def requires(self) -> list[Dated]:
        return landed(self)

    def run(self) -> None:
        if self.needs_no_build():
            return
        raw = self.history(self.date)
        with self.attempt(inputs=[days for days in raw.values() if days.days]) as attempt:
            from spark_lib.stages import serving

            self.publish(
                attempt, serving.build(self.spark(raw.values()), self.case, raw, attempt.destination, self.file_rows)
            )
