"""Trains a model: fits and calibrates it, measures it on rows that it never saw, judges it by its gates, and exports
it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_lib import problems
from spark_lib.errors import BadData
from spark_lib.frames.files import unreadable_files_named
from spark_lib.frames.reading import read_partitions
from spark_lib.lake import Documents, Partition
from spark_lib.learning import estimators, vocabulary
from spark_lib.learning.resampling import weighted
from spark_lib.learning.splitting import group
from spark_lib.models import matrix
from spark_lib.models.calibration import NONE
from spark_lib.models.card import CARD, ENTITY_OF_SEVERAL, MODEL, PICKLE, REPORT, Card, ModelFile
from spark_lib.models.model import digest
from spark_lib.models.training_set import BALANCED, CALIBRATION, NATURAL, TRAIN, Spread, TrainingSet
from spark_lib.problems import gates
from spark_lib.problems.problem import TO_CALIBRATE, TO_JUDGE, TO_TRAIN
from spark_lib.report import training as training_report
from spark_lib.stages import reference, segments
from spark_lib.use_case.fingerprint import versions
from spark_lib.use_case.keys import Key, names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.use_case import Feature, UseCase

_ROWS_OF_A_TASK = 50_000
#: The most categories of a feature that have a number of their own, where no setting says another.
MOST_CATEGORIES = 100

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
    ``model.onnx``, or ``model.joblib`` where a feature is a text.

    ``settings`` are those of ``[training]``. ``url`` is a place for scratch files, which are removed. ``null_before``
    are the features that were null in all rows of the training before, or None where there was none. Raises BadData for
    a null without a fill, and ModelError for a model that ONNX cannot carry or whose scores in ONNX differ from its
    estimator's.
    """
    counts = TrainingSet.of(balanced.manifest.metrics)
    card = _card(case, counts, settings)
    problem = problems.of(case.label)
    problem.check(settings)
    verdict = gates.on_labels(problem, counts, settings, problem.sides(settings), balanced.date)
    if not verdict.approved:
        return _documents(case, replace(card, verdict=verdict), balanced)
    rows = read_partitions(spark, [balanced], TRAIN)
    matrix.check_filled(rows, case.features)
    _check_finite(counts.spread)
    verdict, warnings = gates.on_columns(counts, settings.get("constant_columns", "auto"), null_before)
    card = replace(card, warnings=tuple(warnings))
    if not verdict.approved:
        return _documents(case, replace(card, verdict=verdict), balanced)

    progress(20, f"fitting {balanced.manifest.rows(TRAIN):,} rows")
    features = _learnt(case, rows, settings)
    card = replace(card, features=features)
    model = _fitted(case, features, rows, counts, balanced.manifest.rows(TRAIN), settings)

    progress(45, "calibrating and measuring")

    def of_section(section: str) -> tuple[DataFrame, Key, int]:
        rows = read_partitions(spark, [balanced], section)
        if section != BALANCED:  # the balanced rows are a part of the natural ones
            matrix.check_filled(rows, case.features)
        return model.scored(matrix_rows(case, features, rows)), case.key, balanced.manifest.rows(section)

    def scored(section: str) -> Any:
        return problem.collected(*of_section(section))

    fits = problem.has_calibration_rows(settings, counts)
    on = problem.to_calibrate_by(settings, *of_section(CALIBRATION)) if fits else None
    back, tried = problem.chosen(settings, on, counts)
    found = scored(NATURAL)
    calibrated = problem.calibrated(back, found)
    measured = problem.measured(calibrated, found, settings)
    if balanced.manifest.rows(BALANCED):
        measured |= problem.measured_balanced(scored(BALANCED))
    if settings.get("out_of_time", False):
        progress(55, "judging out of time")
        measured["out_of_time"] = out_of_time(spark, case, balanced, settings)
    if case.segments:
        progress(60, f"judging segments of {', '.join(case.segments)}")
        natural = model.scored(matrix_rows(case, features, read_partitions(spark, [balanced], NATURAL), case.segments))
        apart = segments.judged(problem, natural, case.key, case.segments, back, settings)
        card = replace(card, segments=apart)
    judged = gates.judged(problem.gates, measured, problem.bounds(settings))
    card = replace(
        card,
        calibration=back,
        calibrations_tried=tried,
        metrics=measured,
        gates=tuple(judged),
        verdict=gates.on_model(judged, gates.not_judged(measured, settings)),
        importance=model.importance,
    )
    if not card.verdict.approved:
        return _documents(case, card, balanced, calibrated, found)
    progress(65, "exporting to ONNX")
    natural = matrix_rows(case, features, read_partitions(spark, [balanced], NATURAL))
    exported = model.export(natural, case.key, f"{url}/_scratch")
    card = replace(card, reference=reference.build(spark, case.key, balanced, card, exported))
    return _documents(case, card, balanced, calibrated, found, exported)


