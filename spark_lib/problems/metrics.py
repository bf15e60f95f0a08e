"""Measures how good scores are, with intervals. It works on counts by score, so that neither the order of rows nor
their number matters.

Scores are put on a grid of 2^-20 before they are counted. So there are a million cells at most, whatever the number of
rows, and areas differ from those of the exact scores by less than a millionth of the ties that this makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spark_lib.models.calibration import GRID

_SMALLEST = 1e-15  # the smallest probability that a logarithm is taken of
BINS = 10
_ENOUGH = 20_000


@dataclass(frozen=True)
class Grouped:
    """The same rows by group, because the bootstrap resamples whole groups of entities.

    ``groups`` [m] are numbers of groups, from 0. ``places`` [m] are the places of scores. ``positives`` [m] and
    ``negatives`` [m] count the rows of the group that have this score.
    """

    groups: np.ndarray
    places: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


@dataclass(frozen=True)
class Scored:
    """Rows by score: distinct ``scores`` [n], ascending, and how many ``positives`` [n] and ``negatives`` [n] have each
    of them."""

    scores: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    #: Without it the bootstrap resamples single rows.
    grouped: Grouped | None = None

    @property
    def rows(self) -> np.ndarray:
        """Rows [n] of each score."""
        found: np.ndarray = self.positives + self.negatives
        return found

    @property
    def prevalence(self) -> float:
        """The proportion of positives; NaN without a row."""
        return float(self.positives.sum() / self.rows.sum()) if self.rows.sum() else math.nan


#: No row at all.
NOTHING = Scored(*np.zeros((3, 0)))


def by_score(
    scores: np.ndarray, positives: np.ndarray, negatives: np.ndarray, groups: np.ndarray | None = None
) -> Scored:
    """Counts of rows with scores [m] as counts by distinct score. ``groups`` [m], where they are given, are the groups
    of the rows."""
    distinct, places = np.unique(scores, return_inverse=True)
    one, other = (np.bincount(places, counts, len(distinct)).astype(np.int64) for counts in (positives, negatives))
    if groups is None:
        return Scored(distinct, one, other)
    _, numbered = np.unique(groups, return_inverse=True)
    return Scored(distinct, one, other, Grouped(numbered, places, positives, negatives))


def counted(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> Scored:
    """Rows with float scores [n] in [0, 1] and labels [n] of 0 and 1, counted by score on the grid. ``groups`` [n] are
    the groups of their entities."""
    positive = np.asarray(labels) == 1
    cells = np.round(np.asarray(scores, np.float64) * GRID) / GRID
    return by_score(cells, positive.astype(np.int64), (~positive).astype(np.int64), groups)


def area_under_roc(found: Scored) -> float:
    """The area under ROC, by the trapezoidal rule over every distinct score, so that ties count half. NaN without both
    classes."""
    true, false = from_above(found)
    if not true[-1] or not false[-1]:
        return math.nan
    return _trapezoids(np.r_[0, false] / false[-1], np.r_[0, true] / true[-1])


def area_under_pr(found: Scored) -> float:
    """The area under precision by recall, in steps: the mean precision at each positive (average precision). A straight
    line between two points would promise precisions that no threshold has (Davis and Goadrich 2006). NaN without both
    classes."""
    true, false = from_above(found)
    if not true[-1] or not false[-1]:
        return math.nan
    return math.fsum(np.diff(np.r_[0, true]) * (true / (true + false))) / float(true[-1])


def brier(found: Scored) -> float:
    """The mean squared difference of score and label (Brier 1950)."""
    squares = found.positives * (1 - found.scores) ** 2 + found.negatives * found.scores**2
    return math.fsum(squares) / float(found.rows.sum())


def log_loss(found: Scored) -> float:
    """The mean negative logarithm of the probability given to what happened. Scores are moved 1e-15 away from 0 and
    1."""
    return losses(found) / float(found.rows.sum())


def losses(found: Scored) -> float:
    """The sum over rows of what ``log_loss`` is the mean of."""
    kept = np.clip(found.scores, _SMALLEST, 1 - _SMALLEST)
    return -math.fsum(found.positives * np.log(kept) + found.negatives * np.log1p(-kept))


def mean_score(found: Scored) -> float:
    """The mean score of the rows."""
    return math.fsum(found.rows * found.scores) / float(found.rows.sum())


def calibration_in_the_large(found: Scored) -> float:
    """The mean score less the prevalence: 0 where as many positives are foretold as there are (Cox 1958, as Steyerberg
    2019, section 15.3, uses it)."""
    return mean_score(found) - found.prevalence


def calibration_error(found: Scored) -> float:
    """The expected calibration error over ten bins of equally many rows: the mean over rows of |mean score - proportion
    of positives| of the row's bin (Naeini et al. 2015, with equal mass)."""
    return math.fsum(size * abs(mean - share) for size, mean, share in reliability(found)) / float(found.rows.sum())


