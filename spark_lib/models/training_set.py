"""A training set: the sides of its split, the sections of its partition, and the figures about it in its manifest and
in a model's card. Nothing here imports Spark or numpy.

Rows are counted by the names that the problem has for their outcomes, such as ``positive`` and ``negative``. A reader ignores figures that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

#: The sides of the split.
TRAIN, CALIBRATION, VALIDATION = "train", "calibration", "validation"
SIDES = (TRAIN, CALIBRATION, VALIDATION)
#: The two sections of the validation side: all of its rows, and those of them that are drawn to be balanced.
NATURAL, BALANCED = "validation/unbalanced", "validation/balanced"

ByClass = Mapping[str, int]


@dataclass(frozen=True)
class Spread:
    """A feature in the training split, as a model gets it: in how many rows a value is ``there``, the ``least`` and the
    ``greatest`` finite value (None where there is none), and how many values are ``infinite``."""

    there: int
    least: float | None
    greatest: float | None
    infinite: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether every row has the same value."""
        return bool(self.there) and self.least == self.greatest and not self.infinite


@dataclass(frozen=True)
class TrainingSet:
    """``sides`` are the rows with an outcome by side and class, before balancing. ``balanced`` are the rows of the
    training side after it, and ``weights`` say what one row of each class counts in training.

    ``labelled`` and ``unlabelled`` are the rows of the window with and without an outcome, and ``by_day`` the same two
    by landing day. ``excluded`` are those whose outcome will never be known. ``on_two_sides`` are the rows with an outcome that a split by time leaves out. ``spread`` is by
    feature. ``prevalences`` are those of the sides and of the balanced rows, None without rows, where the problem has one.
    """

    sides: Mapping[str, ByClass] = field(default_factory=dict)
    labelled: int = 0
    unlabelled: int = 0
    on_two_sides: int = 0
    by_day: Mapping[date, tuple[int, int]] = field(default_factory=dict)
    balanced: ByClass = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, Spread] = field(default_factory=dict)
    excluded: int = 0
    prevalences: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> TrainingSet:
        """The figures as JSON has them, in a manifest or in a card."""
        return cls(
            {side: document[side] for side in SIDES if isinstance(document.get(side), Mapping)},
            document.get("labelled", 0),
            document.get("unlabelled", 0),
            document.get("on_two_sides", 0),
            {date.fromisoformat(day): (known, unknown) for day, (known, unknown) in document.get("by_day", {}).items()},
            document.get("balanced", {}),
            document.get("weights", {}),
            {
                name: Spread(of["there"], of["least"], of["greatest"], of.get("infinite", 0))
                for name, of in document.get("spread", {}).items()
            },
            document.get("excluded", 0),
            document.get("prevalences", {}),
        )

    def summary(self) -> dict[str, Any]:
        """The figures as a card has them, without those of days and of features."""
        found: dict[str, Any] = {side: dict(rows) for side, rows in self.sides.items()}
        found |= {"labelled": self.labelled, "unlabelled": self.unlabelled, "on_two_sides": self.on_two_sides}
        if self.excluded:
            found["excluded"] = self.excluded
        if self.balanced:
            found |= {"balanced": dict(self.balanced), "weights": dict(self.weights)}
        if self.prevalences:
            found["prevalences"] = dict(self.prevalences)
        return found

    def document(self) -> dict[str, Any]:
        """The figures as a manifest has them."""
        return self.summary() | {
            "by_day": {str(day): list(rows) for day, rows in self.by_day.items()},
            "spread": {name: asdict(of) for name, of in self.spread.items()},
        }

    def rows(self, side: str) -> int:
        """How many rows of a side have an outcome."""
        return sum(self.sides.get(side, {}).values())

    @property
    def trained_on(self) -> dict[str, float]:
        """The weight of all rows of each class together, in training."""
        return {name: rows * self.weights[name] for name, rows in self.balanced.items()}

    @property
    def null_features(self) -> list[str]:
        """The features without a value in any row of the training split; none where the split has no rows."""
        return [name for name, of in self._spread().items() if not of.there]

    @property
    def constant_features(self) -> dict[str, float]:
        """The features that a model gets with one value in all rows of the training split, and that value."""
        return {name: of.least for name, of in self._spread().items() if of.is_constant and of.least is not None}

    def _spread(self) -> Mapping[str, Spread]:
        return self.spread if self.rows(TRAIN) else {}