def out_of_time(spark: SparkSession, case: UseCase, balanced: Partition, settings: Mapping[str, Any]) -> dict[str, Any]:
    """How good a model is on later days than those that it was trained on.

    The days on which the rows of the window landed are cut: the last fifth judges, the days before train and calibrate
    a second model, by the same settings and the same rule. What judges are the natural validation rows of the last
    fifth, so that neither their day nor their entity was trained or calibrated on. The result has the metrics as the
    card has them, with ``intervals``, the number of ``days`` that judge, their ``rows``, and what the problem tells of
    these. Where there are too few rows it has a ``reason`` in the place of metrics.
    """
    from pyspark.sql import functions as F

    problem, counts = problems.of(case.label), TrainingSet.of(balanced.manifest.metrics)
    earlier, later = gates.last_fifth(sorted(counts.by_day))
    by_time = {True: F.col("landed").isin(list(later)), False: F.col("landed").isin(list(earlier))}

    def rows_of(section: str, late: bool) -> DataFrame:
        return read_partitions(spark, [balanced], section).where(by_time[late])

    by_name = {
        purpose: _counted(rows_of(section, late), problem)
        for purpose, section, late in (
            (TO_TRAIN, TRAIN, False),
            (TO_JUDGE, NATURAL, True),
            (TO_CALIBRATE, CALIBRATION, False),
        )
    }
    found = {"days": len(later), "rows": sum(by_name[TO_JUDGE].values()), **problem.told(by_name[TO_JUDGE])}
    needed = (TO_TRAIN, TO_JUDGE, *([TO_CALIBRATE] if problem.is_calibrated_by_rows(settings) else []))
    few = problem.too_few_out_of_time({purpose: by_name[purpose] for purpose in needed}, settings)
    if few:
        return found | {"reason": few}
    # What undoes the balancing is the same for a part of the days: rows are drawn within each class, whatever their day.
    before = replace(counts, sides={**counts.sides, CALIBRATION: by_name[TO_CALIBRATE]})
    rows = rows_of(TRAIN, late=False)
    features = _learnt(case, rows, settings)
    model = _fitted(case, features, rows, counts, balanced.manifest.rows(TRAIN), settings)

    def scored(section: str, late: bool) -> tuple[DataFrame, Key, int]:
        rows = matrix_rows(case, features, rows_of(section, late))
        return model.scored(rows), case.key, balanced.manifest.rows(section)

    fits = problem.has_calibration_rows(settings, before)
    on = problem.to_calibrate_by(settings, *scored(CALIBRATION, late=False)) if fits else None
    back, _ = problem.chosen(settings, on, before)
    raw = problem.collected(*scored(NATURAL, late=True))
    few = problem.too_few_apart(raw)
    if few:
        return found | {"reason": few}
    measured = problem.measured(problem.calibrated(back, raw), raw, settings)
    return found | {"calibration": back["kind"], **measured}


def _learnt(case: UseCase, rows: DataFrame, settings: Mapping[str, Any]) -> dict[str, Feature]:
    """The features with the categories that the rows of the training split hold."""
    return vocabulary.learnt(rows, case.features, settings.get("max_categories", MOST_CATEGORIES))


