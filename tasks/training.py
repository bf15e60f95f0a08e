"""A model of a day and its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import luigi

from spark_lib.lake import Manifest, Partition
from spark_lib.models.card import Verdict
from spark_lib.models.training_set import TrainingSet
from tasks.balancing import Balancing
from tasks.config.settings import Settings
from tasks.graph import cadence
from tasks.graph.cadence import candidates_of
from tasks.graph.log import logger
from tasks.graph.stage import Awaited, Description, Stage, previous
from tasks.graph.staleness import Candidates, Need


class Training(Stage):
    """Writes the documents ``card.json``, ``report.html`` and, when approved, ``model.onnx``. A rejected training is
    published and complete too.

    Where a column is null in every row, the verdict may depend on the training before (``[training] constant_columns =
    auto``). Then the balanced set of that training is required too.
    """

    dataset = "model"
    RESULT = 2
    libraries = ("pyspark", "numpy", "scikit-learn", "onnx", "onnxmltools", "onnxruntime")
    built_from = (Balancing,)
    superseded = True
    settings_used = (
        "trees",
        "depth",
        "seed",
        "calibration",
        "constant_columns",
        "max_unlabelled",
        "bootstrap_replicates",
        "confidence",
    )

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return cadence.is_trained_on(day, settings)

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        before = candidates_of(settings, previous(day, 1), at_most=1)
        return [
            Need(Balancing.dataset, day, day),
            *(Need(Balancing.dataset, other, other, may=True) for other in before),
        ]

    @property
    def settings_of_the_problem(self) -> Sequence[str]:
        has_categories = any(feature.is_category for feature in self.case.features.values())
        return (*self.settings.problem.settings, *(("max_categories",) if has_categories else ()))

    def recorded_settings(self) -> Mapping[str, Any]:
        """Those of ``[decision]`` that the problem uses, too, because the card has them."""
        values = self.settings.decision
        decided = {f"decision.{name}": getattr(values, name) for name in self.settings.problem.decisions}
        return {**super().recorded_settings(), **decided}

    @classmethod
    def describe(cls, manifest: Manifest) -> Description:
        verdict = Verdict.of(manifest.metrics["verdict"])
        return Description("approved") if verdict.approved else Description("rejected", str(verdict))

    def requires(self) -> Balancing:
        required: Balancing = self.clone(Balancing)
        return required

    def run(self) -> Iterator[luigi.DynamicRequirements]:
        if self.needs_no_build():
            return
        (balanced,) = self.partitions.require("balanced", self.date)
        before: list[Partition] = []
        if self.needs_the_training_before(balanced):
            days = self.training_before()
            # Luigi begins run() again where it has to build this first.
            yield Awaited([self.clone(Balancing, date=day) for day in days])
            before = [found for day in days for found in self.partitions.require("balanced", day)]
        with self.attempt(inputs=[read.input for read in (balanced, *before)]) as attempt:
            from spark_lib.stages import training

            settings = {
                **balanced.manifest.settings,
                **self.recorded_settings(),
            }  # the settings that its rows were made by, too
            written = training.build(
                self.spark(),
                self.case,
                balanced,
                settings,
                attempt.destination,
                self.progress,
                TrainingSet.of(before[0].manifest.metrics).null_features if before else None,
            )
            stands = self.publish(attempt, written)
            if _warnings(stands):
                logger.warning(self.summary(stands))
        if self.settings.mlflow.uri:
            from tasks.graph import tracking

            tracking.mirror(self, stands)

    def needs_the_training_before(self, balanced: Partition) -> bool:
        """Whether the verdict depends on which columns were null in the training before. A null column without a fill
        is an error, whatever was before."""
        nulls = [self.case.features.get(name) for name in TrainingSet.of(balanced.manifest.metrics).null_features]
        unfilled = any(feature is not None and feature.needs_values for feature in nulls)
        return self.settings.training.constant_columns == "auto" and bool(nulls) and not unfilled

    def training_before(self) -> list[date]:
        """The cadence date before this one, where its window lies within the data. The calendar alone decides, so that
        the result does not depend on what has been built.
        """
        return candidates_of(self.settings, previous(self.date, 1), at_most=1)

    def summary(self, manifest: Manifest) -> str:
        figures, verdict = manifest.metrics, Verdict.of(manifest.metrics["verdict"])
        rows = f"training: {figures['training_rows']:,} rows"
        problem = self.settings.problem
        if problem.headline in figures:
            rows += f", {problem.headline_words} {figures[problem.headline]:.2f}"
        words = rows if verdict.approved else f"{rows}, rejected: {verdict}"
        return "; ".join([words, *_warnings(manifest)])


def _warnings(manifest: Manifest) -> list[str]:
    """What a training says of columns that teach it nothing."""
    found: list[str] = manifest.metrics.get("warnings", [])
    return found
