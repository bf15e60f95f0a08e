"""A model from a training set: fit, measured on rows it never saw, exported, and judged by its gates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from spark_lib import calibration, export, matrix, metrics
from spark_lib.balancing import BALANCED, NATURAL, TRAIN
from spark_lib.files import remove, spark_path, unreadable_files_named
from spark_lib.fingerprint import versions
from spark_lib.lake import Documents, Partition
from spark_lib.model import check_parity, digest
from spark_lib.reading import read_partitions
from spark_lib.selection import CARD, MODEL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.use_case import UseCase

PARITY_ROWS = 10_000
#: Of the bootstrap whose intervals are in the card.
REPLICATES, CONFIDENCE = 500, 0.95
CHANGED_BY_CALIBRATION = ("brier", "log_loss", "calibration_error")
_ROWS_OF_A_TASK = 50_000

Progress = Callable[[int, str], None]


@unreadable_files_named()
def build(
    spark: SparkSession, case: UseCase, balanced: Partition, settings: Mapping[str, Any], url: str, progress: Progress
) -> Documents:
    """Train on ``balanced`` and return ``card.json``, with ``model.onnx`` where the verdict is approved.

    ``settings`` are those of ``[training]``; ``url`` is a place for scratch files, which are removed. Raises BadData for
    a null without a fill, ModelError for a model that ONNX cannot carry or that scores otherwise than Spark's.
    """
    counts = balanced.manifest.metrics
    verdict = inconclusive(counts, settings["min_positives"])
    if verdict:
        return _documents(case, counts, settings, calibration.NONE, {}, verdict, None)
    train = _vectors(case, read_partitions(spark, [balanced], TRAIN))
    progress(20, f"fitting {balanced.manifest.rows(TRAIN):,} rows")
    fitted = case.estimator(settings).fit(_laid_out(train, case.key, balanced.manifest.rows(TRAIN)))
    export.check(fitted, len(case.features))
    # The training summary holds on to the session, which cannot be serialized once it has observed a write; a copy of
    # the model leaves it behind.
    model = fitted.copy()
    progress(50, "measuring on the validation rows")
    natural = _vectors(case, read_partitions(spark, [balanced], NATURAL))
    drawn = _vectors(case, read_partitions(spark, [balanced], BALANCED))
    found, of_drawn = scored(model.transform(natural)), scored(model.transform(drawn))
    # The training split was drawn to as many of each class.
    back = calibration.prior(counts["train"], {"positive": 1, "negative": 1})
    calibrated = calibration.calibrated(back, found)
    measured: dict[str, Any] = dict(metrics.measured(calibrated))
    measured["uncalibrated"] = {name: metrics.METRICS[name](found) for name in CHANGED_BY_CALIBRATION}
    measured |= {f"balanced_{name}": metrics.METRICS[name](of_drawn) for name in ("area_under_roc", "area_under_pr")}
    measured["intervals"] = metrics.intervals(calibrated, REPLICATES, CONFIDENCE, settings["seed"])
    verdict = gated(measured, settings)
    if not verdict["approved"]:
        return _documents(case, counts, settings, back, measured, verdict, None)
    progress(65, "exporting to ONNX")
    exported = _exported(spark, case, model, natural, spark_path(f"{url}/_scratch"))
    return _documents(case, counts, settings, back, measured, verdict, exported)


def inconclusive(counts: Mapping[str, Any], min_positives: int) -> dict[str, Any] | None:
    """The verdict on data that cannot train or cannot judge a model, or None where they can."""
    for split in ("train", "validation"):
        for label in ("positive", "negative"):
            if not counts[split][label]:
                found = sum(counts[split].values())
                return _rejected(
                    "inconclusive", f"one class: no {label} among the {found:,} labelled rows of the {split} split"
                )
    positives = counts["train"]["positive"] + counts["validation"]["positive"]
    if positives < min_positives:
        return _rejected(
            "inconclusive", f"too few positives: {positives:,} in the window, min_positives is {min_positives:,}"
        )
    return None


def gated(measured: Mapping[str, float], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict of the gates on the natural validation rows."""
    missed = [
        f"{words} {measured[name]:.4f} below {settings[f'min_{name}']:.4f}"
        for name, words in (("area_under_roc", "area under ROC"), ("area_under_pr", "area under PR"))
        if measured[name] < settings[f"min_{name}"]
    ]
    if missed:
        return _rejected("gate", ", ".join(missed))
    return {"approved": True, "reason": "", "detail": ""}


