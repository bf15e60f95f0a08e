"""Scores of a day's rows by a second model, beside those of the model in force."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from spark_lib.errors import NoApprovedModel
from spark_lib.lake import Manifest
from tasks.config.settings import Settings
from tasks.features import FeatureEngineering
from tasks.graph.promoted import Promoted
from tasks.graph.stage import Stage
from tasks.graph.staleness import Candidates, Need
from tasks.inference import BatchInference, scorer
from tasks.selection import ModelSelection


class ShadowInference(Stage):
    """One row for each row of ``features``, as ``BatchInference`` writes them, by the second model of the day's selection:
    the challenger of a shadow or a canary, or the model before of a blue-green release.

    No stage of the chain asks for it, so that a challenger which fails keeps no prediction from being published.
    """

    dataset = "shadow"
    RESULT = BatchInference.RESULT
    libraries = BatchInference.libraries
    built_from = (FeatureEngineering, ModelSelection)
    always_shown = False

    @classmethod
    def is_used(cls, settings: Settings) -> bool:
        return settings.selection.manual_from is not None

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return False  # no stage of the chain asks for it, and the calendar does not, either

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        return [Need(FeatureEngineering.dataset, day, day), Need(ModelSelection.dataset, day, day)]

    def wanted(self) -> Callable[[date], bool]:
        return Promoted(self.settings, self.partitions).has_second

    def requires(self) -> list[Stage]:
        return [self.clone(FeatureEngineering), self.clone(ModelSelection)]

    def run(self) -> None:
        if self.needs_no_build():
            return
        (features,) = self.partitions.require("features", self.date)
        (selection,) = self.partitions.require("selection", self.date)
        with self.attempt(inputs=[features.input, selection.input]) as attempt:
            from spark_lib.stages import inference
            from spark_lib.stages.selection import pinned_beside

            second = pinned_beside(self.partitions, selection)
            if second is None:
                raise NoApprovedModel(
                    f"second model for {self.date}",
                    "a shadow, a canary or a blue-green release on the day",
                    "a selection of one model",
                    "promote a challenger (daystone promote --strategy shadow --model DATE --why TEXT)",
                )
            beside, model = second
            score = scorer(self, features)
            written = inference.build(score, self.case, features, model, attempt, self.file_rows)
            self.publish(attempt, inference.as_second(written, beside))

    def summary(self, manifest: Manifest) -> str:
        strategy = manifest.metrics["strategy"]
        return f"shadow: {manifest.rows():,} rows by the model of {manifest.metrics['model_date']}, {strategy}"
