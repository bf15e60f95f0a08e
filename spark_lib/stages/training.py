"""Trains a model: fits and calibrates it, measures it on rows that it never saw, judges it by its gates, and exports
it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_lib import report
from spark_lib.errors import BadData
from spark_lib.frames.files import unreadable_files_named
from spark_lib.frames.reading import read_partitions
from spark_lib.lake import Documents, Partition
from spark_lib.learning import estimators
from spark_lib.learning.resampling import weighted
from spark_lib.learning.splitting import GROUP, GROUPS, group
from spark_lib.models import matrix
from spark_lib.models.calibration import GRID, NONE
from spark_lib.models.card import CARD, MODEL, REPORT, Card, Classes, ModelFile
from spark_lib.models.model import digest, within_rounding
from spark_lib.models.training_set import BALANCED, CALIBRATION, NATURAL, SIDES, TRAIN, VALIDATION, Spread, TrainingSet
from spark_lib.problems import calibration_fit, gates, metrics
from spark_lib.problems.options import FITTED, calibration_kinds, check_calibration, needs_calibration_rows
from spark_lib.use_case.fingerprint import versions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.use_case import UseCase

#: Up to this number of rows the bootstrap draws groups of entities. Intervals of more rows are narrow in any case, so
#: single rows are drawn, and the driver does not get a count for each group.
GROUPED_ROWS = 1_000_000
_ROWS_OF_A_TASK = 50_000

Progress = Callable[[int, str], None]


@unreadable_files_named()
def build(
    spark: SparkSession,
    case: UseCase,
    balanced: Partition,
    settings: Mapping[str, Any],
    url: str,
    progress: Progress,
    null_before: Collection[str] | None = None,
) -> Documents:
    """Train on ``balanced`` and return ``card.json``, ``report.html`` and, where the verdict is approved,
    ``model.onnx``.

    ``settings`` are those of ``[training]``. ``url`` is a place for scratch files, which are removed. ``null_before``
    are the features that were null in all rows of the training before, or None where there was none. Raises BadData for
    a null without a fill, and ModelError for a model that ONNX cannot carry or whose scores in ONNX differ from its
    estimator's.
    """
    counts = TrainingSet.of(balanced.manifest.metrics)
    card = _card(case, counts, settings)
    check_calibration(settings["calibration"], settings["balancing"], settings["calibration_proportion"])
    needed = needs_calibration_rows(settings["calibration"], settings["balancing"])
    sides = SIDES if needed else (TRAIN, VALIDATION)
    verdict = gates.on_labels(counts, settings, sides, balanced.date)
    if not verdict.approved:
        return _documents(replace(card, verdict=verdict), balanced)
    rows = read_partitions(spark, [balanced], TRAIN)
    matrix.check_filled(rows, case.features)
    _check_finite(counts.spread)
    verdict, warnings = gates.on_columns(counts, settings.get("constant_columns", "auto"), null_before)
    card = replace(card, warnings=tuple(warnings))
    if not verdict.approved:
        return _documents(replace(card, verdict=verdict), balanced)

    progress(20, f"fitting {balanced.manifest.rows(TRAIN):,} rows")
    model = _fitted(case, rows, counts, balanced.manifest.rows(TRAIN), settings)

    progress(45, "calibrating and measuring")

    def rows_of(section: str) -> DataFrame:
        rows = read_partitions(spark, [balanced], section)
        if section != BALANCED:  # the balanced rows are a part of the natural ones
            matrix.check_filled(rows, case.features)
        return matrix_rows(case, rows)

    def scored(section: str) -> metrics.Scored:
        return counted(model.scored(rows_of(section)), grouped=balanced.manifest.rows(section) <= GROUPED_ROWS)

    kinds = calibration_kinds(settings["calibration"], settings["balancing"])
    if not gates.can_calibrate(counts):
        kinds = kinds[:1]
    if len(kinds) > 1:
        on = counted(model.scored(some_groups(rows_of(CALIBRATION), balanced.manifest.rows(CALIBRATION))))
    else:
        on = scored(CALIBRATION) if set(kinds) & set(FITTED) else metrics.NOTHING
    back, tried = calibration_fit.chosen(kinds, on, counts.sides[TRAIN], counts.trained_on)
    found = scored(NATURAL)
    calibrated = calibration_fit.calibrated(back, found)
    measured = _measured(calibrated, found, scored(BALANCED), settings)
    if settings.get("out_of_time", False):
        progress(55, "judging out of time")
        measured["out_of_time"] = out_of_time(spark, case, balanced, settings, kinds)
    judged = gates.judged(measured, settings)
    card = replace(
        card,
        calibration=back,
        calibrations_tried=tuple(each.document() for each in tried),
        metrics=measured,
        gates=tuple(judged),
        verdict=gates.on_model(judged, gates.not_judged(measured, settings)),
        importance=model.importance,
    )
    if not card.verdict.approved:
        return _documents(card, balanced, calibrated, found)
    progress(65, "exporting to ONNX")
    natural = matrix_rows(case, read_partitions(spark, [balanced], NATURAL))
    exported = model.export(natural, case.key, f"{url}/_scratch")
    return _documents(card, balanced, calibrated, found, exported)


def out_of_time(
    spark: SparkSession, case: UseCase, balanced: Partition, settings: Mapping[str, Any], kinds: Sequence[str]
) -> dict[str, Any]:
    """How good a model is on later days than those that it was trained on.

    The days on which the rows of the window landed are cut: the last fifth judges, the days before train and calibrate
    a second model, by the same settings and the same rule. What judges are the natural validation rows of the last
    fifth, so that neither their day nor their entity was trained or calibrated on. The result has the metrics as the
    card has them, with ``intervals``, the number of ``days`` that judge, and their ``rows`` and ``positives``. Where
    there are too few rows it has a ``reason`` in the place of metrics.
    """
    from pyspark.sql import functions as F

    counts = TrainingSet.of(balanced.manifest.metrics)
    earlier, later = gates.last_fifth(sorted(counts.by_day))
    by_time = {True: F.col("landed").isin(later), False: F.col("landed").isin(earlier)}

    def rows_of(section: str, late: bool) -> DataFrame:
        return read_partitions(spark, [balanced], section).where(by_time[late])

    judging, training = _classes(rows_of(NATURAL, late=True)), _classes(rows_of(TRAIN, late=False))
    found = {"days": len(later), "rows": sum(judging.values()), "positives": judging["positive"]}
    few = gates.too_few_out_of_time({"train": training, "judge": judging})
    if few:
        return found | {"reason": few}
    count = balanced.manifest.rows(TRAIN)
    model = _fitted(case, rows_of(TRAIN, late=False), counts, count, settings)

    def scored(section: str, late: bool) -> metrics.Scored:
        rows = matrix_rows(case, rows_of(section, late))
        return counted(model.scored(some_groups(rows, balanced.manifest.rows(section))))

    on = scored(CALIBRATION, late=False) if set(kinds) & set(FITTED) else metrics.NOTHING
    if not calibration_fit.is_enough(on):
        kinds = kinds[:1]
    if kinds[0] in FITTED:
        few = gates.too_few_out_of_time({"calibrate": _classes(rows_of(CALIBRATION, late=False))})
        if few:
            return found | {"reason": few}
    back, _ = calibration_fit.chosen(kinds, on, counts.sides[TRAIN], counts.trained_on)
    calibrated = calibration_fit.calibrated(back, scored(NATURAL, late=True))
    return found | {
        "calibration": back["kind"],
        **metrics.measured(calibrated),
        "intervals": metrics.intervals(
            calibrated, settings["bootstrap_replicates"], settings["confidence"], settings["seed"]
        ),
    }


def _fitted(
    case: UseCase, rows: DataFrame, counts: TrainingSet, number: int, settings: Mapping[str, Any]
) -> estimators.SparkModel | estimators.SklearnModel:
    """The use case's estimator, fitted to ``rows`` of a balanced training split that has ``number`` rows."""
    laid_out = _laid_out(weighted(matrix_rows(case, rows), counts.weights), case.key, number)
    use_weights = len(set(counts.weights.values())) > 1
    return estimators.fit(case.estimator(settings), laid_out, case.features, use_weights)


