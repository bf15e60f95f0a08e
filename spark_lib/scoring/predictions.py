"""What scoring makes of a model's outputs: the columns of predictions, and what a manifest says of how they are
distributed. Workers import this module."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from spark_lib.lake import Schema

BINS = 20
_GRID = 2**32


class Distribution(Protocol):
    """How the predictions of a day are distributed. Parts may be merged in any order with the same result."""

    rows: int

    def add(self, columns: Mapping[str, Any]) -> None: ...
    def merge(self, other: Any) -> None: ...
    def figures(self) -> dict[str, Any]: ...


class Predictions(Protocol):
    """Turns the outputs of a model into columns. It is sent to the workers."""

    @property
    def schema(self) -> Schema:
        """The columns with their types."""
        ...

    @property
    def wanted(self) -> tuple[str, str]:
        """What every row has to have, and in words what a row has that is ``senseless``."""
        ...

    def columns(self, outputs: np.ndarray) -> dict[str, Any]:
        """The columns by name, arrays of numpy or Arrow, from outputs [n] or [n, m]."""
        ...

    def senseless(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Which rows [n] have no prediction that may be published."""
        ...

    def distribution(self) -> Distribution:
        """One without rows."""
        ...


@dataclass
class Scores:
    """How scores lie between 0 and 1: the least and the greatest, how many lie in each of ``BINS`` equal bins, and
    their sum in units of 2^-32. Where predictions name a class, ``classes`` counts the rows of each; a boolean is named
    as JSON has it."""

    rows: int = 0
    least: float = 1.0
    greatest: float = 0.0
    units: int = 0
    bins: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, columns: Mapping[str, Any]) -> None:
        scores = columns["score"]
        if len(scores):
            binned = np.bincount(np.minimum((scores * BINS).astype(np.intp), BINS - 1), minlength=BINS)
            of_these = int(np.rint(scores * _GRID).astype(np.int64).sum())
            named = _counted(columns["prediction"]) if "prediction" in columns else Counter()
            self.merge(Scores(len(scores), float(scores.min()), float(scores.max()), of_these, binned, named))

    def merge(self, other: Scores) -> None:
        self.rows += other.rows
        self.least, self.greatest = min(self.least, other.least), max(self.greatest, other.greatest)
        self.units += other.units
        self.bins = self.bins + other.bins
        self.classes += other.classes

    def figures(self) -> dict[str, Any]:
        if not self.rows:
            return {"bins": self.bins.tolist()}
        mean = self.units / self.rows / _GRID
        found = {"least": self.least, "greatest": self.greatest, "mean": mean, "bins": self.bins.tolist()}
        return found | ({"classes": dict(sorted(self.classes.items()))} if self.classes else {})


def _counted(predictions: Any) -> Counter[str]:
    if isinstance(predictions, np.ndarray):  # booleans; names come as an array of Arrow
        positive = int(np.count_nonzero(predictions))
        return Counter({"true": positive, "false": len(predictions) - positive})
    return Counter(predictions.tolist())


@dataclass
class Numbers:
    """How predicted numbers are distributed: the least, the greatest, and their sum, as the integers ``high`` and the
    fractions ``low`` in units of 2^-32. Sums of integers do not depend on the order of rows."""

    rows: int = 0
    least: float = math.inf
    greatest: float = -math.inf
    high: int = 0
    low: int = 0

    def add(self, columns: Mapping[str, Any]) -> None:
        numbers = columns["prediction"]
        if len(numbers):
            whole = np.floor(numbers)
            low = int(np.rint((numbers - whole) * _GRID).astype(np.int64).sum())
            high = sum(map(int, whole.tolist()))
            self.merge(Numbers(len(numbers), float(numbers.min()), float(numbers.max()), high, low))

    def merge(self, other: Numbers) -> None:
        self.rows += other.rows
        self.least, self.greatest = min(self.least, other.least), max(self.greatest, other.greatest)
        self.high += other.high
        self.low += other.low

    def figures(self) -> dict[str, Any]:
        if not self.rows:
            return {}
        mean = (self.high + self.low / _GRID) / self.rows
        return {"least": self.least, "greatest": self.greatest, "mean": mean}
