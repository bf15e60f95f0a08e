"""The models of a lake: which were approved, on which days each was in force, by whose decision, and how good it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any

from spark_lib.errors import ConfigurationError
from spark_lib.evaluation.document import EVALUATION, OfModel, Part
from spark_lib.evaluation.document import parse as parse_evaluation
from spark_lib.lake import Partition
from spark_lib.models.card import Verdict
from spark_lib.models.selection import Challenge, Selection
from spark_lib.registry import promotions
from spark_lib.registry.promotions import Promotion
from tasks.balancing import Balancing
from tasks.cli.place import Place
from tasks.evaluation import Evaluation
from tasks.selection import ModelSelection
from tasks.training import Training

if TYPE_CHECKING:
    from spark_lib.errors import DamagedPartition

#: Of so many evaluations, newest first, the figures of a model are looked for.
_EVALUATIONS = 60


@dataclass(frozen=True)
class Span:
    """The days ``[first, last]``, one after the other, on which a model was in force, and how ``share`` of the entities got
    its scores: 1 where all did."""

    first: date
    last: date
    share: float = 1.0

    def __str__(self) -> str:
        days = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return days if self.share >= 1 else f"{days} ({self.share:.0%})"


@dataclass(frozen=True)
class Model:
    """A training: its ``state`` in words, which is its verdict where it is published and whole; the problem's headline
    ``metric`` by the card with its ``interval``, the spans on which it was in force, the promotions of its very run, and what
    the newest evaluation that knows it says, ``evaluated``. ``damage`` is why a published one cannot be used."""

    day: date
    run: str
    state: str
    metric: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    spans: tuple[Span, ...] = ()
    promoted: tuple[Promotion, ...] = ()
    evaluated: Part | None = None
    evaluated_on: date | None = None
    damage: DamagedPartition | None = None

    def document(self) -> dict[str, Any]:
        """The model as JSON has it."""
        truth = self.evaluated
        return {
            "date": str(self.day),
            "run": self.run,
            "state": self.state,
            self.metric: self.value,
            "interval": list(self.interval) if self.interval else None,
            "in_force": [{"from": str(s.first), "to": str(s.last), "share": s.share} for s in self.spans],
            "promoted": [
                {"from": str(p.first_day), "strategy": p.strategy, "by": p.by, "at": p.at, "why": p.why}
                for p in self.promoted
            ],
            "evaluated": None if truth is None else truth.document() | {"date": str(self.evaluated_on)},
        }


def models(place: Place) -> list[Model]:
    """Every training, oldest first: those that are published, damaged ones too, and those that were promoted and have another
    run in their place by now."""
    lake, metric = place.partitions, place.settings.problem.headline
    in_force = _in_force(lake.find(ModelSelection.dataset, date.min, date.max))
    promoted = promotions.read(lake)
    truth = _evaluated(lake.find(Evaluation.dataset, date.min, date.max))

    def known(model: Model, digest: str) -> Model:
        """A model with what is known of it besides its training."""
        on, part = truth.get(digest, (None, None))
        of_it = tuple(each for each in promoted if each.model.run == model.run)
        return replace(model, spans=tuple(in_force.get(digest, ())), promoted=of_it, evaluated=part, evaluated_on=on)

    found = []
    for day, trained in lake.find(Training.dataset, date.min, date.max).items():
        if isinstance(trained, Partition):
            value, interval = _measured(trained, metric)
            model = Model(day, trained.manifest.run, _state(trained), metric, value, interval)
            found.append(known(model, trained.manifest.metrics.get("model_digest", "")))
        else:
            found.append(
                known(Model(day, lake.published_run(Training.dataset, day), "damaged", metric, damage=trained), "")
            )
    others = {each.model.run: each.model for each in promoted if each.model.run not in {model.run for model in found}}
    found += [known(Model(each.date, each.run, "trained again", metric), each.digest) for each in others.values()]
    return sorted(found, key=lambda model: model.day)


def _state(trained: Partition) -> str:
    verdict = Verdict.of(trained.manifest.metrics["verdict"])
    return "approved" if verdict.approved else f"rejected ({verdict.reason})"


def _measured(trained: Partition, metric: str) -> tuple[float | None, tuple[float, float] | None]:
    """A metric of a training with its interval, as far as it has them."""
    measured = trained.manifest.metrics
    ends = measured.get("intervals", {}).get(metric)
    return measured.get(metric), (ends[0], ends[1]) if ends else None


def _in_force(selections: Mapping[date, Partition | DamagedPartition]) -> dict[str, list[Span]]:
    """The spans on which each model was in force, by the digest of the model. What is damaged is passed over."""
    days: dict[str, list[tuple[date, float]]] = {}
    for day, partition in sorted(selections.items()):
        if not isinstance(partition, Partition):
            continue
        found = Selection.of(partition.manifest.metrics)
        share = found.beside.share if found.beside else 0.0
        if share < 1:
            days.setdefault(found.model_digest, []).append((day, 1 - share))
        if found.beside and share:
            days.setdefault(found.beside.model_digest, []).append((day, share))
    return {digest: list(_spans(there)) for digest, there in days.items()}


def _spans(days: Sequence[tuple[date, float]]) -> Iterator[Span]:
    """Days that follow each other with one share, together."""
    numbered = enumerate(days)
    for (_, share), group in groupby(numbered, key=lambda each: (each[1][0].toordinal() - each[0], each[1][1])):
        found = [day for _, (day, _) in group]
        yield Span(found[0], found[-1], share)


def _evaluated(there: Mapping[date, Partition | DamagedPartition]) -> dict[str, tuple[date, Part]]:
    """What the newest evaluation that knows a model says of it, by the digest of the model: of what it scored in force, or
    else in the shadow."""
    found: dict[str, tuple[date, Part]] = {}
    whole = [each for _, each in sorted(there.items(), reverse=True) if isinstance(each, Partition)]
    for partition in whole[:_EVALUATIONS]:
        where = f"{EVALUATION} of {partition.date}"
        evaluation = parse_evaluation(partition.document(EVALUATION), where)
        shadows = (OfModel(each.model, each.challenger) for each in evaluation.shadows)
        for each in (*evaluation.models, *shadows):
            if not each.part.reason:
                found.setdefault(each.model.digest, (partition.date, each.part))
    return found


def compare(place: Place, new: date, old: date) -> Challenge:
    """Compare the model of ``new`` with that of ``old`` on the validation rows of both, by a paired interval. A comparison
    that a selection has made of the same runs is used again, without Spark.

    Raises NotPublished or DamagedPartition where a training or the rows of the newer one are not there, and ModelError
    for a rejected training, which has no model.
    """
    if new == old:
        raise ConfigurationError("--compare", "two different models", f"{new} twice", "name two of `daystone models`")
    new, old = max(new, old), min(new, old)
    lake = place.partitions
    challenger, champion = (lake.require(Training.dataset, day)[0] for day in (new, old))
    (rows,) = lake.require(Balancing.dataset, new)
    task = ModelSelection(date=new)
    runs = tuple(each.manifest.run for each in (challenger, champion, rows))
    for partition in lake.find(ModelSelection.dataset, new, date.max).values():
        if isinstance(partition, Partition):
            for made in Selection.of(partition.manifest.metrics).challenges:
                if made.runs == runs:
                    return made
    return task.challenge(challenger, champion, rows, [])