def _classes(rows: DataFrame) -> dict[str, int]:
    from pyspark.sql import functions as F

    found = rows.agg(
        F.count_if(F.col("label") == 1).alias("positive"), F.count_if(F.col("label") == 0).alias("negative")
    ).first()
    assert found is not None  # an aggregate over all rows has one row
    return dict(found.asDict())


def matrix_rows(case: UseCase, rows: DataFrame) -> DataFrame:
    """Key, ``copy``, ``GROUP``, the float32 features by name and as one vector, and the label as a double."""
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import functions as F

    columns = rows.select(
        case.key,
        "copy",
        group(case.entity),
        *matrix.columns(case.features),
        F.col("label").cast("double").alias("label"),
    )
    assembler = VectorAssembler(inputCols=list(case.features), outputCol="features", handleInvalid="keep")
    return assembler.transform(columns)


def _check_finite(spread: Mapping[str, Spread]) -> None:
    infinite = {name: of.infinite for name, of in spread.items() if of.infinite}
    if infinite:
        raise BadData(
            "the training rows",
            f"finite numbers in every row of {', '.join(infinite)}",
            "infinite: " + ", ".join(f"{count} of {name}" for name, count in infinite.items()),
            "repair the feature: a model cannot be fitted to infinity",
        )


def counted(rows: DataFrame, grouped: bool = True) -> metrics.Scored:
    """Count rows by score and, where ``grouped``, by group. ``rows`` have ``estimators.SCORE``, the ``label`` and
    ``GROUP``.

    Rows are counted where they are, so the driver gets only counts. The counts do not depend on the order of rows, as
    the sums of Spark's own evaluator do.
    """
    from pyspark.sql import functions as F

    score = F.round(F.col(estimators.SCORE) * GRID) / GRID
    counts = rows.groupBy(score.alias("score"), (F.col(GROUP) if grouped else F.lit(0)).alias("group")).agg(
        F.count_if(F.col("label") == 1).alias("positives"), F.count_if(F.col("label") == 0).alias("negatives")
    )
    found = counts.toArrow().sort_by([("score", "ascending"), ("group", "ascending")])
    score, positives, negatives, groups = (
        found[name].to_numpy() for name in ("score", "positives", "negatives", "group")
    )
    return metrics.by_score(within_rounding(score), positives, negatives, groups if grouped else None)


