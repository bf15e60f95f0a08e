"""Scores of a day's rows by the model in force."""

from __future__ import annotations

from datetime import date

from spark_lib.lake import Manifest
from tasks.config.settings import Settings
from tasks.features import FeatureEngineering
from tasks.graph.stage import Stage
from tasks.graph.staleness import Candidates, Need
from tasks.selection import ModelSelection


class BatchInference(Stage):
    """One row for each row of ``features``: key, entity, event time, what the model says, model date and digest."""

    dataset = "predictions"
    RESULT = 1
    libraries = ("pyarrow", "onnxruntime")
    built_from = (FeatureEngineering, ModelSelection)

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        return [Need(FeatureEngineering.dataset, day, day), Need(ModelSelection.dataset, day, day)]

    def requires(self) -> list[Stage]:
        return [self.clone(FeatureEngineering), self.clone(ModelSelection)]

    def run(self) -> None:
        if self.needs_no_build():
            return
        (features,) = self.partitions.require("features", self.date)
        (selection,) = self.partitions.require("selection", self.date)
        with self.attempt(inputs=[features.input, selection.input]) as attempt:
            from spark_lib.stages import inference
            from spark_lib.stages.selection import pinned

            model = pinned(self.partitions, selection)
            written = inference.build(self.spark(), self.case, features, model, attempt, self.file_rows)
            self.publish(attempt, written)

    def summary(self, manifest: Manifest) -> str:
        return f"predictions: {manifest.rows():,} rows by the model of {manifest.metrics['model_date']}"
