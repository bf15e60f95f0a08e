"""Whether the predictions of a day are released, or held, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from spark_lib.errors import DamagedPartition
from spark_lib.lake import Manifest, Partition
from tasks.config import check
from tasks.config.settings import Settings
from tasks.evaluation import Evaluation
from tasks.graph.log import logger
from tasks.graph.stage import Description, Stage, previous
from tasks.graph.staleness import Candidates, Need, State
from tasks.inference import BatchInference
from tasks.shadow import ShadowInference

if TYPE_CHECKING:
    from spark_lib.lake.gc import Kept
    from spark_lib.release.document import Summary


class Release(Stage):
    """Writes the document ``release.json``: the verdict on the predictions of a day, its reasons, and which run of them
    is in force. A day that is held is published and complete, too.

    A day is compared with the releases before it as they are at the moment. They are recorded nowhere as inputs, and
    another release of an earlier day makes nothing stale. No stage of the chain asks for a release.

    With ``[evaluation] required`` a release needs the evaluation of the day before, as soon as there are predictions that
    it judges, and holds the day where a bound is missed.
    """

    dataset = "release"
    RESULT = 1
    libraries = ("numpy",)
    built_from = (BatchInference, Evaluation)
    #: A verdict is on what was known when it was made.
    as_of = (Evaluation.dataset,)
    on_demand = True
    always_shown = False
    #: Whoever judges a day again swaps the verdict for the new one.
    replaces = True
    keeps = (BatchInference.dataset, ShadowInference.dataset)
    refused = State.HELD

    @classmethod
    def is_due(cls, day: date, settings: Settings) -> bool:
        return False  # no stage of the chain asks for it

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        before = previous(day, 1)
        first, last = Evaluation.window(before, settings) if settings.evaluation.required else (day, before)
        evaluated = [Need(Evaluation.dataset, before, before, may=True)] if first <= last else []
        return [Need(BatchInference.dataset, day, day), *evaluated]

    @classmethod
    def describe(cls, manifest: Manifest) -> Description:
        found = _summary(manifest)
        return Description(found.verdict, found.why_held if found.is_held else "")

    @classmethod
    def explain(cls, manifest: Manifest) -> list[str]:
        """Why the day is held, or from what a person has released it, and what was not checked."""
        found = _summary(manifest)
        unchecked = [f"not checked: {name}" for name in found.unchecked]
        return [str(found), *unchecked]

    @classmethod
    def runs_kept(cls, day: date, manifest: Manifest) -> Iterator[Kept]:
        """The run in force: where a rebuilt day is held, no other manifest names its files any more."""
        found = _summary(manifest)
        if found.in_force is not None:
            yield found.in_force.dataset, day, found.in_force.run

    def recorded_settings(self) -> Mapping[str, Any]:
        return {f"release.{name}": value for name, value in self.bounds.items()}

    @property
    def bounds(self) -> dict[str, Any]:
        """The values of ``[release]``."""
        values = self.settings.release
        found = {name: getattr(values, name) for name, _ in values.get_params()}
        return found | {"unchecked_features": check.names_of(values.unchecked_features)}

    def requires(self) -> Stage | list[Stage]:
        predictions: Stage = self.clone(BatchInference)
        evaluation = self.evaluation
        return predictions if evaluation is None else [predictions, evaluation]

    @property
    def evaluation(self) -> Evaluation | None:
        """The evaluation that the day needs; None where none is required, or where it would have nothing to judge."""
        if not self.settings.evaluation.required:
            return None
        before: Evaluation = self.clone(Evaluation, date=previous(self.date, 1))
        return before if before.has_predictions() else None

    def complete(self) -> bool:
        """Whether the day is published and whole, and its verdict is on the run of predictions that is published now and
        by the decisions that stand. Where it is not, the day is judged again, whatever ``[lake] on_stale`` says.
        """
        if self.force:
            return False
        with self.refusal_said():
            found = self.partitions.find(self.dataset, self.date, self.date)
            # What is missing or damaged is asked for once more below, which says so.
            if isinstance(found.get(self.date), Partition) and not self._that_stand(found, [self.date]):
                return False
        return super().complete()

    def complete_among(self, found: Mapping[date, Partition | DamagedPartition], days: Iterable[date]) -> list[date]:
        return super().complete_among(found, self._that_stand(found, list(days)))

    def _that_stand(self, found: Mapping[date, Partition | DamagedPartition], days: list[date]) -> list[date]:
        """The days whose verdict is on the run that is published now, by the decisions that stand: two listings."""
        if not days:
            return []
        from spark_lib.release import decision

        first, last = min(days), max(days)
        predictions = self.partitions.find(BatchInference.dataset, first, last)
        decided = decision.numbers(self.partitions, first, last)
        second = self._second_in_force(found, days)

        def stands(day: date) -> bool:
            there, scored = found.get(day), predictions.get(day)
            if not isinstance(there, Partition) or not isinstance(scored, Partition):
                return False
            verdict = _summary(there.manifest)
            if day in second and not second[day]:
                return False
            return (verdict.judged, verdict.decisions) == (scored.manifest.run, decided.get(day, ()))

        return [day for day in days if stands(day)]

    def _second_in_force(
        self, found: Mapping[date, Partition | DamagedPartition], days: Iterable[date]
    ) -> dict[date, bool]:
        """Of each day that was rolled back, whether the run in force is what is published of the second model's scores; by
        one listing, where there is such a day."""
        runs = {}
        for day in days:
            there = found.get(day)
            in_force = _summary(there.manifest).in_force if isinstance(there, Partition) else None
            if in_force is not None and in_force.dataset == ShadowInference.dataset:
                runs[day] = in_force.run
        published = self.partitions.find(ShadowInference.dataset, min(runs), max(runs)) if runs else {}
        stand = {day: each.manifest.run for day, each in published.items() if isinstance(each, Partition)}
        return {day: stand.get(day) == run for day, run in runs.items()}

    def run(self) -> None:
        # Not every reason for another verdict makes the day stale, so that needs_no_build() has no say here.
        (predictions,) = self.partitions.require(BatchInference.dataset, self.date)
        before = self.evaluation
        evaluated = [] if before is None else self.partitions.require(before.dataset, before.date)
        with self.attempt(inputs=[each.input for each in (predictions, *evaluated)]) as attempt:
            from spark_lib.stages import release

            first = previous(self.date, self.settings.release.look_back_days)
            limits = release.limits(self.bounds)
            more = [release.of_evaluation(each) for each in evaluated]
            if self.settings.evaluation.required and before is None:
                more = [release.not_evaluated()]
            is_manual = self.settings.is_manual(self.date)
            written = release.build(self.partitions, predictions, first, limits, more, with_second=is_manual)
            stands = self.publish(attempt, written)
            if _summary(stands).is_held:
                logger.warning(self.summary(stands))

    def summary(self, manifest: Manifest) -> str:
        return f"release: {_summary(manifest)}"


def _summary(manifest: Manifest) -> Summary:
    """What the manifest of a release says of it. It is imported here, because every command of Luigi's loads this module."""
    from spark_lib.release.document import Summary

    return Summary.of(manifest.metrics)
