"""Computes what a report draws: curves with bands, bins with intervals, and which rows each threshold would flag."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from spark_lib.problems.metrics import Scored, from_above, reliability, resampled, tails

_POINTS = 1000  # points of a drawn curve: more than a chart has pixels in either direction
_GRID = np.linspace(0, 1, 101)
TOP_SHARES = (0.01, 0.05, 0.10)


@dataclass(frozen=True)
class Curve:
    """Points ``x`` [n], ``y`` [n] from left to right, and at ``grid`` [m] the band from ``low`` to ``high``."""

    x: np.ndarray
    y: np.ndarray
    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Bin:
    """Rows of neighbouring scores: their mean score, their proportion of positives and its interval."""

    rows: int
    score: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Operating:
    """Rows with at least ``threshold`` are flagged. The counts say how many of these rows and of the others are
    positive."""

    name: str
    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def flagged(self) -> int:
        return self.true_positives + self.false_positives

    @property
    def flagged_share(self) -> float:
        return self.flagged / (self.flagged + self.false_negatives + self.true_negatives)

    @property
    def precision(self) -> float:
        """NaN where nothing is flagged."""
        return self.true_positives / self.flagged if self.flagged else math.nan

    @property
    def recall(self) -> float:
        return self.true_positives / (self.true_positives + self.false_negatives)


def roc(found: Scored) -> tuple[np.ndarray, np.ndarray]:
    """False positive rates and true positive rates, from (0, 0) to (1, 1), a point for every distinct score."""
    true, false = from_above(found)
    return np.r_[0, false] / false[-1], np.r_[0, true] / true[-1]


def precision_by_recall(found: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Recalls and precisions, ascending by recall; the precision of the highest score holds down to a recall of 0."""
    true, false = from_above(found)
    precision = true / (true + false)
    return np.r_[0, true] / true[-1], np.r_[precision[0], precision]


def with_band(
    found: Scored,
    points: Callable[[Scored], tuple[np.ndarray, np.ndarray]],
    replicates: int,
    confidence: float,
    seed: int,
) -> Curve:
    """The curve of ``points``, thinned to what can be seen, and its pointwise band: at each of 101 places the
    percentiles of the heights of the curves of resampled rows. Whole groups of entities are resampled where ``found``
    has groups, else single rows. Raises ValueError without both classes."""
    drawn = [np.interp(_GRID, *points(sample)) for sample in resampled(found, replicates, seed)]
    low, high = np.quantile(np.array(drawn), tails(confidence), axis=0)
    x, y = points(found)
    return Curve(*_thinned(x, y), _GRID, low, high)


def bins(found: Scored, confidence: float) -> list[Bin]:
    """The bins of ``metrics.reliability`` with Wilson intervals."""
    return [
        Bin(round(size), score, share, *wilson(round(share * size), round(size), confidence))
        for size, score, share in reliability(found)
    ]


def wilson(positives: int, rows: int, confidence: float) -> tuple[float, float]:
    """The interval of a proportion that inverts the score test (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = positives / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    # Exactly 0 or 1 where no row or every row is positive: rounding would come close to it only.
    return middle - half if positives else 0.0, middle + half if positives < rows else 1.0


def histogram(found: Scored, upto: float, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The proportions of positives [number] and of negatives [number] in bins of equal width from 0 to ``upto``."""
    place = np.minimum((found.scores / upto * number).astype(int), number - 1)
    positives = np.bincount(place, found.positives, number)
    negatives = np.bincount(place, found.negatives, number)
    return positives / max(1, positives.sum()), negatives / max(1, negatives.sum())


def operating_points(found: Scored) -> list[Operating]:
    """What is flagged at a probability of one half, at the prevalence, at the best F1 of these rows, and at the highest
    scored 1, 5 and 10 %. Rows of one score are flagged together, so that the last three may flag more."""
    true, false = from_above(found)
    f1 = 2 * true / (true + false + true[-1])
    thresholds = [
        ("one half", 0.5),
        ("the prevalence", found.prevalence),
        ("the best F1", float(found.scores[::-1][np.argmax(f1)])),
    ]
    for share in TOP_SHARES:
        at_least = np.searchsorted(true + false, share * (true[-1] + false[-1]))
        thresholds.append((f"the top {100 * share:g}\N{NO-BREAK SPACE}%", float(found.scores[::-1][at_least])))
    return [_flagged(found, name, threshold) for name, threshold in thresholds]


def _flagged(found: Scored, name: str, threshold: float) -> Operating:
    flagged = found.scores >= threshold
    true, false = int(found.positives[flagged].sum()), int(found.negatives[flagged].sum())
    return Operating(
        name, threshold, true, false, int(found.positives.sum()) - true, int(found.negatives.sum()) - false
    )


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 1,000 of the points, with the first and the last. They are spaced evenly along the curve, as a chart of
    its range shows it."""
    if len(x) <= _POINTS:
        return x, y
    steps = sum(np.abs(np.diff(axis)) / (np.ptp(axis) or 1) for axis in (x, y))
    way = np.r_[0, np.cumsum(steps)]
    kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], _POINTS)))
    kept[-1] = len(x) - 1
    return x[kept], y[kept]
