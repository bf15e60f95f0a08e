"""A model of a day and its verdict."""

from __future__ import annotations

from spark_lib.lake import Manifest, resolved
from tasks.balancing import Balancing
from tasks.stage import Stage


class Training(Stage):
    """Documents ``card.json``, ``report.html`` and, when approved, ``model.onnx``. A rejected training is published and
    complete too."""

    dataset = "model"
    settings_used = (
        "trees",
        "depth",
        "seed",
        "calibration",
        "min_area_under_roc",
        "min_area_under_pr",
        "max_calibration_error",
        "min_positives",
        "max_unlabelled",
        "bootstrap_replicates",
        "confidence",
    )

    def requires(self) -> Balancing:
        required: Balancing = self.clone(Balancing)
        return required

    def run(self) -> None:
        (balanced,) = self.partitions.require("balanced", self.date)
        with self.attempt(inputs=resolved([balanced])) as attempt:
            from spark_lib import training

            settings = {
                **balanced.manifest.settings,
                **self.recorded_settings(),
            }  # those that its rows were made by, too
            written = training.build(self.spark(), self.case, balanced, settings, attempt.destination, self.progress)
            self.publish(attempt, written)

    def summary(self, manifest: Manifest) -> str:
        figures, verdict = manifest.metrics, manifest.metrics["verdict"]
        rows = f"training: {figures['training_rows']:,} rows"
        if "area_under_roc" in figures:
            rows += f", area under ROC {figures['area_under_roc']:.2f}"
        return rows if verdict["approved"] else f"{rows}, rejected: {verdict['reason']}: {verdict['detail']}"
