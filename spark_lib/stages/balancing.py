"""Builds the training set: joins features to outcomes in time, splits the rows with no entity on two sides, and only
then balances them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_lib import problems
from spark_lib.errors import BadData
from spark_lib.frames.files import schema_of, unreadable_files_named, write_parquet
from spark_lib.frames.reading import read_partitions
from spark_lib.lake import Partition, RawDays, Rows
from spark_lib.learning import resampling
from spark_lib.learning.splitting import split
from spark_lib.models import matrix
from spark_lib.models.training_set import BALANCED, CALIBRATION, NATURAL, SIDES, TRAIN, VALIDATION, Spread, TrainingSet
from spark_lib.stages import outcomes as outcomes_of
from spark_lib.stages.outcomes import EXCLUDED, OUTCOME
from spark_lib.use_case import keys

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from spark_lib.use_case import UseCase


@unreadable_files_named()
def build(
    spark: SparkSession,
    case: UseCase,
    salt: str,
    features: Sequence[Partition],
    outcomes: RawDays,
    settings: Mapping[str, Any],
    url: str,
    file_rows: int,
    later: RawDays | None = None,
) -> Rows:
    """Write the sections ``train``, ``calibration``, ``validation/unbalanced`` and ``validation/balanced`` below
    ``url``.

    ``features`` are the days of the window. ``outcomes`` is the label feed from the window's first day to the training
    date. Where the label is a column of the scored feed, it is that feed in the window, and ``later`` is the feed for
    what becomes known later, to the training date. ``salt`` is the use case's directory name. ``settings`` are those of
    the stage.

    A row is a row of ``features`` with the day it ``landed``, its ``label`` as a number (``spark_lib.problems``), and ``copy``,
    which is above 0 for a row that balancing made. Only ``train`` and ``validation/balanced`` are balanced. Rows
    without an outcome are counted, but belong to neither class, and those whose outcome will never be known are counted
    apart. Raises BadData for an outcome outside its set, and for
    a key that landed on two days of the window.
    """
    from pyspark.sql import functions as F

    rows = read_partitions(spark, features).withColumnRenamed("date", "landed")
    labelled = _with_label(spark, case, rows, outcomes, later)
    sides = split(labelled, salt, case.entity_or_key, settings, features[0].date, len(features)).persist()
    try:
        counted = _counted(case, sides)
        strategy, seed = settings["balancing"], settings["seed"]
        problem = problems.of(case.label)
        wanted = resampling.plan(counted.sides[TRAIN], strategy, settings["target_ratio"])
        known = sides.where(F.col("label").isNotNull())
        of = {name: known.where(F.col("side") == name).drop("side", EXCLUDED) for name in SIDES}
        figures = replace(
            counted,
            balanced=wanted.rows,
            weights=wanted.weights,
            spread=_spread(case, of[TRAIN]),
            prevalences=problem.prevalences({**counted.sides, "balanced": wanted.rows}),
        )
        neighbours = settings["smote_neighbours"]
        sections = {
            TRAIN: resampling.resampled(
                of[TRAIN], case, problem.labels, counted.sides[TRAIN], wanted, strategy, neighbours, seed
            ),
            CALIBRATION: of[CALIBRATION].withColumn("copy", F.lit(0)),
            NATURAL: of[VALIDATION].withColumn("copy", F.lit(0)),
            BALANCED: resampling.undersampled(of[VALIDATION], case, problem.labels, counted.sides[VALIDATION], seed),
        }
        observed = {name: write_parquet(frame, f"{url}/{name}", file_rows) for name, frame in sections.items()}
    finally:
        sides.unpersist()
    counts = {name: found["rows"] for name, found in observed.items()}
    digests = {name: found["digest"] for name, found in observed.items()}
    digest = json.dumps(digests, sort_keys=True) if all(digests.values()) else ""
    return Rows(counts, schema_of(sections[NATURAL]), figures.document(), digest=digest)


def _spread(case: UseCase, rows: DataFrame) -> dict[str, Spread]:
    """For each feature, as a model gets it: how many rows had a value, the least and the greatest finite value, and how
    many values are infinite."""
    from pyspark.sql import functions as F

    def of_texts(name: str) -> Column:
        """Texts have no least and no greatest; what counts is whether there is more than one."""
        several = (F.min(name) != F.max(name)).cast("double")
        ends = (F.lit(0.0).alias("least"), several.alias("greatest"))
        return F.struct(F.count(name).alias("there"), *ends, F.lit(0).alias("infinite")).alias(name)

    def of(name: str, value: Column) -> Column:
        finite = F.when(~F.isnan(value) & (F.abs(value) < float("inf")), value)
        return F.struct(
            F.count_if(~matrix.is_missing(F.col(name).cast("float"))).alias("there"),
            F.min(finite).alias("least"),
            F.max(finite).alias("greatest"),
            F.count_if(F.abs(value) == float("inf")).alias("infinite"),
        ).alias(name)

    numbers = {name: feature for name, feature in case.features.items() if not feature.is_string}
    of_numbers = [of(name, value) for name, value in zip(numbers, matrix.columns(numbers), strict=True)]
    (found,) = rows.agg(*of_numbers, *[of_texts(name) for name in case.features if name not in numbers]).collect()
    return {name: Spread(**found[name].asDict()) for name in case.features}


def _with_label(
    spark: SparkSession, case: UseCase, rows: DataFrame, outcomes: RawDays, later: RawDays | None
) -> DataFrame:
    """Add ``label`` to ``rows``, which is null where no outcome is known, and ``EXCLUDED``."""
    from pyspark.sql import functions as F

    found = outcomes_of.joined(spark, case, rows, outcomes, later)
    return found.withColumn("label", problems.of(case.label).label(F.col(OUTCOME))).drop(OUTCOME)


def _counted(case: UseCase, sides: DataFrame) -> TrainingSet:
    """Count the rows of the window by side and class, and those with and without an outcome, in all and by landing day.
    Rows with an outcome but without a side are counted, too. Excluded rows are counted in all, and not by day.

    Raises BadData for a key that landed on two days.
    """
    from pyspark.sql import functions as F

    problem = problems.of(case.label)
    named = F.when(F.col("label").isNotNull(), problem.name_of(F.col("label"))).alias("name")
    groups = sides.groupBy("side", named, "landed", EXCLUDED).count().collect()
    by_key = sides.groupBy(*keys.names(case.key)).agg(F.sort_array(F.collect_list("landed")).alias("_days"))
    doubled = by_key.where("size(_days) > 1").orderBy(*keys.names(case.key)).first()
    if doubled is not None:
        raise BadData(
            f"raw feed {case.rows}",
            f"each {case.key!r} on one day of the window",
            f"{keys.value(doubled, case.key)!r} on {', '.join(map(str, doubled['_days']))}",
            "land the day again without the rows that landed before",
        )
    rows: Counter[Any] = Counter()
    for group in groups:
        unknown = "excluded" if group[EXCLUDED] else "unlabelled"
        known = unknown if group["name"] is None else "labelled"
        if group["name"] is not None:
            rows[group["side"], group["name"]] += group["count"]
        rows[group["landed"], known] += group["count"]
        rows[known] += group["count"]
    days = sorted({group["landed"] for group in groups})
    return TrainingSet(
        {side: {name: rows[side, name] for name in problem.names} for side in SIDES},
        rows["labelled"],
        rows["unlabelled"],
        sum(rows[None, name] for name in problem.names),
        {day: (rows[day, "labelled"], rows[day, "unlabelled"]) for day in days},
        excluded=rows["excluded"],
    )