def reliability(found: Scored, bins: int = BINS) -> list[tuple[float, float, float]]:
    """Bins of equally many rows, by ascending score: rows, mean score, proportion of positives. Rows of one score share
    a bin, so that there may be fewer bins."""
    rows = found.rows
    upto = np.cumsum(rows)
    place = np.minimum(((upto - rows / 2) * bins / upto[-1]).astype(int), bins - 1)
    size = np.bincount(place, rows, bins)
    score = np.bincount(place, rows * found.scores, bins)
    positives = np.bincount(place, found.positives, bins)
    there = size > 0
    return list(zip(size[there], score[there] / size[there], positives[there] / size[there], strict=True))


METRICS: Mapping[str, Callable[[Scored], float]] = {
    "area_under_roc": area_under_roc,
    "area_under_pr": area_under_pr,
    "brier": brier,
    "log_loss": log_loss,
    "calibration_error": calibration_error,
    "mean_score": mean_score,
    "prevalence": lambda found: found.prevalence,
    "calibration_in_the_large": calibration_in_the_large,
}


def measured(found: Scored) -> dict[str, float]:
    """Every metric."""
    return {name: metric(found) for name, metric in METRICS.items()}


def intervals(
    found: Scored, replicates: int, confidence: float, seed: int, names: Sequence[str] = tuple(METRICS)
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of metrics by the bootstrap (Efron and Tibshirani 1993, chapter 13).

    Each of the ``replicates`` draws as many groups of entities as there are, with replacement, because rows of one
    entity are alike (Davison and Hinkley 1997, section 3.8). Where rows have no groups, it draws as many rows. A draw
    without one of the classes is drawn again.

    A calibration error is never negative, and chance adds to it. Drawing adds as much again. So its interval is the
    basic one (Davison and Hinkley 1997, section 5.2), which takes that back, and which always contains the error
    itself. Neighbouring scores are first merged into at most 20,000, which moves an interval by less than its
    replicates do. Raises ValueError without both classes.
    """
    drawn = [[METRICS[name](sample) for name in names] for sample in resampled(found, replicates, seed)]
    low, high = np.quantile(np.array(drawn), tails(confidence), axis=0)
    ends = {name: (float(low[place]), float(high[place])) for place, name in enumerate(names)}
    if "calibration_error" in ends:
        value, (low_end, high_end) = calibration_error(found), ends["calibration_error"]
        ends["calibration_error"] = (max(0.0, min(value, 2 * value - high_end)), max(value, 2 * value - low_end))
    return ends


@dataclass(frozen=True)
class ScoredTwice:
    """The same rows by two scores: pairs ``one`` [n] and ``other`` [n], and how many ``positives`` [n] and
    ``negatives`` [n] have each pair. ``groups`` [n] are the groups of entities, numbered from 0; without them the
    bootstrap resamples single rows."""

    one: np.ndarray
    other: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    groups: np.ndarray | None = None


def difference(
    found: ScoredTwice, name: str, replicates: int, confidence: float, seed: int
) -> tuple[float, tuple[float, float]]:
    """A metric by the score ``one`` less that by the ``other``, and its percentile interval by the paired bootstrap:
    every replicate measures both on the same drawn rows. Raises ValueError without both classes."""
    metric = METRICS[name]
    sides = [np.unique(scores, return_inverse=True) for scores in (found.one, found.other)]

    def apart(positives: np.ndarray, negatives: np.ndarray) -> float:
        one, other = (
            metric(_of_cells(scores, *(np.bincount(place, counts, len(scores)) for counts in (positives, negatives))))
            for scores, place in sides
        )
        return one - other

    drawn = [apart(*counts) for counts in _redrawn(found.positives, found.negatives, found.groups, replicates, seed)]
    low, high = np.quantile(drawn, tails(confidence))
    return apart(found.positives, found.negatives), (float(low), float(high))


def tails(confidence: float) -> tuple[float, float]:
    """The two quantiles that a percentile interval lies between."""
    return (1 - confidence) / 2, (1 + confidence) / 2


def resampled(found: Scored, replicates: int, seed: int) -> Iterator[Scored]:
    """The samples that ``intervals`` measures."""
    found = _merged(found)
    by = found.grouped
    if by is None:
        for positives, negatives in _redrawn(found.positives, found.negatives, None, replicates, seed):
            yield _of_cells(found.scores, positives, negatives)
        return
    for counts in _redrawn(by.positives, by.negatives, by.groups, replicates, seed):
        yield _of_cells(found.scores, *(np.bincount(by.places, count, len(found.scores)) for count in counts))


def _of_cells(scores: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> Scored:
    """Counts by score, without the scores that have no row."""
    there = positives + negatives > 0
    return Scored(scores[there], positives[there], negatives[there])


def _redrawn(
    positives: np.ndarray, negatives: np.ndarray, groups: np.ndarray | None, replicates: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw as many rows, or groups of rows, with replacement, and give them as counts of the same cells. A draw without
    one of the classes is drawn again."""
    _need_both(int(positives.sum()), int(negatives.sum()))
    random = np.random.default_rng(seed)
    cells = np.concatenate([positives, negatives])
    numbers = 0 if groups is None else int(groups.max()) + 1
    left = replicates
    while left:
        if groups is None:
            drawn = np.split(random.multinomial(cells.sum(), cells / cells.sum()), 2)
        else:
            times = random.multinomial(numbers, np.full(numbers, 1 / numbers))[groups]
            drawn = [positives * times, negatives * times]
        if drawn[0].any() and drawn[1].any():
            left -= 1
            yield drawn[0], drawn[1]


def _merged(found: Scored) -> Scored:
    """Merge neighbouring scores into their mean, where there are more than ``_ENOUGH``."""
    if len(found.scores) <= _ENOUGH:
        return found
    rows = found.rows
    starts = np.unique(np.searchsorted(np.cumsum(rows), np.linspace(0, rows.sum(), _ENOUGH, endpoint=False), "right"))
    merged = np.add.reduceat(rows, starts)
    by = found.grouped
    if by is not None:
        by = replace(by, places=np.searchsorted(starts, by.places, "right") - 1)
    return Scored(
        np.add.reduceat(rows * found.scores, starts) / merged,
        np.add.reduceat(found.positives, starts),
        np.add.reduceat(found.negatives, starts),
        by,
    )


def _need_both(positives: int, negatives: int) -> None:
    if not positives or not negatives:
        raise ValueError(
            f"intervals need rows of both classes, and there are {positives} positives, {negatives} negatives"
        )


def from_above(found: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Positives [n] and negatives [n] with at least each score, the highest first."""
    return np.cumsum(found.positives[::-1]), np.cumsum(found.negatives[::-1])


def _trapezoids(x: np.ndarray, y: np.ndarray) -> float:
    return math.fsum(np.diff(x) * (y[1:] + y[:-1]) / 2)  # the exact sum, rounded once: the same on any machine
