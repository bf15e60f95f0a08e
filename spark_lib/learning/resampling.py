"""Brings the classes of a training split to the wanted ratio. There are five strategies. Each gives the same rows for
the same seed, however the rows are partitioned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from spark_lib.learning import smote
from spark_lib.learning.splitting import text_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_lib.use_case import UseCase
    from spark_lib.use_case.keys import Key

#: The column of weights. No feature can have this name.
WEIGHT = "_weight"
_DIGITS = 3  # hexadecimal digits of a digest that are counted: 4,096 places
#: Weights are whole multiples of one over this, so that their sums are exact in any order.
_WEIGHTS = 2**10


@dataclass(frozen=True)
class Plan:
    """What a strategy does with the rows: how many of each class it leaves, and what one row of each class weighs."""

    rows: Mapping[str, int]
    weights: Mapping[str, float]


def plan(counts: Mapping[str, int], strategy: str, target_ratio: float) -> Plan:
    """Bring ``counts``, the rows of each class, to ``target_ratio``: that of the rows of any class over those of the
    largest one, or of the smallest one over those of any. Nothing changes for classes between which the ratio is
    reached already, or where a class has no row at all."""
    few, many = min(counts.values()), max(counts.values())
    rows, weights = dict(counts), dict.fromkeys(counts, 1.0)
    if not few:
        return Plan(rows, weights)
    for name, count in counts.items():
        if strategy == "undersample":
            rows[name] = min(count, max(few, round(few / target_ratio)))
        elif strategy in ("oversample", "smote"):
            rows[name] = max(count, round(many * target_ratio))
        elif strategy == "class_weight" and count < target_ratio * many:
            weights[name] = max(1, round(many * target_ratio / count * _WEIGHTS)) / _WEIGHTS
    return Plan(rows, weights)


def resampled(
    frame: DataFrame,
    case: UseCase,
    labels: Mapping[str, int],
    counts: Mapping[str, int],
    wanted: Plan,
    strategy: str,
    neighbours: int,
    seed: int,
) -> DataFrame:
    """``frame`` as ``wanted``, with the column ``copy``: 0 for a row that landed, 1 for the first row that was made
    from it, 2 for the second, and so on. ``labels`` are the classes; without them nothing is resampled.

    ``oversample`` repeats a row, ``smote`` makes rows between it and its neighbours. This takes one Spark job a class,
    or none.
    """
    from pyspark.sql import functions as F

    if not labels:
        return _original(frame)
    parts = []
    for name in sorted(labels, key=lambda name: counts[name]):
        own = frame.where(F.col("label") == labels[name])
        fewer, more = wanted.rows[name] < counts[name], wanted.rows[name] - counts[name]
        parts.append(_original(drawn(own, case.key, wanted.rows[name], seed) if fewer else own))
        if more > 0 and strategy == "oversample":
            parts.append(repeated(own, case.key, more, counts[name], seed))
        if more > 0 and strategy == "smote":
            parts.append(smote.synthesised(own, case.key, case.features, more, seed, neighbours))
    return reduce(lambda found, part: found.unionByName(part), parts)


def undersampled(
    frame: DataFrame, case: UseCase, labels: Mapping[str, int], counts: Mapping[str, int], seed: int
) -> DataFrame:
    """As many rows of each class as the smallest has; none where one of them has none, or where there is no class."""
    if not labels or not all(counts[name] for name in labels):
        return _original(frame.limit(0))
    return resampled(frame, case, labels, counts, plan(counts, "undersample", 1.0), "undersample", 0, seed)


def drawn(frame: DataFrame, key: Key, size: int, seed: int) -> DataFrame:
    """``size`` rows without replacement: the first by SHA-256(seed ":" key).

    Rows are counted by the first digits of their digests, so that only the rows at the place of the cut have to be
    sorted. This takes one Spark job, or none.
    """
    from pyspark.sql import functions as F

    digest = F.sha2(F.concat(F.lit(f"{seed}:"), text_of(key)), 256)
    place = F.substring(digest, 1, _DIGITS)
    rows = sorted(frame.groupBy(place.alias("place")).count().collect()) if size else []
    before = 0
    for at, count in rows:
        if before + count >= size:
            return frame.where(place < at).unionByName(frame.where(place == at).orderBy(digest).limit(size - before))
        before += count
    return frame if size else frame.limit(0)


def repeated(frame: DataFrame, key: Key, more: int, rows: int, seed: int) -> DataFrame:
    """Make ``more`` copies of the ``rows`` rows of ``frame``: equally many of each row, and one more of some rows that
    are drawn. The expectation is the same as for sampling with replacement, but the result varies less."""
    from pyspark.sql import functions as F

    each, rest = divmod(more, rows)
    once_more = drawn(frame, key, rest, seed).withColumn("copy", F.lit(each + 1))
    if not each:
        return once_more
    return frame.withColumn("copy", F.explode(F.sequence(F.lit(1), F.lit(each)))).unionByName(once_more)


def _original(frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return frame.withColumn("copy", F.lit(0))


def weighted(frame: DataFrame, labels: Mapping[str, int], weights: Mapping[str, float]) -> DataFrame:
    """``frame`` with the weight of each row, which depends on its label; 1 where the label is a number."""
    from pyspark.sql import functions as F

    weight = F.lit(1.0)
    for name, label in labels.items():
        weight = F.when(F.col("label") == label, weights[name]).otherwise(weight)
    return frame.withColumn(WEIGHT, weight)
