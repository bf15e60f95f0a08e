"""The training set of a day: the features of a window of days whose outcomes have landed. The rows are split first, and
the training rows alone are balanced after that.
"""

from __future__ import annotations

from datetime import date

from spark_lib.errors import NoApprovedModel
from spark_lib.lake import Manifest, RawDays, days, resolved
from spark_lib.models.training_set import TrainingSet
from tasks.cleaning import Cleaning, awaited, late
from tasks.config.settings import Settings
from tasks.features import FeatureEngineering
from tasks.graph import cadence
from tasks.graph.stage import Dated, Stage, name_read
from tasks.graph.staleness import Candidates, Need
from tasks.raw import RawPartition


class Balancing(Stage):
    """Sections ``train`` (balanced), ``calibration`` and ``validation/unbalanced`` (natural prevalence), and
    ``validation/balanced``.

    The training set of day T holds the rows that landed in [T - delay - window, T - delay), with the outcomes that
    landed by T. The delay may be 0 days where outcomes land with the rows.
    """

    dataset = "balanced"
    RESULT = 1
    libraries = ("pyspark",)
    built_from = (Cleaning, FeatureEngineering)
    settings_used = (
        "window_days",
        "label_delay_days",
        "split",
        "train_validation_split_proportion",
        "calibration_proportion",
        "balancing",
        "target_ratio",
        "smote_neighbours",
        "seed",
    )

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return cadence.is_trained_on(day, settings)

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        values, case = settings.training, settings.case
        first, last = cadence.window(day, values.window_days, values.label_delay_days)
        with_rows = case.feature_feeds
        read = [Need(name_read(case, feed), first, last if feed in with_rows else day) for feed in case.outcome_feeds]
        return [Need(FeatureEngineering.dataset, first, last), *read]

    @property
    def feeds_read(self) -> list[str]:
        return self.case.outcome_feeds

    def requires(self) -> list[Dated]:
        if self.begins_too_early:
            return []  # run() raises the error: Luigi would call one that is raised here a scheduling error
        features = [self.clone(FeatureEngineering, date=day) for day in days(*self.window)]
        not_landed = self.late(features)
        if not_landed:  # features of later days would take such a day for a hole in history, which is an error
            features = [stage for stage in features if stage.date < not_landed[0].date]
        found: list[Dated] = [*features, *not_landed]
        for feed in self.case.outcome_feeds:
            if feed not in self.case.feature_feeds:
                found += awaited(self, feed, self.window[0], self.date)
        return found

    def run(self) -> None:
        if self.needs_no_build():
            return
        if self.begins_too_early:
            raise nothing_to_train_on(f"training set of {self.date}", self.settings)
        features = self.partitions.require("features", *self.window)
        outcomes, *later = self.outcomes()
        with self.attempt(inputs=[*resolved(features), outcomes, *later]) as attempt:
            from spark_lib.stages import balancing

            written = balancing.build(
                self.spark([*features, outcomes, *later]),
                self.case,
                self.partitions.use_case,
                features,
                outcomes,
                self.recorded_settings(),
                attempt.destination,
                self.file_rows,
                *later,
            )
            self.publish(attempt, written)

    def outcomes(self) -> list[RawDays]:
        return read_outcomes(self, *self.window)

    def late(self, features: list[FeatureEngineering]) -> list[RawPartition]:
        """The raw days, oldest first, that have not landed and whose features are not there either."""
        there = self.partitions.find("features", *self.window)
        return late(task for stage in features if stage.date not in there for task in stage.requires())

    @property
    def window(self) -> tuple[date, date]:
        """First and last landing day of the rows that are trained on."""
        return cadence.window(self.date, self.settings.training.window_days, self.settings.training.label_delay_days)

    @property
    def begins_too_early(self) -> bool:
        return self.window[0] < self.settings.first_date

    def summary(self, manifest: Manifest) -> str:
        figures = TrainingSet.of(manifest.metrics)
        return f"balanced: {manifest.rows('train'):,} training rows of {figures.labelled:,} labelled"


def read_outcomes(stage: Stage, first: date, last: date) -> list[RawDays]:
    """The days of each feed of outcomes of rows that landed in ``[first, last]``. Outcomes that land with the rows are
    those of these days; all others go on to the day of the stage."""
    with_rows = stage.case.feature_feeds
    return [stage.days_read(feed, first, last if feed in with_rows else None) for feed in stage.case.outcome_feeds]


def nothing_to_train_on(where: str, settings: Settings) -> NoApprovedModel:
    """The error for a day whose training window would begin before the data do."""
    values = settings.training
    first = cadence.first_training(values.cadence, settings.first_date, values.window_days, values.label_delay_days)
    return NoApprovedModel(
        where,
        f"a {values.cadence} training date whose window of {values.window_days} days, ending {values.label_delay_days} days "
        f"before it, begins on or after first_date {settings.first_date}",
        f"nothing to train on before {first}",
        f"ask for a day from {first} on, or set [training] window_days, label_delay_days or cadence",
    )
