"""The model in force on a day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import luigi

from spark_lib.errors import DamagedPartition, NoApprovedModel
from spark_lib.lake import Lake, Manifest, Partition
from spark_lib.models.card import Verdict
from tasks.balancing import Balancing, nothing_to_train_on
from tasks.config.settings import Settings
from tasks.graph.cadence import candidates_of
from tasks.graph.log import logger
from tasks.graph.promoted import Promoted
from tasks.graph.stage import Awaited, Description, Stage, previous
from tasks.graph.staleness import Candidates, Day, Need, Pinned
from tasks.training import Training

if TYPE_CHECKING:
    from spark_lib.models.selection import Beside, Challenge, Selection

_AROUND = 7  # days before and after, whose comparisons are used again


class ModelSelection(Stage):
    """Writes the document ``selection.json``, which pins the model in force. The approved models among the candidates
    of the calendar are gone through from the oldest on: each takes over from the one in force unless it loses to it.

    Trainings are asked for one at a time, newest first; one that fails or waits stops the walk, so that the model in
    force depends on the data and not on the moment.
    """

    dataset = "selection"
    RESULT = 1
    libraries = ("numpy", "onnxruntime")
    built_from = (Training, Balancing)
    #: A new model does not rewrite which one scored the days before it.
    as_of = ("model", "balanced")
    keeps = ("model",)
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

    @classmethod
    def needs(cls, day: date, settings: Settings) -> list[Need | Candidates]:
        if settings.is_manual(day):
            return []  # the model is promoted, and no training is awaited
        models = candidates_of(settings, day, settings.training.max_candidates)
        return [Candidates(Training.dataset, tuple(models), _is_compared(settings), rows=Balancing.dataset)]

    @classmethod
    def describe(cls, manifest: Manifest) -> Description:
        return Description(str(_figures(manifest).model_date))

    @classmethod
    def explain(cls, manifest: Manifest) -> list[str]:
        """Which model is in force, and why newer and older ones are not; which one scores beside it."""
        found = _figures(manifest)
        if found.promoted:
            beside = [] if found.beside is None else [f"beside it {_beside(found.beside)}"]
            return [f"the model of {found.model_date}, {found.model_digest[:16]}", found.because, *beside]
        rejected = [f"not the model of {day}: {verdict}" for day, verdict in found.rejected.items()]
        compared = [
            f"the model of {challenge.challenger} {'lost' if challenge.loses else 'took over'}: {challenge.detail}"
            for challenge in found.challenges
            if not (challenge.loses and challenge.challenger in found.rejected)
        ]
        return [f"the model of {found.model_date}, {found.model_digest[:16]}", *rejected, *compared]

    @classmethod
    def pinned(cls, manifest: Manifest) -> Pinned | None:
        day = _figures(manifest).model_date
        runs = [given.ids[0] for given in manifest.inputs if given.name == Training.dataset and given.first == day]
        return Pinned(Day(Training.dataset, day), runs[0]) if runs else None

    @classmethod
    def damage_behind(cls, lake: Lake, partition: Partition) -> list[DamagedPartition]:
        """A selection is whole only while the model run that it pins is whole. That run may no longer be the published
        one.
        """
        damage = _damage_of_pinned(lake, partition)
        if damage is None:
            return []
        where = f"selection of {partition.date}: {damage.where}"
        return [DamagedPartition(where, damage.wanted, damage.found, damage.next_step)]

    @classmethod
    def decided_then(cls, manifest: Manifest) -> str:
        return _figures(manifest).promoted

    def decisions(self) -> Callable[[date], str | None]:
        return Promoted(self.settings, self.partitions).name

    def follows_promotions(self) -> bool:
        """Whether the published selection of the day is what the promotions say now."""
        found = self.partitions.find(self.dataset, self.date, self.date).get(self.date)
        return isinstance(found, Partition) and self.decided_then(found.manifest) == (self.decisions()(self.date) or "")

    @property
    def priority(self) -> int:  # type: ignore[override]  # Luigi asks tasks, and never sets it
        """A selection comes before the other stages of its day. What it asks for is of older days, which come first
        then.
        """
        return super().priority + 1

    def requires(self) -> list[Stage]:
        return []

    def complete(self) -> bool:
        """Whether the day is published and whole. Also raises DamagedPartition where the pinned model is no longer the
        one that was chosen. Luigi then sees a damaged partition, and not a scoring that failed.
        """
        if not super().complete():
            return False
        with self.refusal_said():
            (there,) = self.partitions.require(self.dataset, self.date)
            damage = _damage_of_pinned(self.partitions, there)
            if damage is not None:
                raise damage
        return True

    def run(self) -> Iterator[luigi.DynamicRequirements]:
        if self.needs_no_build():
            return
        if self.settings.is_manual(self.date):
            self.pin_promoted()
            return
        compared = _is_compared(self.settings)
        considered: list[Partition] = []
        for day in self.candidates():
            # Luigi begins run() again after each training that it has to build first.
            yield Awaited([self.clone(Training, date=day)])
            considered += self.partitions.require("model", day)
            if not compared and _is_approved(considered[-1]):
                break
        approved = [model for model in reversed(considered) if _is_approved(model)]
        if not approved:
            raise self.no_model(considered)
        challengers = [model.date for model in approved[1:]]
        yield Awaited([self.clone(Balancing, date=day) for day in challengers])
        rows = [found for day in challengers for found in self.partitions.require("balanced", day)]
        with self.attempt(inputs=[used.input for used in (*considered, *rows)]) as attempt:
            from spark_lib.stages import selection

            known = self.known_challenges() if challengers else []
            in_force, challenges = approved[0], []
            for challenger, balanced in zip(approved[1:], rows, strict=True):
                challenges.append(self.challenge(challenger, in_force, balanced, known))
                in_force = in_force if challenges[-1].loses else challenger
            selection.approved_model(self.partitions, in_force)  # raises for a damaged model, which must not be pinned
            stands = self.publish(attempt, selection.build(in_force, considered, challenges))
            if _figures(stands).rejected:
                logger.warning(self.summary(stands))

    def pin_promoted(self) -> None:
        """Publish what people have decided. Raises NoApprovedModel where they have promoted no model yet."""
        stands = Promoted(self.settings, self.partitions).of(self.date)
        if stands is None:
            raise NoApprovedModel(
                f"model for {self.date}",
                f"a promotion from a day up to it, as [selection] manual_from = {self.settings.selection.manual_from} asks",
                "none",
                f"look at the models (daystone models), and promote one (daystone promote --model DATE --from {self.date} "
                "--why TEXT)",
            )
        models = [each.model for each in (stands.champion, stands.beside) if each]
        with self.attempt(inputs=models, of_inputs_alone=True) as attempt:
            from spark_lib.stages import selection

            self.publish(attempt, selection.build_promoted(self.partitions, stands))

    def challenge(
        self, challenger: Partition, champion: Partition, balanced: Partition, known: list[Challenge]
    ) -> Challenge:
        """Compare a model with the one in force before it. A ``known`` comparison of the same runs is used again."""
        runs = (challenger.manifest.run, champion.manifest.run, balanced.manifest.run)
        for comparison in known:
            if comparison.runs == runs:
                return comparison
        from spark_lib.stages import champion as champions

        found = champions.compare(
            self.spark, self.case, self.partitions, challenger, champion, balanced, self.recorded_settings()
        )
        return replace(found, runs=runs)

    def known_challenges(self) -> list[Challenge]:
        """The comparisons of selections of the days around that were made by the same code and settings. Empty where
        this day is rebuilt.

        Days before and after are searched, because a backfill may go from the newest day to the oldest.
        """
        from spark_lib.use_case.fingerprint import code

        if self.force:
            return []
        around = self.partitions.find(self.dataset, previous(self.date, _AROUND), previous(self.date, -_AROUND))
        made_by = (self.recorded_settings(), code(self.case, self.RESULT))
        return [
            challenge
            for selection in around.values()
            if isinstance(selection, Partition) and (selection.manifest.settings, selection.manifest.code) == made_by
            for challenge in _figures(selection.manifest).challenges
        ]

    def candidates(self) -> list[date]:
        return candidates_of(self.settings, self.date, self.settings.training.max_candidates)

    def summary(self, manifest: Manifest) -> str:
        found = _figures(manifest)
        if found.promoted:
            beside = "" if found.beside is None else f"; beside it {_beside(found.beside)}"
            return f"selection: model of {found.model_date}, {found.because}{beside}"
        if not found.rejected:
            return f"selection: model of {found.model_date}"
        return f"selection: model of {found.model_date}; newer ones were rejected: {_reasons(found.rejected)}"

    def no_model(self, considered: list[Partition]) -> NoApprovedModel:
        if considered:
            return NoApprovedModel(
                f"model for {self.date}",
                "an approved training",
                _reasons({model.date: _verdict(model) for model in considered}),
                "read the card of each (daystone files model --date DATE), mend the data or the settings, then train anew "
                "(daystone rebuild balanced --date DATE where its rows are to change, daystone rebuild model --date DATE)",
            )
        return nothing_to_train_on(f"model for {self.date}", self.settings)


def _is_compared(settings: Settings) -> bool:
    """Whether models are compared. No area can be lower than another by more than 1."""
    return settings.training.champion_margin < 1


def _damage_of_pinned(lake: Lake, selection: Partition) -> DamagedPartition | None:
    """What is wrong with the model that a selection pins, and the commands that mend it: a new model alone would not,
    for the selection goes on pinning the old one.
    """
    from spark_lib.stages.selection import pinned

    try:
        pinned(lake, selection)
    except DamagedPartition as error:
        found = _figures(selection.manifest)
        if found.promoted:
            next_step = f"restore the file; or promote another model (daystone promote --model DATE --from {selection.date} --why TEXT --rebuild)"
            return DamagedPartition(error.where, error.wanted, error.found, next_step)
        train = f"daystone rebuild model --date {found.model_date}"
        choose = f"daystone rebuild selection --date {selection.date}"
        next_step = f"restore the file; or train anew, then choose anew ({train}, {choose})"
        return DamagedPartition(error.where, error.wanted, error.found, next_step)
    return None


def _figures(manifest: Manifest) -> Selection:
    """What the manifest of a selection says of it."""
    from spark_lib.models.selection import Selection

    return Selection.of(manifest.metrics)


def _beside(beside: Beside) -> str:
    """A second model in words."""
    model = f"the model of {beside.model_date}, {beside.strategy}"
    return f"{model} of {beside.share:.0%} of the entities" if beside.share else model


def _verdict(model: Partition) -> Verdict:
    return Verdict.of(model.manifest.metrics["verdict"])


def _is_approved(model: Partition) -> bool:
    return _verdict(model).approved


def _reasons(verdicts: Mapping[date, Verdict]) -> str:
    return "; ".join(f"{day} {verdict}" for day, verdict in verdicts.items())
