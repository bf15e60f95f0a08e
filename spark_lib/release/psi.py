"""The population stability index of two sketches, and what chance gives for it. numpy is imported where chance is asked,
which an ordinary day does not need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: What is added to each count, so that an empty bin has a logarithm.
_ADDED = 0.5
#: The first draws, which tell whether chance is anywhere near the bound, and the most that are drawn after them.
_FIRST_DRAWS, _MOST_DRAWS = 2_000, 200_000
#: The draws that lie above the bound, on average.
_ABOVE = 10
_SEED = 0


def psi(one: Sequence[float], other: Sequence[float]) -> float:
    """The population stability index of counts [bins] against others.

    With the shares p and q of the bins it is the sum of (p - q) ln(p / q) over the bins (N. Siddiqi, Credit Risk
    Scorecards, 2006), which is Jeffreys' divergence (H. Jeffreys, An invariant form for the prior probability in
    estimation problems, 1946). Half a row is added to each bin, so that a bin that is empty on one side counts.
    """
    of_one, of_other = (sum(counts) + _ADDED * len(counts) for counts in (one, other))
    shares = (((a + _ADDED) / of_one, (b + _ADDED) / of_other) for a, b in zip(one, other, strict=True))
    return math.fsum((p - q) * math.log(p / q) for p, q in shares)


def of_chance(one: Sequence[int], other: Sequence[int], level: float, below: float) -> float:
    """What the index of two samples of these sizes exceeds with probability ``level`` although both are drawn from one
    population, whose shares are those of both samples together. Multinomial draws simulate it, always the same ones.

    Where twice the greatest of 2,000 draws is less than ``below``, that is the answer: for chi-squared variables, which
    n m / (n + m) times the index tends to (B. Yurdakul and J. Naranjo, Statistical properties of the population
    stability index, 2020), it is above the quantile of every level from 0.000001 on.
    """
    return _of_chance(tuple(one), tuple(other), level, below)


@lru_cache(maxsize=256)
def _of_chance(one: tuple[int, ...], other: tuple[int, ...], level: float, below: float) -> float:
    import numpy as np

    shares = np.add(one, other).astype(np.float64)
    shares = shares[shares > 0] / shares.sum()
    sizes = sum(one), sum(other)
    empty = len(one) - len(shares)
    first = _drawn(sizes, shares, empty, _FIRST_DRAWS)
    if 2 * first.max() < below:
        return 2 * float(first.max())
    draws = min(_MOST_DRAWS, max(_FIRST_DRAWS, math.ceil(_ABOVE / level)))
    return float(np.quantile(_drawn(sizes, shares, empty, draws), max(0.0, 1 - level), method="higher"))


def _drawn(sizes: tuple[int, int], shares: np.ndarray, empty: int, draws: int) -> np.ndarray:
    """Indices of so many pairs of samples, float64 [draws]. ``empty`` bins have no row in either sample."""
    import numpy as np

    drawn = np.random.default_rng(_SEED)
    counts = (np.pad(drawn.multinomial(size, shares, draws), ((0, 0), (0, empty))) + _ADDED for size in sizes)
    p, q = (each / each.sum(axis=1, keepdims=True) for each in counts)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=1))


def share_of_chance(sizes: tuple[int, int], share: float, level: float) -> float:
    """The difference of two shares, of samples of these sizes, that chance exceeds with probability ``level`` where both
    are of a population with this share."""
    import numpy as np

    draws = min(_MOST_DRAWS, max(_FIRST_DRAWS, math.ceil(_ABOVE / level)))
    drawn = np.random.default_rng(_SEED)
    one, other = (drawn.binomial(size, share, draws) / size for size in sizes)
    return float(np.quantile(one - other, max(0.0, 1 - level), method="higher"))
