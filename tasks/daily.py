"""All that a day is to have: its predictions, and what people have decided to build beside them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from tasks.graph.stage import Dated, Stage
from tasks.inference import BatchInference
from tasks.release import Release
from tasks.shadow import ShadowInference
from tasks.training import Training

#: The stages with which the others of the day are built.
PREDICTED: tuple[type[Stage], ...] = (BatchInference, Release)


class Daily(Dated):
    """Builds the predictions of a day, and beside them what no prediction waits for: where people promote the models
    (``[selection] manual_from``), the training that is due, without which there would be nothing to promote, and the
    scores of a second model. It fails where any of these does, and the others are published all the same.
    """

    def requires(self) -> list[Stage]:
        return [self.clone(BatchInference), *beside(self)]

    def complete(self) -> bool:
        """Whether all of it is complete."""
        with self.refusal_said():
            return all(stage.complete() for stage in self.requires())

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[date]) -> list[date]:
        """The complete days among many: those of the predictions by one listing, and of these those whose others are."""
        days = list(parameter_tuples)
        if not days:
            return []
        task = cls(date=days[0])  # not always a class: Luigi's ranges bind parameters to it first
        predictions = task.clone(BatchInference)
        found = predictions.partitions.find(predictions.dataset, min(days), max(days))
        complete = predictions.complete_among(found, days)
        return [day for day in complete if all(stage.complete() for stage in beside(task.clone(cls, date=day)))]

    def run(self) -> None:
        """Nothing: all of it is built by what is required."""


def beside(task: Dated) -> list[Stage]:
    """What is built beside the predictions of a task's day."""
    if not task.settings.is_manual(task.date):
        return []
    kinds: tuple[type[Stage], ...] = (Training, ShadowInference)
    stages = (task.clone(kind) for kind in kinds)
    return [stage for stage in stages if stage.wanted()(stage.date)]
