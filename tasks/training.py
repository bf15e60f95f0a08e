"""A model of a day and its verdict."""

from __future__ import annotations

from spark_lib.lake import Manifest, resolved
from tasks.balancing import Balancing
from tasks.stage import Stage


class Training(Stage):
    """Documents ``card.json`` and, when approved, ``model.onnx``. A rejected training is published and complete too."""

    dataset = "model"
    settings_used = ("trees", "depth", "seed", "min_area_under_roc", "min_area_under_pr", "min_positives")

    def requires(self) -> Balancing:
        required: Balancing = self.clone(Balancing)
        return required

    def run(self) -> None:
        (balanced,) = self.partitions.require("balanced", self.date)
        with self.attempt(inputs=resolved([balanced])) as attempt:
            from spark_lib import training

            written = training.build(
                self.spark(), self.case, balanced, self.recorded_settings(), attempt.destination, self.progress
            )
            self.publish(attempt, written)

    def summary(self, manifest: Manifest) -> str:
        figures, verdict = manifest.metrics, manifest.metrics["verdict"]
        rows = f"training: {figures['training_rows']:,} rows"
        if "area_under_roc" in figures:
            rows += f", area under ROC {figures['area_under_roc']:.2f}"
        return rows if verdict["approved"] else f"{rows}, rejected: {verdict['reason']}: {verdict['detail']}"