def some_groups(rows: DataFrame, count: int) -> DataFrame:
    """Of ``count`` rows those of some of the groups of entities, about ``GROUPED_ROWS`` rows. A calibration is chosen
    by groups; more rows make no other choice, and the driver gets a count for each score of each group."""
    from pyspark.sql import functions as F

    if count <= GROUPED_ROWS:
        return rows
    return rows.where(F.col(GROUP) < max(calibration_fit.FOLDS, GROUPS * GROUPED_ROWS // count))


def _laid_out(rows: DataFrame, key: str, count: int) -> DataFrame:
    """Give the rows partitions and an order that depend on the rows alone, because a forest draws its samples by
    partition and position."""
    order = (key, "copy")
    return rows.repartition(max(1, math.ceil(count / _ROWS_OF_A_TASK)), *order).sortWithinPartitions(*order)


def _measured(
    calibrated: metrics.Scored, found: metrics.Scored, of_drawn: metrics.Scored, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Metrics of the calibrated natural rows, the same before calibration, and areas on the balanced rows."""
    measured: dict[str, Any] = dict(metrics.measured(calibrated))
    measured["uncalibrated"] = metrics.measured(found)
    measured |= {f"balanced_{name}": metrics.METRICS[name](of_drawn) for name in ("area_under_roc", "area_under_pr")}
    measured["intervals"] = metrics.intervals(
        calibrated, settings["bootstrap_replicates"], settings["confidence"], settings["seed"]
    )
    return measured


def _card(case: UseCase, counts: TrainingSet, settings: Mapping[str, Any]) -> Card:
    """The card with what is known before a model is fitted."""
    label = case.label
    return Card(
        features=case.features,
        classes=Classes(label.positive, tuple(value for value in label.allowed if value != label.positive)),
        entity=case.entity,
        calibration=NONE,
        rows=counts,
        settings=settings,
        versions=versions(),
    )


def _documents(
    card: Card,
    balanced: Partition,
    calibrated: metrics.Scored | None = None,
    uncalibrated: metrics.Scored | None = None,
    model: bytes | None = None,
) -> Documents:
    card = replace(card, model=ModelFile(MODEL, digest(model), len(model)) if model else None)
    page = report.render(
        f"Model of {balanced.date}: the probability of {card.classes.positive}",
        card,
        [(read.name, f"{read.first} to {read.last}") for read in balanced.manifest.inputs],
        calibrated,
        uncalibrated,
    )
    files = {CARD: card.to_json(), REPORT: page.encode()}
    if model:
        files[MODEL] = model
    figures = {
        "training_rows": sum(card.rows.balanced.values()),
        "verdict": card.verdict.document(),
        **card.metrics,
    }
    if card.warnings:
        figures["warnings"] = list(card.warnings)
    return Documents(files, figures | ({"model_digest": digest(model)} if model else {}))
