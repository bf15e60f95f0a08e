"""The document of an evaluation, ``evaluation.json``: how good the published predictions of a window of days were, by the
outcomes that landed by the day of the evaluation.

Nothing here imports Spark or numpy. A reader ignores fields that it does not know, and refuses a format number above
its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from spark_lib.errors import later_format
from spark_lib.models.segments import Value

#: The name of the document, and that of its page for people.
EVALUATION, PAGE = "evaluation.json", "evaluation.html"
#: Raise this number only where a reader of the format before would go wrong.
FORMAT = 1
#: The verdicts: a bound is missed, none of those that are set is, none is set, or there was nothing to judge.
BELOW, WITHIN, JUDGED, UNJUDGED = "below", "within bounds", "judged", "not judged"
#: The shares of rows at whose quantiles it is kept where predictions lie.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Part:
    """How good the published predictions of some ``rows`` with an outcome were.

    ``outcomes`` says what these are like, by words of the problem's. ``metrics`` have their ``intervals`` by a bootstrap
    over groups of entities, and ``base`` has those metrics that an answer would have which is the same for every row.
    They are empty where ``reason`` says why the rows are not judged. ``levels`` are the quantiles of the predictions at
    ``QUANTILES``.
    """

    rows: int
    outcomes: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, float] = field(default_factory=dict)
    levels: Sequence[float] = ()
    reason: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Part:
        """A part as JSON has it."""
        return cls(
            document["rows"],
            document.get("outcomes", {}),
            document.get("metrics", {}),
            document.get("base", {}),
            tuple(document.get("levels", ())),
            document.get("reason", ""),
        )

    def document(self) -> dict[str, Any]:
        """The part as JSON has it."""
        return asdict(self) | {"levels": list(self.levels)}

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The interval of a metric; None where there is none."""
        found = self.metrics.get("intervals", {}).get(metric)
        return (found[0], found[1]) if found else None


NOTHING = Part(0, reason="no row with an outcome is judged")


@dataclass(frozen=True, order=True)
class Model:
    """The model that scored rows, as their columns say it."""

    date: date
    digest: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Model:
        return cls(date.fromisoformat(document["date"]), document["digest"])

    def document(self) -> dict[str, str]:
        return {"date": str(self.date), "digest": self.digest}