def _rejected(reason: str, detail: str) -> dict[str, Any]:
    return {"approved": False, "reason": reason, "detail": detail}


def _vectors(case: UseCase, rows: DataFrame) -> DataFrame:
    """Key, float32 features, their vector and the label."""
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import functions as F

    matrix.check_filled(rows, case.features)
    columns = rows.select(case.key, *matrix.columns(case.features), F.col("label").cast("double").alias("label"))
    assembler = VectorAssembler(inputCols=list(case.features), outputCol="features", handleInvalid="keep")
    return assembler.transform(columns)


def _laid_out(rows: DataFrame, key: str, count: int) -> DataFrame:
    """Partitions and an order that depend on the rows alone: a forest draws its samples by partition and position."""
    return rows.repartition(max(1, math.ceil(count / _ROWS_OF_A_TASK)), key).sortWithinPartitions(key)


def scored(rows: DataFrame) -> metrics.Scored:
    """Rows with Spark's ``probability`` and the ``label``, counted by score where they are: the driver gets at most a
    million counts, and the order of rows, which Spark's own evaluator sums by, makes no difference."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    score = F.round(vector_to_array(F.col("probability"))[1] * metrics.GRID) / metrics.GRID
    by_score = rows.groupBy(score.alias("score")).agg(
        F.count_if(F.col("label") == 1).alias("positives"), F.count_if(F.col("label") == 0).alias("negatives")
    )
    found = by_score.toArrow().sort_by("score")
    return metrics.Scored(*(found[name].to_numpy() for name in ("score", "positives", "negatives")))


def _exported(spark: SparkSession, case: UseCase, model: Any, rows: DataFrame, scratch: str) -> bytes:
    """The model as ONNX, once it scores as Spark does the real ``rows``, or of many a sample from all over them."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    try:
        exported = export.export(model, len(case.features), scratch, spark)
    finally:
        remove(spark, scratch)
    probability = vector_to_array(F.col("probability"), "float64")[1].alias("_probability")
    drawn = model.transform(rows.orderBy(F.xxhash64(case.key)).limit(PARITY_ROWS))
    sample = drawn.select(*case.features, probability).toArrow()
    check_parity(exported, matrix.from_arrow(sample, case.features), sample["_probability"].to_numpy())
    return exported


def _documents(
    case: UseCase,
    counts: Mapping[str, Any],
    settings: Mapping[str, Any],
    back: calibration.Calibration,
    measured: Mapping[str, Any],
    verdict: Mapping[str, Any],
    model: bytes | None,
) -> Documents:
    label = case.label
    card = {
        "features": [{"name": name, "type": f.type, "fill": f.fill} for name, f in case.features.items()],
        "classes": {
            "negative": [value for value in label.allowed if value != label.positive],
            "positive": label.positive,
        },
        "calibration": dict(back),
        "model": {"file": MODEL, "sha256": digest(model), "size": len(model)} if model else None,
        "rows": dict(counts),
        "metrics": dict(measured),
        "settings": dict(settings),
        "versions": versions(),
        "verdict": dict(verdict),
    }
    files = {CARD: json.dumps(card, indent=1, sort_keys=True).encode() + b"\n"}
    if model:
        files[MODEL] = model
    figures = {"training_rows": 2 * min(counts["train"].values()), "verdict": dict(verdict), **measured}
    return Documents(files, figures | ({"model_digest": digest(model)} if model else {}))
