"""The model in force on a day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import luigi

from spark_lib.errors import DamagedPartition, NoApprovedModel
from spark_lib.lake import Manifest, Partition
from tasks.balancing import Balancing, nothing_to_train_on
from tasks.cadence import candidates
from tasks.log import logger
from tasks.stage import Stage, previous
from tasks.training import Training


class ModelSelection(Stage):
    """The document ``selection.json``: the newest approved model among the candidates of the calendar that does not lose to
    the approved one before it.

    Trainings are asked for one at a time, newest first; one that fails or waits stops the walk, so that the model in
    force depends on the data and not on the moment.
    """

    dataset = "selection"
    settings_used = (
        "cadence",
        "window_days",
        "label_delay_days",
        "max_candidates",
        "champion_margin",
        "bootstrap_replicates",
        "confidence",
        "seed",
    )

    def requires(self) -> list[Stage]:
        return []

    def complete(self) -> bool:
        """Also raises DamagedPartition where the model that it pins is no longer the one that was chosen: found here,
        it is a damaged partition to Luigi and not a scoring that failed."""
        if not super().complete():
            return False
        from spark_lib.selection import pinned

        with self.refusal_said():
            pinned(self.partitions, self.partitions.require(self.dataset, self.date)[0])
        return True

    def run(self) -> Iterator[luigi.DynamicRequirements]:
        considered: list[Partition] = []
        approved: list[Partition] = []
        wanted = 2 if self.settings.training.champion_margin < 1 else 1  # no area is a whole 1 below another
        for day in self.candidates():
            # Luigi begins run() again after each training that it has to build first.
            yield Awaited([self.clone(Training, date=day)])
            considered += self.partitions.require("model", day)
            approved += considered[-1:] if considered[-1].manifest.metrics["verdict"]["approved"] else []
            if len(approved) == wanted:
                break
        if not approved:
            raise self.no_model(considered)
        rows: list[Partition] = []
        if len(approved) == 2:
            yield Awaited([self.clone(Balancing, date=approved[0].date)])
            rows = self.partitions.require("balanced", approved[0].date)
        with self.attempt(inputs=[used.input for used in (*considered, *rows)]) as attempt:
            from spark_lib import selection

            challenge = self.challenge(*approved, *rows) if rows else None
            self.publish(attempt, selection.build(considered, challenge))

    def challenge(self, challenger: Partition, champion: Partition, balanced: Partition) -> Mapping[str, Any]:
        """The comparison of the two models, taken over from the day before where that compared the same."""
        runs = [challenger.manifest.run, champion.manifest.run, balanced.manifest.run]
        before = self.partitions.find(self.dataset, previous(self.date, 1), previous(self.date, 1)).values()
        for selection in before:
            if isinstance(selection, Partition) and selection.manifest.settings == self.recorded_settings():
                known: Mapping[str, Any] = selection.manifest.metrics.get("challenge", {})
                if known.get("runs") == runs:
                    return known
        from spark_lib import champion as champions
        from spark_lib.selection import approved_model

        new, old = (approved_model(self.partitions, model) for model in (challenger, champion))
        found = champions.compare(self.spark(), self.case.key, new, old, balanced, self.recorded_settings())
        return found | {"runs": runs}

    def candidates(self) -> list[date]:
        values = self.settings.training
        return candidates(
            values.cadence,
            self.date,
            self.settings.first_date,
            values.window_days,
            values.label_delay_days,
            values.max_candidates,
        )

    def summary(self, manifest: Manifest) -> str:
        chosen, rejected = manifest.metrics["model_date"], manifest.metrics["rejected"]
        if not rejected:
            return f"selection: model of {chosen}"
        words = f"selection: model of {chosen}; newer ones were rejected: {_reasons(rejected)}"
        logger.warning(words)
        return words

    def no_model(self, considered: list[Partition]) -> NoApprovedModel:
        if considered:
            return NoApprovedModel(
                f"model for {self.date}",
                "an approved training",
                _reasons({str(model.date): model.manifest.metrics["verdict"] for model in considered}),
                "read the card of each (run.py files model --date DATE), then mend the data or the gates ([training] min_...)",
            )
        return nothing_to_train_on(f"model for {self.date}", self.settings)


class Awaited(luigi.DynamicRequirements):
    """Requirements of which a damaged one is scheduled, where it names itself, instead of failing the task that asks."""

    def complete(self, complete_fn: Callable[[luigi.Task], bool] | None = None) -> bool:
        try:
            return bool(super().complete(complete_fn))
        except DamagedPartition:
            return False


def _reasons(verdicts: dict[str, dict[str, str]]) -> str:
    return "; ".join(f"{day} {verdict['reason']}: {verdict['detail']}" for day, verdict in verdicts.items())
