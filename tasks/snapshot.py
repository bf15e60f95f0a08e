"""Snapshots of the state by entity that a use case declares, so that a day need not read all days before it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from spark_lib.errors import ConfigurationError
from spark_lib.lake import CLEAN, CleanDays, Manifest, Partition, RawDays, resolved
from tasks.cleaning import Cleaning, landed
from tasks.config.sections import NO_SNAPSHOTS
from tasks.config.settings import Settings
from tasks.graph import cadence
from tasks.graph.stage import Dated, Stage, history_needed
from tasks.graph.staleness import RAW, Candidates, Day, Landed, Need, Standing, State, States, is_of_feed


class Snapshot(Stage):
    """One row for each entity: its state after all that has landed up to the day.

    It is built from the newest snapshot before it that would be built the same now, and from the raw days since; where
    there is none, from all raw days. Its manifest names the snapshot, and every raw day that counts in it.
    """

    dataset = "snapshots"
    RESULT = 1
    libraries = ("pyspark",)
    built_from = (Cleaning,)
    stands_for_raw = ("snapshots",)

    @classmethod
    def is_used(cls, settings: Settings) -> bool:
        return settings.features.snapshot != NO_SNAPSHOTS and settings.case.has_state

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return (
            cls.is_used(settings) and day >= settings.first_date and cadence.on_cadence(settings.features.snapshot, day)
        )

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        return history_needed(settings, day, day)

    @classmethod
    def before(cls, day: date, settings: Settings) -> date | None:
        """The last day before this one of which a snapshot is due; None where there is none."""
        if cls.is_used(settings):
            while day > settings.first_date:
                day -= timedelta(days=1)
                if cls.is_due(day, settings):
                    return day
        return None

    @property
    def feeds_read(self) -> list[str]:
        return self.case.history_feeds

    def requires(self) -> list[Dated]:
        return landed(self)

    def run(self) -> None:
        if self.needs_no_build():
            return
        if not self.case.has_state:
            raise ConfigurationError(
                f"{self.dataset} of {self.date}",
                "a use case with update_state and engineer_from_state, written where engineer is",
                f"none in {type(self.case).__name__}",
                "write them, or ask for features, which read all raw days",
            )
        raw = self.history(self.date)
        before = newest_to_read(self, raw)
        with self.attempt([*raw.values(), *resolved([before] if before else [])]) as attempt:
            from spark_lib.stages import snapshot

            read = [days.after(before.date if before else None) for days in raw.values()]
            spark = self.spark([*read, *([before] if before else [])])
            self.publish(attempt, snapshot.build(spark, self.case, raw, before, attempt.destination, self.file_rows))


def newest_to_read(stage: Stage, raw: Mapping[str, RawDays]) -> Partition | None:
    """The newest snapshot before the day of a stage that would be built the same from the ``raw`` days, as they were
    listed. None where there is none.

    Whatever ``[lake] on_stale`` says, one that is stale is not read: features are those of the raw days that are there.
    """
    first = stage.settings.first_date
    if stage.date <= first:
        return None
    found = stage.partitions.find(Snapshot.dataset, first, stage.date - timedelta(days=1))
    there = {day: each for day, each in found.items() if isinstance(each, Partition)}
    landed = {
        f"{RAW}{feed}": Landed(days.days[0].date, days.input.ids, days.last.date)
        for feed, days in raw.items()
        if days.days and not isinstance(days, CleanDays)
    }
    published = {day: each.manifest for day, each in there.items()}
    clean: dict[str, dict[date, Manifest | None]] = {
        f"{CLEAN}{feed}": {each.date: each.manifest for each in days.read}
        for feed, days in raw.items()
        if isinstance(days, CleanDays)
    }
    states = States([stage.clone(Snapshot).today()], Standing({Snapshot.dataset: published, **clean}, landed))
    for day in sorted(there, reverse=True):
        begins = min((given.first for given in published[day].inputs if is_of_feed(given.name)), default=None)
        if begins == first and states.of(Day(Snapshot.dataset, day)).state is State.DONE:
            return there[day]
    return None
