"""Rows with what a model gives of them, and the bootstrap over groups of their entities, for problems whose metrics are
made of sums over rows.

A metric is computed from a `Sums`: one number a group, or an array of numbers a group. So a replicate of the bootstrap
costs a sum over groups, whatever the number of rows. Sums are added up in the order of groups, and rows in an order that
depends on the rows alone: the same rows give the same figures on any number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.problems.metrics import tails
from spark_lib.problems.problem import GROUP, LEAST_JUDGED, ONE, OTHER, SCORE, Compared, too_few_groups
from spark_lib.use_case.keys import Key, names

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

#: The most rows that are brought to the driver. Of more rows, so many are drawn by a hash of the key.
MOST_ROWS = 1_000_000
#: The largest share of an error by which models are said to differ. Of a model without any error it would be infinite,
#: which no manifest can hold.
MOST_SHARE = 1_000.0

#: Named sums [g, ...] by group, or in all [...].
Sums = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Outputs:
    """``values`` [n] or [n, m] are what a model gives of n rows, float64; ``labels`` [n] are their labels, and
    ``groups`` [n] the groups of their entities, numbered from 0."""

    values: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.labels)

    def by_group(self, of_rows: np.ndarray) -> np.ndarray:
        """The sum of ``of_rows`` [n] or [n, m] over the rows of each group."""
        width = int(self.groups.max()) + 1 if self.rows else 0
        if of_rows.ndim == 1:
            return np.bincount(self.groups, of_rows, width)
        return np.stack([np.bincount(self.groups, column, width) for column in of_rows.T], axis=1)


def too_few_apart(found: Outputs, in_words: Callable[[float], str]) -> str:
    """The reason why rows are not judged apart: too few, one label alone, which ``in_words`` says, or too few groups of
    entities. Empty where they are judged."""
    if found.rows < LEAST_JUDGED:
        return f"too few: {found.rows} rows, it takes {LEAST_JUDGED}"
    if (found.labels == found.labels[0]).all():
        return in_words(found.labels[0])
    return too_few_groups(int(found.groups.max()) + 1)


def collected(rows: DataFrame, key: Key, count: int, columns: tuple[str, ...] = (SCORE,)) -> list[Outputs]:
    """What a model gives of the ``count`` rows with a ``label`` and a ``GROUP``, for each of ``columns``."""
    from pyspark.sql import functions as F

    if count > MOST_ROWS:
        rows = rows.orderBy(F.xxhash64(*names(key)), *names(key)).limit(MOST_ROWS)
    found = rows.select(*columns, F.col("label").cast("double").alias("label"), GROUP).toArrow()
    values = [floats(found[name]) for name in columns]
    labels = found["label"].to_numpy()
    return pair(tuple(values), labels, found[GROUP].to_numpy())


def in_order(values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Outputs:
    """Rows in an order that depends on the rows alone, their groups numbered from 0."""
    (found,) = pair((values,), labels, groups)
    return found


def pair(values: tuple[np.ndarray, ...], labels: np.ndarray, groups: np.ndarray) -> list[Outputs]:
    """The same rows by several ``values``, [n] or [n, m] each, in one order."""
    columns = [column for part in values for column in np.atleast_2d(part.T)]
    order = np.lexsort([*columns, labels, groups])
    numbered = np.unique(groups, return_inverse=True)[1]
    return [Outputs(part[order], labels[order], numbered[order]) for part in values]


def intervals(
    sums: Sums, metrics: Callable[[Sums], Mapping[str, float]], replicates: int, confidence: float, seed: int
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of metrics by the bootstrap over groups (Efron and Tibshirani 1993, chapter 13; Davison and
    Hinkley 1997, section 3.8). A metric that a draw does not define (NaN) is left out of that draw.

    The interval of an error that is never negative and that drawing adds to, ``calibration_error``, is the basic one
    (Davison and Hinkley 1997, section 5.2), widened to hold the error itself.
    """
    drawn = [metrics(sample) for sample in resampled(sums, replicates, seed)]
    measured = metrics(total(sums))
    found = {}
    for name, value in measured.items():
        low, high = np.nanquantile([sample[name] for sample in drawn], tails(confidence))
        if name == "calibration_error":
            low, high = max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low)
        found[name] = (float(low), float(high))
    return found


def resampled(sums: Sums, replicates: int, seed: int) -> Iterator[Sums]:
    """The sums of as many groups as there are, drawn with replacement, once for each replicate."""
    number = len(next(iter(sums.values())))
    random = np.random.default_rng(seed)
    for _ in range(replicates):
        times = random.multinomial(number, np.full(number, 1 / number))
        yield {name: np.tensordot(times, of_groups, axes=1) for name, of_groups in sums.items()}


def total(sums: Sums) -> Sums:
    """The sums over all groups."""
    return {name: of_groups.sum(axis=0) for name, of_groups in sums.items()}


def compared_by_error(
    words: str,
    errors: list[np.ndarray],
    of_mean: Callable[[float], float],
    settings: Mapping[str, Any],
    against: str,
) -> Compared:
    """A newer model against an older one by an error: ``of_mean`` of the mean of ``errors``, the sums of the two by
    group [g]. The difference is a share of the older model's error. The newer model loses where the upper end of the
    interval, by the paired bootstrap, is above ``champion_margin``."""

    def share(sums: Sums) -> float:
        one, other = (of_mean(float(sums[name])) for name in (ONE, OTHER))
        if other:
            return min(one / other - 1, MOST_SHARE)
        return MOST_SHARE if one else 0.0

    sums = dict(zip((ONE, OTHER), errors, strict=True))
    drawn = [share(sample) for sample in resampled(sums, settings["bootstrap_replicates"], settings["seed"])]
    low, high = map(float, np.quantile(drawn, tails(settings["confidence"])))
    difference, margin = share(total(sums)), settings["champion_margin"]
    said = f"{words} {difference:+.2%} against {against} ({low:+.2%} to {high:+.2%}), champion_margin {margin:g}"
    return Compared(difference, (low, high), high > margin, said)


def floats(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers as float64 [n], and lists of m numbers as float64 [n, m]."""
    import pyarrow as pa

    if not pa.types.is_list(column.type):
        found: np.ndarray = column.to_numpy().astype(np.float64)
        return found
    flat: np.ndarray = column.combine_chunks().flatten().to_numpy().astype(np.float64)
    return flat.reshape(len(column), -1)
