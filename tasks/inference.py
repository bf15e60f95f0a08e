"""Scores of a day's rows by the model in force."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from spark_lib.lake import Manifest, Partition
from tasks.config.settings import Settings
from tasks.features import FeatureEngineering
from tasks.graph.stage import Stage
from tasks.graph.staleness import Candidates, Need
from tasks.selection import ModelSelection

if TYPE_CHECKING:
    from spark_lib.scoring.partitions import Runner


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
            score = scorer(self, features)
            canary = inference.canary(self.partitions, selection)
            written = inference.build(score, self.case, features, model, attempt, self.file_rows, canary)
            self.publish(attempt, written)

    def summary(self, manifest: Manifest) -> str:
        rows = f"predictions: {manifest.rows():,} rows by the model of {manifest.metrics['model_date']}"
        canary = manifest.metrics.get("canary")
        if canary is None:
            return rows
        why = f", because the canary cannot score: {canary['failed']}" if "failed" in canary else ""
        return f"{rows}, {canary['rows']:,} of them by the canary of {canary['model_date']}{why}"


def scorer(stage: Stage, features: Partition) -> Runner:
    """Spark where the features of the day are large, and processes of this one where they are small."""
    from spark_lib.scoring import partitions, processes
    from spark_lib.session.environment import cores

    spark = stage.settings.spark
    if sum(file.size for file in features.manifest.files) >= spark.scores_from_mb * 2**20:
        return partial(partitions.run, stage.spark())
    stage.progress(10, "scoring without Spark")
    return partial(processes.run, cores(spark.master))
