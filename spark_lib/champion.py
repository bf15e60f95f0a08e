"""A new model against the one before it, on the same rows: those that neither was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_lib import metrics
from spark_lib.balancing import NATURAL
from spark_lib.files import columns_of, unreadable_files_named
from spark_lib.inference import scored_by
from spark_lib.lake import Partition
from spark_lib.reading import read_partitions
from spark_lib.selection import Pinned
from spark_lib.use_case import Feature

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

METRIC = "area_under_roc"
#: Validation rows that are compared, at most: of more, a sample from all over them.
ROWS = 1_000_000
#: What has to be equal for no row that one validates on to have been trained on by the other.
_OF_THE_SPLIT = ("split", "train_validation_split_proportion", "calibration_proportion")


@unreadable_files_named()
def compare(
    spark: SparkSession,
    key: str,
    challenger: Pinned,
    champion: Pinned,
    balanced: Partition,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """How the challenger does against the champion on the natural validation rows of ``balanced``, the challenger's own.

    It ``loses`` where the lower end of the interval of the difference of the areas under ROC, by the paired bootstrap, is
    further below 0 than ``champion_margin``. Where the two cannot be compared it does not lose, and ``detail`` says why.
    """
    found: dict[str, Any] = {"champion": str(champion.date), "champion_digest": champion.digest, "loses": False}
    hindrance = incomparable(challenger.card, champion.card, balanced)
    if hindrance:
        return found | {"detail": f"not compared with the model of {champion.date}: {hindrance}"}
    difference, interval = metrics.difference(
        _scored_twice(spark, key, challenger, champion, balanced),
        METRIC,
        settings["bootstrap_replicates"],
        settings["confidence"],
        settings["seed"],
    )
    margin = settings["champion_margin"]
    words = (
        f"area under ROC {difference:+.4f} against the model of {champion.date} "
        f"({interval[0]:+.4f} to {interval[1]:+.4f}), champion_margin {margin:g}"
    )
    return found | {
        "difference": difference,
        "interval": list(interval),
        "loses": interval[0] < -margin,
        "detail": words,
    }


def incomparable(challenger: Mapping[str, Any], champion: Mapping[str, Any], balanced: Partition) -> str:
    """Why a champion cannot be judged on the challenger's validation rows, by their cards; empty where it can."""
    for name in _OF_THE_SPLIT:
        ours, theirs = (card["settings"].get(name) for card in (challenger, champion))
        if ours != theirs:
            return f"[training] {name} was {theirs} and is {ours}, so that it was trained on rows that now validate"
    if challenger["settings"]["split"] != "entity":
        return "the rows are split by time, so that it was trained on entities that now validate"
    columns = dict(balanced.manifest.schema)
    for feature in champion["features"]:
        ((name, kind),) = columns_of(f"`{feature['name']}` {feature['type']}").items()
        if columns.get(name) != kind:
            return f"it needs a feature {name!r} of type {kind}, which the rows no longer have"
    return ""


def _scored_twice(
    spark: SparkSession, key: str, challenger: Pinned, champion: Pinned, balanced: Partition
) -> metrics.ScoredTwice:
    from pyspark.sql import functions as F

    rows = read_partitions(spark, [balanced], NATURAL)
    if balanced.manifest.rows(NATURAL) > ROWS:
        rows = rows.orderBy(F.xxhash64(key)).limit(ROWS)
    names = ["_one", "_other"]
    for name, model in zip(names, (challenger, champion), strict=True):
        features = {f["name"]: Feature(f["type"], f["fill"]) for f in model.card["features"]}
        rows = scored_by(model.model, rows, rows.columns, features, model.card["calibration"], model.digest, name)
    cells = [(F.round(F.col(name) * metrics.GRID) / metrics.GRID).alias(name) for name in names]
    counted = rows.groupBy(*cells).agg(
        F.count_if(F.col("label") == 1).alias("positives"), F.count_if(F.col("label") == 0).alias("negatives")
    )
    found = counted.toArrow().sort_by([(name, "ascending") for name in names])
    return metrics.ScoredTwice(*(found[name].to_numpy() for name in (*names, "positives", "negatives")))