@dataclass(frozen=True)
class Day:
    """A landing day of the window. ``rows`` are those of the ``run`` in force, ``labelled`` those with an outcome,
    ``unlabelled`` those without one yet, and ``excluded`` those that will never have one. ``reason`` says why the day is
    not judged, and is empty where it is."""

    date: date
    run: str = ""
    rows: int = 0
    labelled: int = 0
    unlabelled: int = 0
    excluded: int = 0
    models: tuple[Model, ...] = ()
    part: Part = NOTHING
    reason: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Day:
        return cls(
            date.fromisoformat(document["date"]),
            document["run"],
            document["rows"],
            document["labelled"],
            document["unlabelled"],
            document["excluded"],
            tuple(map(Model.of, document["models"])),
            Part.of(document["part"]),
            document.get("reason", ""),
        )

    def document(self) -> dict[str, Any]:
        return {
            "date": str(self.date),
            "run": self.run,
            "rows": self.rows,
            "labelled": self.labelled,
            "unlabelled": self.unlabelled,
            "excluded": self.excluded,
            "models": [model.document() for model in self.models],
            "part": self.part.document(),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class OfModel:
    """The rows that a model scored. Of a ``share``, only those of the days on which several models scored."""

    model: Model
    part: Part

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> OfModel:
        return cls(Model.of(document["model"]), Part.of(document["part"]))

    def document(self) -> dict[str, Any]:
        return {"model": self.model.document(), "part": self.part.document()}


@dataclass(frozen=True)
class OfSegment:
    """The rows with one ``value`` of a ``column`` that the use case declares as a segment. Where ``others`` is above 0,
    they are those of so many smaller values together."""

    column: str
    value: Value
    part: Part
    others: int = 0

    def __str__(self) -> str:
        return f"{self.column} {f'{self.others:,} smaller values' if self.others else json.dumps(self.value)}"

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> OfSegment:
        return cls(document["column"], document["value"], Part.of(document["part"]), document.get("others", 0))

    def document(self) -> dict[str, Any]:
        return {"column": self.column, "value": self.value, "others": self.others, "part": self.part.document()}


@dataclass(frozen=True)
class Shadow:
    """A challenger that scored in the shadow, and the predictions in force, on the same rows. ``difference`` is that of
    the challenger against what was in force, with its ``interval``, and ``words`` say it; they are empty where the rows
    are not judged."""

    model: Model
    challenger: Part
    in_force: Part
    difference: float | None = None
    interval: tuple[float, float] | None = None
    words: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Shadow:
        ends = document.get("interval")
        return cls(
            Model.of(document["model"]),
            Part.of(document["challenger"]),
            Part.of(document["in_force"]),
            document.get("difference"),
            (ends[0], ends[1]) if ends else None,
            document.get("words", ""),
        )

    def document(self) -> dict[str, Any]:
        return {
            "model": self.model.document(),
            "challenger": self.challenger.document(),
            "in_force": self.in_force.document(),
            "difference": self.difference,
            "interval": list(self.interval) if self.interval else None,
            "words": self.words,
        }


@dataclass(frozen=True)
class Gate:
    """A bound that the judged rows, or a ``segment`` of them, were held against: the ``end`` of the metric's interval that
    counts, the ``bound``, and whether it is ``passed``."""

    setting: str
    words: str
    value: float
    end: float
    bound: float
    passed: bool
    segment: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Gate:
        return cls(**{name: document[name] for name in cls.__dataclass_fields__ if name in document})

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        where = f" of {self.segment}" if self.segment else ""
        least = self.setting.startswith("min_")
        end, side = ("lower", "below") if least else ("upper", "above")
        held = ("at least" if least else "at most") if self.passed else side
        return f"{self.words}{where} {self.value:.4f}, {end} end {self.end:.4f} {held} {self.bound:.4f}"


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a ``day``: the landing days of ``[first, last]``, by the outcomes that landed by that day.

    ``problem`` is the kind of problem. ``whole`` are all rows that are judged. ``shares`` are those of the days on which
    several models scored, by model. ``sampled`` says of how many judged rows the figures are, where not of all.
    """

    day: date
    first: date
    last: date
    problem: str
    days: tuple[Day, ...]
    whole: Part
    models: tuple[OfModel, ...] = ()
    segments: tuple[OfSegment, ...] = ()
    shares: tuple[OfModel, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    gates: tuple[Gate, ...] = ()
    sampled: int = 0

    @property
    def verdict(self) -> str:
        if self.missed:
            return BELOW
        if self.whole.reason:
            return UNJUDGED
        return WITHIN if self.gates else JUDGED

    @property
    def missed(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def without_predictions(self) -> tuple[date, ...]:
        """The days of the window of which no predictions were published."""
        return tuple(day.date for day in self.days if not day.run and day.reason == NO_PREDICTIONS)

    @classmethod
    def of(cls, document: Mapping[str, Any], where: str = EVALUATION) -> Evaluation:
        """An evaluation as JSON has it. Raises LakeError, naming ``where``, for one of a later format."""
        number = document.get("format", FORMAT)
        if number > FORMAT:
            raise later_format(where, "an evaluation", FORMAT, number)
        return cls(
            date.fromisoformat(document["date"]),
            date.fromisoformat(document["first"]),
            date.fromisoformat(document["last"]),
            document["problem"],
            tuple(map(Day.of, document["days"])),
            Part.of(document["whole"]),
            tuple(map(OfModel.of, document["models"])),
            tuple(map(OfSegment.of, document["segments"])),
            tuple(map(OfModel.of, document["shares"])),
            tuple(map(Shadow.of, document["shadows"])),
            tuple(map(Gate.of, document["gates"])),
            document.get("sampled", 0),
        )

    def summary(self) -> Summary:
        judged = [day for day in self.days if not day.reason]
        return Summary(
            self.verdict,
            self.first,
            self.last,
            len(judged),
            sum(day.rows for day in self.days),
            sum(day.unlabelled for day in self.days),
            self.whole,
            tuple(each.model for each in self.models),
            tuple(map(str, self.missed)),
            self.without_predictions,
        )

    def to_json(self) -> bytes:
        document = {
            "format": FORMAT,
            "date": str(self.day),
            "first": str(self.first),
            "last": str(self.last),
            "problem": self.problem,
            "verdict": self.verdict,
            "days": [day.document() for day in self.days],
            "whole": self.whole.document(),
            **{
                name: [each.document() for each in getattr(self, name)]
                for name in ("models", "segments", "shares", "shadows", "gates")
            },
            "sampled": self.sampled,
        }
        return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


#: Why a day is not judged of which there are no predictions.
NO_PREDICTIONS = "no predictions"


def parse(body: bytes, where: str = EVALUATION) -> Evaluation:
    """The evaluation in ``body``. Raises LakeError as ``Evaluation.of`` does."""
    return Evaluation.of(json.loads(body), where)


@dataclass(frozen=True)
class Summary:
    """An evaluation as its manifest has it. ``judged_days`` of the days of ``[first, last]`` were judged; ``rows`` and
    ``unlabelled`` are those of all of them. ``missed`` are the missed bounds in words."""

    verdict: str
    first: date
    last: date
    judged_days: int
    rows: int
    unlabelled: int
    whole: Part
    models: tuple[Model, ...] = ()
    missed: tuple[str, ...] = ()
    without_predictions: tuple[date, ...] = ()

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> Summary:
        return cls(
            figures["verdict"],
            date.fromisoformat(figures["first"]),
            date.fromisoformat(figures["last"]),
            figures["judged_days"],
            figures["rows"],
            figures["unlabelled"],
            Part.of(figures["whole"]),
            tuple(map(Model.of, figures["models"])),
            tuple(figures.get("missed", ())),
            tuple(map(date.fromisoformat, figures.get("without_predictions", ()))),
        )

    def document(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "first": str(self.first),
            "last": str(self.last),
            "judged_days": self.judged_days,
            "rows": self.rows,
            "unlabelled": self.unlabelled,
            "whole": self.whole.document(),
            "models": [model.document() for model in self.models],
            "missed": list(self.missed),
            "without_predictions": list(map(str, self.without_predictions)),
        }

    @property
    def is_below(self) -> bool:
        return self.verdict == BELOW

    def __str__(self) -> str:
        if self.is_below:
            return f"{BELOW}: {'; '.join(self.missed)}"
        return f"{self.verdict}: {self.whole.reason}" if self.whole.reason else self.verdict
