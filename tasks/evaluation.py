"""How good the published predictions of past days were, by the outcomes that have landed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from spark_lib.errors import DamagedPartition, NothingToEvaluate
from spark_lib.evaluation.bounds import settings_of
from spark_lib.lake import Input, Manifest, Partition, Resolved
from tasks.balancing import read_outcomes
from tasks.cleaning import Cleaning, awaited
from tasks.config.settings import Settings
from tasks.features import FeatureEngineering
from tasks.graph import cadence
from tasks.graph.log import logger
from tasks.graph.stage import Dated, Description, Stage, name_read
from tasks.graph.staleness import Candidates, Need, State
from tasks.inference import BatchInference

if TYPE_CHECKING:
    from spark_lib.evaluation.document import Summary

#: The dataset of what a challenger says of the rows of a day.
SHADOW = "shadow"
_OF_TRAINING = ("label_delay_days", "max_unlabelled", "bootstrap_replicates", "confidence", "champion_margin", "seed")


class Evaluation(Stage):
    """Writes the documents ``evaluation.json`` and ``evaluation.html``: how good the predictions of the landing days
    [T - delay - window, T - delay) were, by the outcomes that landed by T.

    Of each day the run in force is judged: what its release says where it has one, and the published run elsewhere. They
    are recorded as inputs, and taken as they were: that an old day is scored anew changes nothing of what was published,
    so that it makes no evaluation stale. An outcome that is landed again does. No stage of the chain asks for an
    evaluation, unless ``[evaluation] required`` lets releases do so.
    """

    dataset = "evaluation"
    RESULT = 1
    libraries = ("numpy",)
    built_from = (Cleaning, BatchInference)
    as_of = (FeatureEngineering.dataset, BatchInference.dataset, SHADOW)
    on_demand = True
    always_shown = False
    #: A day of which predictions were published too late is judged as well, in place of the evaluation without it.
    replaces = True
    refused = State.HELD
    superseded = True
    told_as = "below its bounds"
    explained_as = "judged"

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return False  # no stage of the chain asks for it

    @classmethod
    def may_be_asked(cls, day: date, settings: Settings) -> bool:
        """From the first day on that has a day to judge."""
        first, last = cls.window(day, settings)
        return first <= last

    @classmethod
    def window(cls, day: date, settings: Settings) -> tuple[date, date]:
        """The first and the last landing day that are judged. The first is after the last where there can be no model
        yet."""
        values = settings.training
        first, last = cadence.window(day, settings.evaluation.window_days, values.label_delay_days)
        trained = cadence.first_training(
            values.cadence, settings.first_date, values.window_days, values.label_delay_days
        )
        return max(first, trained), last

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        case, (first, last) = settings.case, cls.window(day, settings)
        if first > last:
            return []
        with_rows = case.feature_feeds
        read = [Need(name_read(case, feed), first, last if feed in with_rows else day) for feed in case.outcome_feeds]
        return [Need(BatchInference.dataset, first, last, may=True), *read]

    @classmethod
    def describe(cls, manifest: Manifest) -> Description:
        found = _summary(manifest)
        return Description(found.verdict, "; ".join(found.missed))

    @classmethod
    def explain(cls, manifest: Manifest) -> list[str]:
        """What was judged, and why not more."""
        found = _summary(manifest)
        days = (found.last - found.first).days + 1
        judged = f"{found.judged_days} of {days} landing days, {found.first} to {found.last}, {found.whole.rows:,} rows"
        from spark_lib.evaluation.document import JUDGED

        verdict = [str(found)] if str(found) != JUDGED else []
        return [judged, *verdict, *(f"no predictions of {day}" for day in found.without_predictions)]

    @property
    def feeds_read(self) -> list[str]:
        return self.case.outcome_feeds

    def recorded_settings(self) -> Mapping[str, Any]:
        """The values of ``[training]`` and ``[evaluation]`` that the result depends on, and how the outcomes are
        written."""
        values = {name: getattr(self.settings.training, name) for name in _OF_TRAINING}
        own = {f"evaluation.{name}": value for name, value in self.bounds.items()}
        return {**super().recorded_settings(), **values, **own}

    @property
    def bounds(self) -> dict[str, Any]:
        """The window and the bounds that the problem can have."""
        names = ("window_days", *settings_of(self.settings.problem), "segment_bounds")
        return {name: getattr(self.settings.evaluation, name) for name in names}

    def has_predictions(self) -> bool:
        """Whether there are predictions of a day that would be judged: one listing."""
        first, last = self.window(self.date, self.settings)
        return first <= last and bool(self.partitions.find(BatchInference.dataset, first, last))

    def requires(self) -> list[Dated]:
        first, last = self.window(self.date, self.settings)
        if first > last:
            return []  # run() raises the error: Luigi would call one that is raised here a scheduling error
        feeds = [feed for feed in self.case.outcome_feeds if feed not in self.case.feature_feeds]
        return [task for feed in feeds for task in awaited(self, feed, first, self.date)]

    def complete(self) -> bool:
        """Whether the day is published and whole, and of no day that had no predictions then there are any now."""
        if self.force:
            return False
        with self.refusal_said():
            found = self.partitions.find(self.dataset, self.date, self.date)
            if isinstance(found.get(self.date), Partition) and not self._whole(found, [self.date]):
                return False
        return super().complete()

    def complete_among(self, found: Mapping[date, Partition | DamagedPartition], days: Iterable[date]) -> list[date]:
        return super().complete_among(found, self._whole(found, list(days)))

    def _whole(self, found: Mapping[date, Partition | DamagedPartition], days: list[date]) -> list[date]:
        """The days whose evaluation has all predictions that there are now; one listing where one had not all."""
        lacking = {
            day: _summary(each.manifest).without_predictions
            for day in days
            if isinstance(each := found.get(day), Partition)
        }
        wanted = [other for others in lacking.values() for other in others]
        if not wanted:
            return days
        there = self.partitions.find(BatchInference.dataset, min(wanted), max(wanted)).keys()
        return [day for day in days if there.isdisjoint(lacking.get(day, ()))]

    def run(self) -> None:
        # Not every reason for another evaluation makes the day stale, so that needs_no_build() has no say here.
        from spark_lib.stages import evaluation

        first, last = self.window(self.date, self.settings)
        if first > last:
            raise self.nothing()
        found = evaluation.published(self.partitions, first, last, bool(self.case.segments))
        outcomes, *later = read_outcomes(self, first, last)
        inputs: list[Input | Resolved] = [*(each.input for each in found.partitions), outcomes, *later]
        with self.attempt(inputs=inputs) as attempt:
            written = evaluation.build(
                self.spark([*found.partitions, outcomes, *later]),
                self.case,
                self.date,
                found,
                outcomes,
                self.recorded_settings(),
                *later,
            )
            stands = self.publish(attempt, written)
            if _summary(stands).is_below:
                logger.warning(self.summary(stands))

    def nothing(self) -> NothingToEvaluate:
        """The error for a day of whose landing days there are no predictions."""
        values, (first, last) = self.settings, self.window(self.date, self.settings)
        return NothingToEvaluate(
            f"evaluation of {self.date}",
            f"predictions of some of the {values.evaluation.window_days} landing days that end"
            f" {values.training.label_delay_days} days before",
            f"none of {first} to {last}" if first <= last else f"only days before the first model, of {first}",
            "build them (daystone backfill --stage predictions --from DAY --to DAY), or ask for a later day",
        )

    def summary(self, manifest: Manifest) -> str:
        found, problem = _summary(manifest), self.settings.problem
        days = "1 day" if found.judged_days == 1 else f"{found.judged_days} days"
        words = f"evaluation: {days}, {found.whole.rows:,} rows"
        if problem.headline in found.whole.metrics:
            words += f", {problem.headline_words} {found.whole.metrics[problem.headline]:.2f}"
        return f"{words}; {found}"


def _summary(manifest: Manifest) -> Summary:
    """What the manifest of an evaluation says of it."""
    from spark_lib.evaluation.document import Summary

    return Summary.of(manifest.metrics)
