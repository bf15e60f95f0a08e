"""How many rows a day usually has, by the days before it. Nothing here imports numpy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

#: The median absolute deviation of normal values, times this, is their standard deviation.
_TO_DEVIATION = 1.4826
#: A deviation that is estimated from some twenty days is itself uncertain: a t quantile is so much greater.
_FOR_FEW_DAYS = 1.35
#: The least days of the same weekday by which a day is judged.
_LEAST = 2


@dataclass(frozen=True)
class Usual:
    """A day usually has from ``least`` to ``greatest`` rows, give or take a ``deviation`` of their logarithm."""

    least: float
    greatest: float
    deviation: float
    words: str


def usual(day: date, earlier: Sequence[tuple[date, int]]) -> Usual:
    """What is usual on a day, by the numbers of rows of ``earlier`` days, of which there is at least one.

    It is the median of the same weekday. The deviation is that of all days from the medians of their weekdays, by the
    median absolute deviation, so that a day that went wrong does not widen it; it is never below that of a Poisson
    variable. With fewer than two days of the same weekday it is the span of all days.
    """
    by_weekday: dict[int, list[float]] = defaultdict(list)
    for other, rows in earlier:
        by_weekday[other.weekday()].append(math.log(rows + 0.5))
    same = by_weekday.get(day.weekday(), [])
    if len(same) < _LEAST:
        found = [rows for _, rows in earlier]
        return Usual(
            min(found), max(found), 0.0, f"the {len(found)} released days before have {min(found):,} to {max(found):,}"
        )
    several = [values for values in by_weekday.values() if len(values) >= _LEAST]
    residuals = [abs(value - median(values)) for values in several for value in values]
    freedom = len(residuals) / (len(residuals) - len(several))
    of_days = _TO_DEVIATION * median(residuals) * math.sqrt(freedom) * _FOR_FEW_DAYS
    middle = math.exp(median(same))
    # The median of n values has about pi / 2 times the variance of their mean.
    spread = (of_days**2 + 1 / middle) * (1 + math.pi / 2 / len(same))
    words = f"the median of {len(same)} released days of the same weekday is {middle:,.0f}"
    return Usual(middle, middle, math.sqrt(spread), words)