def _fitted(
    case: UseCase,
    features: Mapping[str, Feature],
    rows: DataFrame,
    counts: TrainingSet,
    number: int,
    settings: Mapping[str, Any],
) -> estimators.SparkModel | estimators.SklearnModel | estimators.PickledModel:
    """The use case's estimator, fitted to ``rows`` of a balanced training split that has ``number`` rows."""
    problem = problems.of(case.label)
    weighed = weighted(matrix_rows(case, features, rows), problem.labels, counts.weights)
    laid_out = _laid_out(weighed, case.key, number)
    by_weight = len(set(counts.weights.values())) > 1
    of_matrix = matrix.of_the_matrix(features)
    return estimators.fit(case.estimator(settings), laid_out, of_matrix, by_weight, problem.classes)


def _counted(rows: DataFrame, problem: problems.Problem) -> dict[str, int]:
    """The rows by the names that the problem has for their outcomes."""
    from pyspark.sql import functions as F

    counted = rows.groupBy(problem.name_of(F.col("label")).alias("name")).count().collect()
    return dict.fromkeys(problem.names, 0) | {row["name"]: row["count"] for row in counted}


def matrix_rows(
    case: UseCase, features: Mapping[str, Feature], rows: DataFrame, apart: Sequence[str] = ()
) -> DataFrame:
    """Key, ``copy``, ``GROUP``, the label as a double, and the float32 features by name and as one vector. Where one of
    them is a text, they are all as they landed, and there is no vector. Columns that are to be judged ``apart`` come
    as ``segments.columns`` names them, too."""
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import functions as F

    as_landed = any(feature.text for feature in features.values())
    columns = rows.select(
        *names(case.key),
        "copy",
        group(case.entity_or_key),
        *(features if as_landed else matrix.columns(features)),
        F.col("label").cast("double").alias("label"),
        *segments.columns(apart),
    )
    if as_landed:
        return columns
    assembler = VectorAssembler(inputCols=list(features), outputCol="features", handleInvalid="keep")
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


def _laid_out(rows: DataFrame, key: Key, count: int) -> DataFrame:
    """Give the rows partitions and an order that depend on the rows alone, because a forest draws its samples by
    partition and position."""
    order = (*names(key), "copy")
    return rows.repartition(max(1, math.ceil(count / _ROWS_OF_A_TASK)), *order).sortWithinPartitions(*order)


def _card(case: UseCase, counts: TrainingSet, settings: Mapping[str, Any]) -> Card:
    """The card with what is known before a model is fitted."""
    problem = problems.of(case.label)
    return Card(
        features=case.features,
        outcome=problem.outcome,
        entity=case.entity_or_key,
        calibration=NONE,
        rows=counts,
        settings=settings,
        versions=versions(),
        decision=problem.decision(settings),
        problem=problem.name,
        format=problem.card_format
        if isinstance(case.entity_or_key, str)
        else max(problem.card_format, ENTITY_OF_SEVERAL),
    )


def _documents(
    case: UseCase,
    card: Card,
    balanced: Partition,
    calibrated: Any = None,
    uncalibrated: Any = None,
    model: bytes | None = None,
) -> Documents:
    file = PICKLE if any(feature.text for feature in card.features.values()) else MODEL
    card = replace(card, model=ModelFile(file, digest(model), len(model)) if model else None)
    page = training_report.render(
        f"Model of {balanced.date}: {problems.of_card(card).title(case.label.column)}",
        card,
        [(read.name, f"{read.first} to {read.last}") for read in balanced.manifest.inputs],
        calibrated,
        uncalibrated,
    )
    files = {CARD: card.to_json(), REPORT: page.encode()}
    if model:
        files[file] = model
    figures = {
        "training_rows": sum(card.rows.balanced.values()),
        "verdict": card.verdict.document(),
        **card.metrics,
    }
    if card.warnings:
        figures["warnings"] = list(card.warnings)
    return Documents(files, figures | ({"model_digest": digest(model)} if model else {}))
