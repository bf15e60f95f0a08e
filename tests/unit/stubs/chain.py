"""The real stages over small bodies: what they write takes no Spark, all else (requirements, completion, inputs,
summaries, their own ``run()``) is as it is.

    luigi --module tests.unit.stubs.quick BatchInference --date 2026-01-12

What a training says is read from ``verdicts.json`` in the root of the lake; a date without an entry is approved, unless its
columns reject it, and loses to the model before it where it is among the ``losers``. ``spreads`` say what the columns of a
date hold. Predictions of the ``odd`` dates are held, and evaluations of the ``poor`` ones miss a bound.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import spark_lib.stages.balancing
import spark_lib.stages.champion
import spark_lib.stages.cleaning
import spark_lib.stages.evaluation
import spark_lib.stages.features
import spark_lib.stages.image
import spark_lib.stages.inference
import spark_lib.stages.release
import spark_lib.stages.serving
import spark_lib.stages.snapshot
import spark_lib.stages.training
import tasks
from spark_lib import problems
from spark_lib.errors import BadData, DamagedPartition
from spark_lib.evaluation.document import (
    EVALUATION,
    NO_PREDICTIONS,
    NOTHING,
    Day,
    Evaluation,
    Gate,
    Model,
    OfModel,
    Part,
)
from spark_lib.lake import QUARANTINE, Attempt, Documents, Partition, Rows
from spark_lib.lake import days as days_of
from spark_lib.models.calibration import NONE
from spark_lib.models.card import CARD, MODEL, Card
from spark_lib.models.model import digest
from spark_lib.models.selection import Challenge
from spark_lib.models.training_set import TrainingSet
from spark_lib.problems import gates
from spark_lib.release.check import Check, Outcome
from spark_lib.release.figures import Figures

#: The mean score of predictions that are odd.
_ODD = 0.875


def install(replace: Callable[[object, str, object], object] = setattr) -> None:
    """Put the small bodies in place of those that need Spark."""
    replace(tasks.Stage, "spark", lambda stage, reads=(): None)
    replace(spark_lib.stages.cleaning, "build", _cleaned)
    replace(spark_lib.stages.cleaning, "build_days", _cleaned_days)
    replace(spark_lib.stages.features, "build", _features)
    replace(spark_lib.stages.features, "build_days", _features_of_days)
    replace(spark_lib.stages.serving, "build", _features)
    replace(spark_lib.stages.snapshot, "build", _snapshot)
    replace(spark_lib.stages.snapshot, "build_features", _features_from)
    replace(spark_lib.stages.balancing, "build", _balanced)
    replace(spark_lib.stages.training, "build", _model)
    replace(spark_lib.stages.inference, "build", _predictions)
    replace(spark_lib.stages.champion, "compare", _compared)
    replace(spark_lib.stages.evaluation, "build", _evaluated)
    replace(spark_lib.stages.release, "judge", _judged)
    replace(spark_lib.stages.image, "build", _image)


def _cleaned(spark: None, case: Any, raw: Any, url: str, file_rows: int) -> Rows:
    """Without a row. Two days are equal whose files have the same first lines. Refuses a file by the name
    ``unreadable``."""
    for file in (file for file in raw.last.files if file.endswith("/unreadable")):
        raise BadData(file, "a file that can be read", "none", "land it again", file)
    lines = [Path(file).read_text().partition("\n")[0] for file in raw.last.files]
    figures = {"landed": 0, "broken": 0, "rules": {"types": 0}}
    return Rows({"": 0, QUARANTINE: 0}, (("id", "string"),), figures, digest=f"0-{'-'.join(lines)}")


def _cleaned_days(spark: None, case: Any, raw: Any, attempt: Attempt, file_rows: int) -> dict[date, Rows]:
    return {day: _cleaned(spark, case, raw.of([day]), "", file_rows) for day in attempt.days}


def _features(spark: None, case: Any, raw: Any, url: str, file_rows: int) -> Documents:
    """Refuses a raw file by the name ``unreadable``."""
    for file in (file for days in raw.values() for file in days.files if file.endswith("/unreadable")):
        raise BadData(file, "a file that can be read", "none", "land it again", file)
    return Documents(
        {"rows.txt": "".join(f"{feed} {days.last.date}\n" for feed, days in raw.items() if days.days).encode()}
    )


def _features_of_days(spark: None, case: Any, raw: Any, attempt: Attempt, file_rows: int) -> dict[date, Documents]:
    def until(day: date) -> Any:
        return {feed: days.of([each.date for each in days.days if each.date <= day]) for feed, days in raw.items()}

    return {day: _features(spark, case, until(day), "", file_rows) for day in attempt.days}


def _snapshot(spark: None, case: Any, raw: Any, before: Partition | None, url: str, file_rows: int) -> Documents:
    """Holds what landed: the first line of each file."""
    known = before.document("rows.txt").decode().splitlines() if before else []
    read = [days.after(before.date if before else None) for days in raw.values()]
    known += [Path(file).read_text().partition("\n")[0] for days in read for file in days.files]
    return Documents({"rows.txt": "".join(f"{line}\n" for line in known).encode()})


def _features_from(spark: None, case: Any, raw: Any, snapshot: Partition, url: str, file_rows: int) -> Documents:
    written: Documents = spark_lib.stages.features.build(spark, case, raw, url, file_rows)  # type: ignore[assignment,arg-type]
    return written


def _balanced(spark: None, case: Any, salt: str, features: Any, outcomes: Any, settings: Any, *url: Any) -> Documents:
    day = str(outcomes.last.date)
    spread = _verdicts(features[0]).get("spreads", {}).get(day, {})
    train = {"positive": 200, "negative": 1000}
    return Documents({"rows.txt": b"balanced\n"}, {"labelled": 1200, "train": train, "spread": spread})


def _model(
    spark: None, case: Any, balanced: Partition, settings: Any, url: str, progress: Any, null_before: Any
) -> Documents:
    progress(50, "fitting")
    by_columns, warnings = gates.on_columns(
        TrainingSet.of(balanced.manifest.metrics), settings["constant_columns"], null_before
    )
    verdict = _verdicts(balanced).get(str(balanced.date), by_columns.document())
    outcome = problems.of(case.label).outcome
    card = Card(case.features, outcome, case.entity, NONE, TrainingSet(), settings, {}).to_json()
    figures = {"training_rows": 1200, "area_under_roc": 0.71, "verdict": verdict, "warnings": warnings}
    if not verdict["approved"]:
        return Documents({CARD: card}, figures)
    model = f"model of {balanced.date}".encode()
    return Documents(
        {CARD: card, MODEL: model, "report.html": b"<p>report\n"}, figures | {"model_digest": digest(model)}
    )


def _compared(spark: Any, case: Any, lake: Any, new: Partition, old: Partition, *rows: Any) -> Challenge:
    loses = str(new.date) in _verdicts(new).get("losers", [])
    detail = f"area under ROC -0.0300 against the model of {old.date}"
    return Challenge(new.date, old.date, loses, detail)


def _predictions(
    spark: None, case: Any, features: Any, model: Any, url: str, file_rows: int, canary: Any = None
) -> Documents:
    is_odd = str(features.date) in _verdicts(features).get("odd", [])
    figures = {"model_date": str(model.date), **({"scores": {"mean": _ODD}} if is_odd else {})}
    rows = model.model
    if canary is not None and not isinstance(canary.model, DamagedPartition):
        rows += f"\n{canary.beside.share:g} of ".encode() + canary.model.model
        figures["canary"] = canary.beside.figures() | {"rows": 1}
    return Documents({"rows.txt": rows}, figures)


def _evaluated(spark: None, case: Any, day: date, found: Any, outcomes: Any, settings: Any, *later: Any) -> Documents:
    """Every day with predictions in force has a hundred rows."""
    partitions = list(found.predictions.values())
    is_poor = bool(partitions) and str(day) in _verdicts(partitions[0]).get("poor", [])
    gate = Gate("min_area_under_roc", "area under ROC", 0.71, 0.65, 0.7 if is_poor else 0.6, not is_poor)
    metrics = {"area_under_roc": 0.71, "brier": 0.09, "calibration_in_the_large": 0.0123}
    intervals = {"intervals": {"area_under_roc": [0.65, 0.77]}}
    part, whole = (
        Part(rows, {}, metrics | intervals, {"brier": 0.1}, (0.1, 0.2, 0.3, 0.4, 0.5))
        for rows in (100, 100 * len(partitions))
    )
    judged = [
        Day(
            each,
            found.predictions[each].manifest.run,
            100,
            100,
            models=(Model(date(2026, 1, 12), "digest"),),
            part=part,
        )
        if each in found.predictions
        else Day(each, reason=found.held.get(each, NO_PREDICTIONS))
        for each in days_of(found.first, found.last)
    ]
    written = Evaluation(day, found.first, found.last, "binary", tuple(judged), NOTHING)
    if partitions:
        models = (OfModel(Model(date(2026, 1, 12), "digest"), whole),)
        written = Evaluation(day, found.first, found.last, "binary", tuple(judged), whole, models, gates=(gate,))
    return Documents(
        {EVALUATION: written.to_json(), "evaluation.html": b"<p>evaluation\n"}, written.summary().document()
    )


def _judged(day: Figures, *others: Any) -> list[Check]:
    is_odd = day.scores.get("mean") == _ODD
    return [Check("mean score", Outcome.FAILED if is_odd else Outcome.PASSED, f"{_ODD} is odd", _ODD, 0.5)]


def _image(lake: Any, selection: Partition, name: str, use_case: str, base: str) -> Documents:
    figures = selection.manifest.metrics
    of_model = {"model_date": figures["model_date"], "model_digest": figures["model_digest"]}
    return Documents({"manifest.json": b"{}"}, {"image_digest": "sha256:0", "tag": figures["model_date"], **of_model})


def _verdicts(partition: Partition) -> dict[str, Any]:
    file = Path(partition.store.url("verdicts.json"))
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found
