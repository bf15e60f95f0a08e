"""The training set: features joined to outcomes in time, split by entity first, and only then balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spark_lib import raw as raw_feeds
from spark_lib.errors import BadData
from spark_lib.files import schema_of, unreadable_files_named, write_parquet
from spark_lib.lake import Partition, RawDays, Rows
from spark_lib.reading import read_partitions
from spark_lib.splitting import is_validation

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.use_case import UseCase

TRAIN = "train"
NATURAL = "validation/unbalanced"
BALANCED = "validation/balanced"

_SIDES = {"train": False, "validation": True}  # the splits in the figures, by the column that says it


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
) -> Rows:
    """Write the three sections below ``url``.

    ``features`` are the days of the window, ``outcomes`` the label feed from the window's first day to the training
    date, ``salt`` the use case's directory name. ``settings`` has ``train_validation_split_proportion`` and ``seed``.
    A row is a row of ``features`` with the day it ``landed`` and its ``label``, 1 for the positive outcome. Rows without
    an outcome are counted, never taken for either. Raises BadData for an outcome outside its set or a key that landed on
    two days of the window.
    """
    from pyspark.sql import functions as F

    rows = read_partitions(spark, features).withColumnRenamed("date", "landed")
    labelled = _with_label(spark, case, rows, outcomes)
    split = labelled.withColumn(
        "validation", is_validation(salt, case.entity, settings["train_validation_split_proportion"])
    ).persist()
    try:
        figures = _figures(case, split)
        known = split.where(F.col("label").isNotNull())
        train = known.where(~F.col("validation")).drop("validation")
        natural = known.where(F.col("validation")).drop("validation")
        sections = {
            TRAIN: undersampled(train, case.key, figures["train"], settings["seed"]),
            NATURAL: natural,
            BALANCED: undersampled(natural, case.key, figures["validation"], settings["seed"]),
        }
        observed = {name: write_parquet(frame, f"{url}/{name}", file_rows)["rows"] for name, frame in sections.items()}
    finally:
        split.unpersist()
    return Rows(observed, schema_of(natural), figures)


def undersampled(frame: DataFrame, key: str, counts: Mapping[str, int], seed: int) -> DataFrame:
    """As many rows of each class as the smaller has, drawn without replacement.

    Drawn by the order of SHA-256(seed ":" key): the same rows give the same draw, however they are partitioned.
    """
    from pyspark.sql import functions as F

    size = min(counts["positive"], counts["negative"])
    draw = F.sha2(F.concat(F.lit(f"{seed}:"), F.col(key).cast("string")), 256)
    drawn = [frame.where(F.col("label") == label).orderBy(draw).limit(size) for label in (0, 1)]
    return drawn[0].unionByName(drawn[1])


def _with_label(spark: SparkSession, case: UseCase, rows: DataFrame, outcomes: RawDays) -> DataFrame:
    """``rows`` with ``label``: of several outcomes of a key the latest that landed, null where none has."""
    from pyspark.sql import functions as F

    label, feed = case.label, case.feeds[case.label.feed]
    landed = raw_feeds.read(spark, outcomes, feed)
    raw_feeds.check(outcomes, feed, landed, [label.key, label.column])
    _check_outcomes(case, landed)
    newest = F.max_by(label.column, F.struct("landed", feed.key)).alias("_outcome")
    by_key = landed.groupBy(F.col(label.key).alias(case.key)).agg(newest)
    known = F.when(F.col("_outcome") == label.positive, 1).when(F.col("_outcome").isNotNull(), 0)
    return rows.join(by_key, case.key, "left").withColumn("label", known).drop("_outcome")


def _check_outcomes(case: UseCase, landed: DataFrame) -> None:
    from pyspark.sql import functions as F

    column = case.label.column
    other = landed.where(~F.col(column).isin(*case.label.allowed)).orderBy("landed", column).first()
    if other is not None:
        raise BadData(
            f"raw feed {case.label.feed} of {other['landed']}",
            f"{column!r} to be one of {', '.join(map(repr, case.label.allowed))}",
            repr(other[column]),
            "land the day again, or add the value to the label's `allowed`",
        )


def _figures(case: UseCase, split: DataFrame) -> dict[str, Any]:
    """Rows of the window, labelled or not, by split and class. Raises BadData for a key that landed on two days."""
    from pyspark.sql import functions as F

    groups = split.groupBy("validation", "label").count().collect()
    by_key = split.groupBy(case.key).agg(F.sort_array(F.collect_list("landed")).alias("days"))
    doubled = by_key.where("size(days) > 1").orderBy(case.key).first()
    if doubled is not None:
        raise BadData(
            f"raw feed {case.rows}",
            f"each {case.key!r} on one day of the window",
            f"{doubled[case.key]!r} on {', '.join(map(str, doubled['days']))}",
            "land the day again without the rows that landed before",
        )

    def rows(validation: bool, label: int | None) -> int:
        return sum(group["count"] for group in groups if (group["validation"], group["label"]) == (validation, label))

    splits = {name: {"positive": rows(side, 1), "negative": rows(side, 0)} for name, side in _SIDES.items()}
    labelled = sum(sum(classes.values()) for classes in splits.values())
    unlabelled = sum(rows(side, None) for side in _SIDES.values())
    return {**splits, "labelled": labelled, "unlabelled": unlabelled}
