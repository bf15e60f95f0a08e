"""Brings the classes of a training split to the wanted ratio. There are five strategies. Each gives the same rows for
the same seed, however the rows are partitioned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_lib.learning import smote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_lib.use_case import UseCase

#: The column of weights. No feature can have this name.
WEIGHT = "_weight"
_DIGITS = 3  # hexadecimal digits of a digest that are counted: 4,096 places
#: Weights are whole multiples of one over this, so that their sums are exact in any order.
_WEIGHTS = 2**10
LABELS = {"negative": 0, "positive": 1}


@dataclass(frozen=True)
class Plan:
    """What a strategy does with the rows: how many of each class it leaves, and what one row of each class weighs."""

    minority: str
    rows: Mapping[str, int]
    weights: Mapping[str, float]

    @property
    def majority(self) -> str:
        return next(name for name in LABELS if name != self.minority)


def plan(counts: Mapping[str, int], strategy: str, target_ratio: float) -> Plan:
    """Bring ``counts`` of ``positive`` and ``negative`` rows to ``target_ratio``, the rows of the smaller class over
    those of the larger one. Nothing changes where the ratio is reached already, or where a class has no row at all."""
    minority, majority = sorted(LABELS, key=lambda name: (counts[name], name == "negative"))
    few, many = counts[minority], counts[majority]
    rows, weights = {name: counts[name] for name in LABELS}, dict.fromkeys(LABELS, 1.0)
    if few and few < target_ratio * many:
        if strategy == "undersample":
            rows[majority] = round(few / target_ratio)
        elif strategy in ("oversample", "smote"):
            rows[minority] = round(many * target_ratio)
        elif strategy == "class_weight":
            weights[minority] = max(1, round(many * target_ratio / few * _WEIGHTS)) / _WEIGHTS
    return Plan(minority, rows, weights)


def resampled(
    frame: DataFrame, case: UseCase, counts: Mapping[str, int], wanted: Plan, strategy: str, neighbours: int, seed: int
) -> DataFrame:
    """``frame`` as ``wanted``, with the column ``copy``: 0 for a row that landed, 1 for the first row that was made
    from it, 2 for the second, and so on.

    ``oversample`` repeats a row, ``smote`` makes rows between it and its neighbours. This takes one Spark job, or none.
    """
    from pyspark.sql import functions as F

    of_class = {name: frame.where(F.col("label") == label) for name, label in LABELS.items()}
    own, others = of_class[wanted.minority], of_class[wanted.majority]
    more = wanted.rows[wanted.minority] - counts[wanted.minority]
    if wanted.rows[wanted.majority] < counts[wanted.majority]:
        others = drawn(others, case.key, wanted.rows[wanted.majority], seed)
    found = _original(own).unionByName(_original(others))
    if more and strategy == "oversample":
        return found.unionByName(repeated(own, case.key, more, counts[wanted.minority], seed))
    if more and strategy == "smote":
        return found.unionByName(smote.synthesised(own, case.key, case.features, more, seed, neighbours))
    return found


def undersampled(frame: DataFrame, case: UseCase, counts: Mapping[str, int], seed: int) -> DataFrame:
    """As many rows of each class as the smaller has; none where one of the two has none."""
    if not all(counts[name] for name in LABELS):
        return _original(frame.limit(0))
    return resampled(frame, case, counts, plan(counts, "undersample", 1.0), "undersample", 0, seed)


def drawn(frame: DataFrame, key: str, size: int, seed: int) -> DataFrame:
    """``size`` rows without replacement: the first by SHA-256(seed ":" key).

    Rows are counted by the first digits of their digests, so that only the rows at the place of the cut have to be
    sorted. This takes one Spark job, or none.
    """
    from pyspark.sql import functions as F

    digest = F.sha2(F.concat(F.lit(f"{seed}:"), F.col(key).cast("string")), 256)
    place = F.substring(digest, 1, _DIGITS)
    rows = sorted(frame.groupBy(place.alias("place")).count().collect()) if size else []
    before = 0
    for at, count in rows:
        if before + count >= size:
            return frame.where(place < at).unionByName(frame.where(place == at).orderBy(digest).limit(size - before))
        before += count
    return frame if size else frame.limit(0)


def repeated(frame: DataFrame, key: str, more: int, rows: int, seed: int) -> DataFrame:
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


def weighted(frame: DataFrame, weights: Mapping[str, float]) -> DataFrame:
    """``frame`` with the weight of each row, which depends on its label."""
    from pyspark.sql import functions as F

    positive = F.col("label") == LABELS["positive"]
    return frame.withColumn(WEIGHT, F.when(positive, weights["positive"]).otherwise(weights["negative"]))
