"""Features that move: where the trend within the training window leads, and how far a day lies from there.

A count of past events, or any sum over a history that grows, lies otherwise on every later day than in a training set.
That is no reason to hold a day. So a training keeps how the shares of a feature's bins change from day to day within
its window, where that is more than chance, and a day is compared with the whole path from the reference to the place
where this trend leads by then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeVar

from spark_lib.release import psi as index
from spark_lib.release.sketch import Column

if TYPE_CHECKING:
    import numpy as np

_Count = TypeVar("_Count", int, float)
#: How probable it is that a feature that does not move gets a trend by chance.
LEVEL = 0.01
#: The places on the path that a day is compared with, beside its start.
STEPS = 20


def slopes(bins: np.ndarray, count: int, days: np.ndarray) -> tuple[float, ...]:
    """The change of the share of each of ``count`` bins from one day to the next, of rows that lie in ``bins`` [n], int,
    and landed on ``days`` [n], float. Empty where the trend is not more than chance.

    The slopes are those of least squares. The test is that of Cochran and Armitage for several categories: with the
    shares p, the slopes b and the sum of squares S of the days, S times the sum of b^2 / p tends to a chi-squared
    variable with one degree of freedom less than there are bins (P. Armitage, Tests for linear trends in proportions and
    frequencies, 1955).
    """
    import numpy as np

    if not len(bins):
        return ()
    centred = days - days.mean()
    squares = float((centred**2).sum())
    shares = np.bincount(bins, minlength=count) / len(bins)
    filled = shares > 0
    if not squares or filled.sum() < 2:
        return ()
    found = np.bincount(bins, weights=centred, minlength=count) / squares
    statistic = squares * float((found[filled] ** 2 / shares[filled]).sum())
    if statistic <= _chi_squared(int(filled.sum()) - 1, LEVEL):
        return ()
    return tuple(found.tolist())


def path(column: Column, days: float) -> list[list[float]]:
    """The counts of the reference at its start and at each step of its path over so many ``days``, [1 + STEPS, bins]. A
    share that would be below 0 is 0. Without a trend there is the start alone."""
    start = [float(count) for count in column.sketch.counts]
    rows = sum(start)
    if not column.trend or days <= 0 or not rows:
        return [start]
    places = [start]
    for step in range(1, 1 + STEPS):
        way = days * step / STEPS
        shares = [max(0.0, count / rows + way * slope) for count, slope in zip(start, column.trend, strict=True)]
        together = sum(shares)
        places.append([share / together * rows for share in shares])
    return places


def nearest(column: Column, counts: Sequence[int], days: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The counts of a day, so many ``days`` after the reference, and those of the place on the path that has the least
    index against them. Where the column moves, what lies outside of the reference's range counts with what lies next to
    it, because the range moves, too."""
    places, day = path(column, days), list(counts)
    if len(places) > 1 and not column.cut.is_category and len(day) > 3:
        places, day = [_without_outer(place) for place in places], _without_outer(day)
    found = min(places, key=lambda place: index.psi(day, place))
    return tuple(day), tuple(map(round, found))


def _without_outer(counts: list[_Count]) -> list[_Count]:
    """Counts with each outer bin added to its neighbour."""
    first, second, *inner, before_last, last = counts
    return [first + second, *inner, before_last + last]


def _chi_squared(degrees: int, level: float) -> float:
    """What a chi-squared variable exceeds with probability ``level`` (E. B. Wilson and M. M. Hilferty, The distribution of
    chi-square, 1931)."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(1 - level) * math.sqrt(spread)) ** 3)
